"""Definitions become virtualenvs: with the real uv, and wheels that the tests make."""
