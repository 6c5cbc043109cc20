"""Helpers that every other subpackage may use; they import none of them."""
