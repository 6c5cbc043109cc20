"""Helpers for all other subpackages, none of which they import."""
