"""The postgres fixture."""
