"""A login that was refused is tried again ever more seldom: providers lock accounts that are asked too often.

The alert that stands for it is all the memory this needs: since when the login is refused, and when a batch last met
that. It is tried when a new password was stored meanwhile, or when the alert was closed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from gateway.errors import LoginRefused
from gateway.flow.context import Context
from gateway.ledger.alerts import standing
from gateway.ledger.tables import secret
from gateway.mail.model import Mailbox

FIRST_PAUSE = int(timedelta(minutes=5).total_seconds() * 1000)
_REFUSED = LoginRefused.sentence.partition("{host}")[2].partition("{user}")[0]  # as it stands in an alert's sentence
LONGEST_PAUSE = int(timedelta(hours=6).total_seconds() * 1000)


def check_login(context: Context, mailbox: Mailbox) -> None:
    """Says nothing where the mailbox may be asked now.

    Raises:
        LoginRefused: it was refused before, and it is too early to try again.
    """
    names = [box.secret or f"mailbox.{box.name}" for box in context.settings.mailboxes if box.name == mailbox.name]
    with context.ledger.reading() as connection:
        open_ = [each for each in standing(connection) if each.topic == f"login/mailbox {mailbox.name}"]
        if not open_ or _REFUSED not in open_[0].subject:  # an unsafe connection gets no password anyway
            return
        changed = connection.execute(select(secret.c.updated_at).where(secret.c.name.in_(names))).scalars()
        if any(each > open_[0].last_at for each in changed):
            return
    following = next_try(open_[0].at, open_[0].last_at)
    if context.clock() < following:
        moment = f"{datetime.fromtimestamp(following / 1000, UTC):%Y-%m-%d %H:%M} UTC"
        reason = (
            f"it was refused before and is tried again at {moment}, or as soon as a new password is stored, or "
            f"`gateway alert close {open_[0].id}` says that it was put right"
        )
        raise LoginRefused(host=mailbox.host, user=mailbox.user, reason=reason)


def next_try(since: int, last: int) -> int:
    """When to try again: 5, 10, 20 … minutes after the first refusal, later every 6 hours (all in ms).

    ``last`` is when a batch last met the refusal, whether it tried or not; what lies before it was tried.
    """
    pause = FIRST_PAUSE
    while since + pause <= last and pause < LONGEST_PAUSE:
        pause = min(pause * 2, LONGEST_PAUSE)
    if since + pause > last:
        return since + pause
    return since + (last - since) // LONGEST_PAUSE * LONGEST_PAUSE + LONGEST_PAUSE
