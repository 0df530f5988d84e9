"""The dovecot fixture."""
