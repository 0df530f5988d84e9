"""What a restore did, for people: what is lost, what goes on, and what they have to ask others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.flow.outbox_files import SENT_DIRECTORY
from gateway.flow.restore_evidence import Outcome
from gateway.flow.restore_settle import Settled
from gateway.ledger.events import one_line
from gateway.ledger.moments import iso, spoken
from gateway.settings import Settings
from gateway.values import asdict

_SHOWN = 20  # names in one list
_WORDS = {
    "received": ("mail received", "mails received"),
    "submitted": ("document submitted", "documents submitted"),
    "answered": ("acknowledgment made", "acknowledgments made"),
    "sent": ("mail sent", "mails sent"),
    "delivered": ("document delivered", "documents delivered"),
    "acknowledgment": ("acknowledgment of a partner", "acknowledgments of partners"),
}


class Restored(Struct, frozen=True):
    """What became of a restore. Times are ms since 1970 UTC."""

    backup: str
    made_at: int  # the moment of the backup
    newest: int  # the last event in it
    outcome: Outcome
    settled: Settled
    lost_until: int  # until when something may be lost; the beginning is ``made_at``
    lost: Mapping[str, int]  # kind of event → how many, where that is known
    kept: str  # where the ledger is that was replaced; empty: there was none
    revision: tuple[str, str]  # of the tables: in the backup, and now
    submitted: tuple[str, ...] = ()  # files that were submitted since, by what lies in the outbox
    left_on_server: tuple[str, ...] = ()  # mailboxes whose mail is taken again
    again: tuple[str, ...] = ()  # holds and erasures since the backup, by the ledger that was there
    dry_run: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``: times in ISO 8601."""
        found = {
            name: value for name, value in asdict(self).items() if name not in {"made_at", "lost_until", "settled"}
        }
        lost_from = None if self.outcome is Outcome.NOTHING_LOST else iso(self.made_at)
        return found | {
            "made": iso(self.made_at),
            "lost_from": lost_from,
            "lost_until": None if lost_from is None else iso(self.lost_until),
            **asdict(self.settled),
        }

    def lines(self) -> Iterator[str]:
        """For people, a paragraph each."""
        made = spoken(self.made_at).strip()
        yield f"Restored from {self.backup}: the ledger as it was on {made} (event {self.newest})."
        if self.kept:
            where = self.kept if "/" in self.kept else f"the schema {self.kept}"
            yield f"The ledger that was there is kept: {where}."
        if self.revision[0] != self.revision[1]:
            yield f"Its tables were brought from revision {self.revision[0]} to {self.revision[1]}."
        if self.outcome is Outcome.NOTHING_LOST:
            yield "Nothing was lost: the ledger that was there ended where the backup ends. All numbers go on."
        else:
            yield from self._lost()
            yield from self._again()
            yield from self._in_doubt()
        if self.settled.due:
            yield (
                f"{_count(self.settled.due, 'document is', 'documents are')} due for the business and"
                f" {'goes' if self.settled.due == 1 else 'go'} with the next batch, under the same name and idempotency"
                " key; if it was delivered since, the business can tell by them that it has it."
            )
        yield "The next batch goes on with this ledger (gateway night)."

    def _lost(self) -> Iterator[str]:
        span = f"between {spoken(self.made_at).strip()} and {spoken(self.lost_until).strip()}"
        told = ", ".join(_count(number, *_WORDS[kind]) for kind, number in self.lost.items())
        if self.outcome is Outcome.NUMBERS_KNOWN:
            told = told or "no mail, and no document"
        yield f"Lost is what was recorded {span}{f': {told}' if told else ''}."
        yield from self._numbers()
        if self.outcome is Outcome.UNKNOWN or self.lost:
            yield (
                f"Mail that was collected and deleted from its server {span} is not in this ledger, nor are"
                " acknowledgments in it. Ask partners what they sent and got in this time; what they send again is new."
            )
            if self.left_on_server:
                names = ", ".join(self.left_on_server)
                yield f"Mail that lies on its server still is taken and delivered once more, as new: mailbox {names}."
        yield (
            "Profiles, secrets, keys of ours, holds and erasures are as they were then: do again what was done since."
            " Seals that were made since do not fit this ledger; it says why, and the auditor should know."
        )

    def _again(self) -> Iterator[str]:
        if not self.again:
            return
        yield (
            "Do these again before the next batch, which may put away what was held; what was erased can be read again:"
        )
        yield from (one_line(f"  {each}") for each in self.again[:_SHOWN])
        if len(self.again) > _SHOWN:
            yield f"  … and {len(self.again) - _SHOWN} more"

    def _numbers(self) -> Iterator[str]:
        if self.outcome is Outcome.UNKNOWN and not self.settled.jumps:
            yield "No number of ours was used before, and no partner is known whose numbers may have begun since."
        elif self.outcome is Outcome.UNKNOWN:
            yield "No ledger tells how far the numbers had come, so every series jumps ahead of all that may be in use:"
        elif self.settled.jumps:
            yield "The ledger that was there is whole and tells how far the numbers had come; they go on from there:"
        else:
            yield "The ledger that was there is whole, and no number was used since."
        for each in self.settled.jumps[:_SHOWN]:
            where = f"{each.level} numbers of {each.ours} to {each.theirs}"
            yield one_line(f"  {each.partner}: {where} go on at {each.after} instead of {each.before}")
        if len(self.settled.jumps) > _SHOWN:
            yield f"  … and {len(self.settled.jumps) - _SHOWN} more"

    def _in_doubt(self) -> Iterator[str]:
        if self.settled.held:
            yield (
                f"{_count(self.settled.held, 'mail', 'mails')} had waited for the wire and may have gone since:"
                " in doubt, for a person to decide (gateway status)."
            )
        if self.settled.resent:
            yield (
                f"{_count(self.settled.resent, 'mail', 'mails')} may have gone since and go again, the same bytes and"
                " numbers: acknowledgments, and documents whose agreement says so (on_doubt)."
            )
        if self.settled.unprocessed:
            shown = ", ".join(f"m{each}" for each in self.settled.unprocessed[:_SHOWN])
            more = "" if len(self.settled.unprocessed) <= _SHOWN else " …"
            yield (
                f"{_count(len(self.settled.unprocessed), 'message', 'messages')} had been collected and not processed,"
                f" and may have been processed since: quarantined, for a person to decide ({shown}{more})."
            )
        if self.submitted:
            shown = ", ".join(one_line(each) for each in self.submitted[:_SHOWN])
            more = "" if len(self.submitted) <= _SHOWN else " …"
            yield (
                f"{_count(len(self.submitted), 'file', 'files')} in the outbox"
                f" {'was' if len(self.submitted) == 1 else 'were'} submitted since, and this ledger knows nothing of"
                f" that: {shown}{more}. Whether they were sent, the partners know."
            )


def submitted_since(outbox: Path, moment: int) -> tuple[str, ...]:
    """What was moved to the partners' .submitted since ``moment`` (ms since 1970 UTC)."""
    files = sorted(outbox.glob(f"*/{SENT_DIRECTORY}/*"))
    # Moving a file touches its inode, not its content.
    since = (each for each in files if each.is_file() and each.stat().st_ctime_ns // 1_000_000 >= moment)
    return tuple(str(each.relative_to(outbox)) for each in since)


def left_on_server(settings: Settings) -> tuple[str, ...]:
    """The mailboxes whose mail stays, or is moved to another folder of the server."""
    return tuple(each.name for each in settings.mailboxes if each.keep_on_server)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
