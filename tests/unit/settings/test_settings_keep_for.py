"""How long mail may stay on its server, as gateway.toml says it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsInvalid
from gateway.settings.reader import parse_settings

HOME = """
[gateway]
name = "Example Co"
domain = "us.example"
identities = ["ZZ:EXAMPLECO"]
[mailbox.orders]
host = "pop.example.com"
user = "edi"
"""


def mailbox(lines):
    (found,) = parse_settings((HOME + lines).encode(), home=Path("/srv")).mailboxes
    return found


def test_a_time_on_the_server_leaves_mail_there():
    found = mailbox('keep_for = "14d"\n')
    assert (found.keep_on_server, found.keep_for) == (True, timedelta(days=14))


def test_without_a_time_mail_is_left_for_ever_or_not_at_all():
    assert (mailbox("keep_on_server = true\n").keep_on_server, mailbox("").keep_on_server) == (True, False)
    assert mailbox("keep_on_server = true\n").keep_for is None


def test_a_time_on_a_server_where_nothing_stays_is_a_contradiction():
    with pytest.raises(SettingsInvalid, match="keep_on_server says that none does"):
        mailbox('keep_on_server = false\nkeep_for = "14d"\n')
