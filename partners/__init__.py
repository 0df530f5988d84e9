"""WHO we trade with: partner profiles, identities, agreements, numbering. Knows nothing of mail, ledger or flow."""
