"""What the mail after a night says, as text and as HTML: what needs a person first, then what was done. Pure.

It quotes nothing of any document: a mail travels in clear.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from msgspec import Struct

from gateway.errors.causes import cause_of_code
from gateway.flow.needs import sentence
from gateway.ledger.attention import Attention
from gateway.ledger.batches import Batch, Trouble
from gateway.ledger.moments import duration, spoken

LISTED = 50  # things that are told in full; the rest is counted
WIDTH = 75  # characters of a line of the text
_TEMPLATES = Path(__file__).parent / "templates"
_FEW_SECONDS = 10_000  # ms below which tenths are told


class PartnerNight(Struct, frozen=True):
    """What came and went of one partner in the batch, and what it owes us now."""

    partner: str
    came: int
    went: int
    awaited: int
    overdue: int


class NightReport(Struct, frozen=True):
    """What one batch did, and what there is to do. ``home`` names the gateway among those of a company."""

    our_name: str
    home: str
    batch: Batch
    attention: tuple[Attention, ...]
    partners: tuple[PartnerNight, ...] = ()
    left_out: int = 0  # things that need a person and are not in ``attention``

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What did not work, step by step; what the ledger's own rows tell is left to ``attention``."""
        found = [each for step in self.batch.steps for each in step.troubles]
        return tuple(each for each in found if not each.where.startswith(("message m", "exchange ")))

    @property
    def more(self) -> int:
        """How many things need a person that the mail does not name."""
        return max(0, len(self.attention) - LISTED) + self.left_out

    @property
    def is_good(self) -> bool:
        """Whether nobody has to do anything."""
        return not self.attention and not self.batch.exit_code

    @property
    def subject(self) -> str:
        """The subject of the mail: how it went, in a few words."""
        told = []
        if self.attention:
            number = len(self.attention) + self.left_out
            told.append(f"{number} thing{' needs' if number == 1 else 's need'} a person")
        if self.batch.exit_code and not (self.attention and self.batch.exit_code == 65):
            told.append(self.batch.result)
        return f"[{self.our_name}] Night {self.batch.id}: {', '.join(told) or 'all is well'}"


def as_html(report: NightReport) -> str:
    """A whole HTML document, without scripts and without anything from elsewhere."""
    words = {"took": took, "when": _when, "why": why, "cause": cause_of_code}
    return _template().render(report=report, listed=LISTED, **words)


def as_text(report: NightReport) -> str:
    """The same in words, in lines that mail carries as they are."""
    lines = [line for each in _lines(report) for line in _wrapped(each)]
    return "\n".join(lines) + "\n"


def why(thing: Attention) -> str:
    """Why something needs a person, in one line that quotes nothing of a document."""
    return sentence(thing.plain or thing.reason)


def took(milliseconds: int | None) -> str:
    """How long something took, as people say it."""
    if milliseconds is None:
        return "not ended"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < _FEW_SECONDS else duration(milliseconds)


def _when(at: int | None) -> str:
    return spoken(at).strip() if at is not None else ""


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("night_report.html")


# ---------------------------------------------------------------- the text


def _lines(report: NightReport) -> Iterator[str]:
    batch = report.batch
    yield f"Night {batch.id} of the EDI gateway of {report.our_name} ({report.home})"
    yield f"{_when(batch.started_at)}, {took(batch.took)}: {batch.result}."
    yield from _attention(report)
    yield from _troubles(report.troubles)
    yield ""
    yield "What it did:"
    yield from [f"  {number:>7,}  {what}" for what, number in batch.counts.items()] or ["  nothing: nothing was due"]
    if report.partners:
        yield ""
        yield "Partners (came, went, awaited, overdue):"
        for each in report.partners:
            yield f"  {each.came:>5} {each.went:>5} {each.awaited:>5} {each.overdue:>5}  {each.partner}"
    yield ""
    yield "Step by step:"
    yield from (f"  {took(each.took):>9}  {each.name}" for each in batch.steps)
    yield ""
    yield "Everything that needs a person: gateway status"
    yield "To get this mail less often, or more: [report] when in gateway.toml"


def _attention(report: NightReport) -> Iterator[str]:
    things = report.attention
    if not things:
        return
    yield ""
    yield "Needs a person:"
    for each in things[:LISTED]:
        urgent = ", urgent" if each.urgent else ""
        yield ""
        yield f"  {each.reference}  {each.state}{urgent}: {sentence(each.what)}"
        yield f"      {why(each)}"
        yield f"      next: {each.next_command}"
    if report.more:
        yield f"  and {report.more} more"


def _troubles(troubles: Sequence[Trouble]) -> Iterator[str]:
    if not troubles:
        return
    yield ""
    yield "What did not work:"
    for each in troubles[:LISTED]:
        side = f", on the side of: {each.side}" if each.side else ""
        yield ""
        yield f"  {each.where}: {each.sentence}"
        yield f"      [{each.code}]{side}"
        if cause := cause_of_code(each.code):
            yield f"      often: {cause}"
        yield f"      next: {each.advice}"
    if len(troubles) > LISTED:
        yield f"  and {len(troubles) - LISTED} more"


def _wrapped(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
