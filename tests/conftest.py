"""Fixtures for everybody: the real servers, each started when a test first asks for it."""

import os
from collections.abc import Iterator

import pytest
from builders import compiled_once, scratch

scratch.use()
compiled_once.use()

pytest_plugins = (
    "servers.dovecot",
    "servers.postfix",
    "servers.exim",
    "servers.postgres",
    "servers.ledgers",
    "servers.tokens",
    "servers.logins",
    "servers.chromium",
    "servers.console",
)


@pytest.fixture(autouse=True)
def environment_as_found() -> Iterator[None]:
    """What a test leaves in the environment, a password of its database say, is not found by the next one."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    for name in (after.keys() | before.keys()) - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif after.get(name) != before[name]:
            os.environ[name] = before[name]
