"""Doing it later, once."""
