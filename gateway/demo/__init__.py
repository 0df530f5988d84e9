"""A whole night of traffic on one machine, with partners that speak only mail."""
