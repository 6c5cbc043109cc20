"""Trained agents for others: made small, evaluated, described and uploaded."""
