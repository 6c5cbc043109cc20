"""Publish trained agents: strip, evaluate, describe and upload them."""
