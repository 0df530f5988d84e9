"""What the ledger tells in sums: volumes, quality, times to acknowledgment, charges, and a partner's monthly statement.

Each report is one function that takes a connection and a ``Scope`` and gives frozen values.
"""
