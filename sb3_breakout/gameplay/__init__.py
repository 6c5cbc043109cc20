"""Gameplay with exact labels: recorded, verified by playing it again, read back, exported."""
