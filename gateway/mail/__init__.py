"""The mail edge: collecting, opening, writing and sending mail."""
