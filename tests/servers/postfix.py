"""The postfix fixture."""
