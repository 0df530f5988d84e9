"""Homes and hosts for protocol trials."""

from __future__ import annotations

import pytest

from faults.protocol.home import Home, mailbox, smtp
from faults.protocol.hosts import Pop3Host, SmtpHost
from faults.protocol.truth import violations


class Stand:
    """A home between its two hosts."""

    def __init__(self, directory, **more):
        self.box, self.post = Pop3Host(), SmtpHost()
        settings = mailbox(self.box.port, **more.pop("mailbox", {})) + smtp(self.post.port, **more.pop("smtp", {}))
        self.home = Home(directory, settings + more.pop("settings", ""), **more)

    def nights(self, count=1, **more):
        """Undisturbed nights; the last one's summary."""
        self.home.patience = dict.fromkeys(self.home.patience, 10.0)
        self.box.behave()
        self.post.behave()
        return [self.home.night(**more) for _ in range(count)][-1]

    def violations(self, *orders, stays=0):
        """What does not hold."""
        return violations(self.home, self.box, self.post.taken, orders, stays=stays)

    def close(self):
        self.box.go_away()
        self.post.go_away()
        self.home.close()


@pytest.fixture
def stand(tmp_path):
    """Makes stands; ``stand(mailbox={…}, smtp={…}, on_doubt=…)``."""
    made = []

    def make(**more):
        directory = tmp_path / f"home{len(made)}"
        directory.mkdir()
        made.append(Stand(directory, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()
