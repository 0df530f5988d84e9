"""The gateway: an EDI value added network that you own. WHAT flows."""

__version__ = "0.1.0"
