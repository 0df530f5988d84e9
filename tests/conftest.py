"""Fixtures for everybody: the real servers, each started when a test first asks for it."""

pytest_plugins = (
    "servers.dovecot",
    "servers.postfix",
    "servers.exim",
    "servers.postgres",
    "servers.tokens",
    "servers.logins",
    "servers.chromium",
    "servers.console",
)
