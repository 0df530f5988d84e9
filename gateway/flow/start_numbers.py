"""Start values of our control numbers: a partner goes on from where the system before us, or a VAN, left off.

A number that a partner has seen must not come again, so a count never goes back unless a person insists and says why.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from gateway.errors import ConfigurationFault, NotAllowedNow, UsageFault
from gateway.flow.acts import acting
from gateway.flow.context import Context
from gateway.ledger import counters
from gateway.ledger.recording import Ledger, Recorder, insisting
from gateway.values import asdict
from partners.directory import Directory
from partners.model import Direction, Identity, Partner
from partners.numbering import check_start, next_number

_COLUMNS = ("partner", "interchange", "group", "ours", "theirs")


class Start(Struct, frozen=True):
    """The first numbers to use for a partner; None leaves a count as it is.

    ``ours`` and ``theirs`` are ``qualifier:id``; empty where the partner's agreements know only one pair.
    """

    partner: str
    interchange: int | None = None
    group: int | None = None
    ours: str = ""
    theirs: str = ""


class Started(Struct, frozen=True):
    """Where a count stood and stands; ``done`` is false where it stood there already."""

    partner: str
    ours: str
    theirs: str
    level: str
    before: int
    next: int
    done: bool

    def as_dict(self) -> dict[str, object]:
        """For ``--json``."""
        return asdict(self)


def read_csv(text: str, *, last_used: bool = False) -> list[Start]:
    """Start values from CSV: a head line with partner, interchange, group and, where needed, ours and theirs.

    Args:
        text: the file's content; comma, semicolon or tab between values.
        last_used: the numbers are the last ones that were used, so that ours begin after them.

    Raises:
        UsageFault: naming the line and what is wrong with it.
    """
    head = text.partition("\n")[0]
    mark = next((each for each in "\t;" if each in head), ",")
    rows = csv.DictReader(io.StringIO(text), delimiter=mark, skipinitialspace=True)
    names = [str(name).strip().lower() for name in rows.fieldnames or ()]
    strange = [name for name in names if name not in _COLUMNS]
    if "partner" not in names or strange or not {"interchange", "group"} & set(names):
        raise UsageFault(reason=f"The first line must name columns of {', '.join(_COLUMNS)}; it says: {head.strip()}")
    rows.fieldnames = names
    found = [_of_row(number, row, last_used=last_used) for number, row in enumerate(rows, 2)]
    if not found:
        raise UsageFault(reason="The file names no partner.")
    return found


def _of_row(line: int, row: Mapping[str | None, str | list[str] | None], *, last_used: bool) -> Start:
    values = {name: str(row.get(name) or "").strip() for name in _COLUMNS}
    if None in row:
        raise UsageFault(reason=f"Line {line} has more values than the first line has names.")
    try:
        return start(**values, last_used=last_used)
    except ConfigurationFault as fault:
        raise UsageFault(reason=f"Line {line}: {fault}") from None


def start(
    partner: str, interchange: object, group: object, ours: str = "", theirs: str = "", *, last_used: bool = False
) -> Start:
    """A start value as a person gave it: numbers or their digits, empty or None for a count that stays.

    Raises:
        ConfigurationFault: what is no control number or identity, or nothing to do.
    """
    numbers = [None if each in {None, ""} else check_start(each) for each in (interchange, group)]
    if not partner or numbers == [None, None]:
        raise ConfigurationFault(reason="name a partner, and the number of the interchange or the group")
    if last_used:
        numbers = [None if each is None else next_number(each) for each in numbers]
    try:
        pair = [str(Identity.parse(each)) if each else "" for each in (ours, theirs)]
    except ValueError as problem:
        raise ConfigurationFault(reason=str(problem)) from None
    return Start(partner, numbers[0], numbers[1], pair[0], pair[1])


@insisting
def start_numbers(
    context: Context,
    starts: Iterable[Start],
    *,
    actor: str,
    reason: str = "",
    force: bool = False,
    dry_run: bool = False,
) -> list[Started]:
    """Puts counts to their start values: all of them, or none.

    Args:
        context: what the steps work with.
        starts: what to set.
        actor: who does it.
        reason: why; needed with ``force``.
        force: also backwards, to numbers that may have been used.
        dry_run: check and tell, change nothing.

    Raises:
        UnknownPartner
        UsageFault: an identity pair that is not the partner's and ours, or several that could be meant.
        NotAllowedNow: a count would go back.
    """
    if force and not reason:
        raise UsageFault(reason="Numbers that may have been used can be used again only with a reason (--why).")
    with acting(context, actor, dry_run=dry_run) as recorder:
        wanted = [(each, _pair(context, each)) for each in starts]
        # Two people lock the counts of several partners in one order.
        for partner, ours, theirs in sorted({(each.partner, *pair) for each, pair in wanted}):
            counters.locked(recorder.connection, partner, ours, theirs)
        return [done for each, pair in wanted for done in _begin(recorder, each, pair, reason=reason, force=force)]


def pairs(directory: Directory, partner: Partner) -> list[tuple[str, str]]:
    """The identity pairs (ours, theirs) under which documents go to a partner, the usual one first."""
    default = (directory.our_default, partner.identities[0])
    used = [
        (each.envelope.our_identity or default[0], each.envelope.partner_identity or default[1])
        for each in partner.agreements
        if each.direction is Direction.OUT
    ]
    return list(dict.fromkeys((str(ours), str(theirs)) for ours, theirs in used or [default]))


def standing_numbers(ledger: Ledger, directory: Directory, key: str) -> list[counters.Counter]:
    """Where our counts for a partner stand, also those that were not begun (see ``counters.beginning``).

    Raises:
        UnknownPartner
    """
    try:
        expected = pairs(directory, directory.get(key))
    except ConfigurationFault:  # without an identity of ours nothing is numbered
        expected = []
    with ledger.reading() as connection:
        known = {(each.ours, each.theirs, each.level): each for each in counters.counters(connection, key)}
        for pair in ((*each, level) for each in expected for level in counters.LEVELS):
            if pair not in known:
                known[pair] = counters.Counter(key, *pair, next=counters.beginning(connection, *pair))
    return list(known.values())


def _pair(context: Context, wanted: Start) -> tuple[str, str]:
    partner = context.directory.get(wanted.partner)
    if wanted.ours and not context.directory.is_ours(Identity.parse(wanted.ours)):
        raise UsageFault(reason=f"{wanted.ours} is not among our identities in gateway.toml.")
    if wanted.theirs and Identity.parse(wanted.theirs) not in partner.identities:
        raise UsageFault(reason=f"{wanted.theirs} is not an identity of {partner.key}.")
    known = pairs(context.directory, partner)
    fitting = [each for each in known if wanted.ours in {"", each[0]} and wanted.theirs in {"", each[1]}]
    if wanted.ours and wanted.theirs:
        return wanted.ours, wanted.theirs
    if len(fitting) != 1:
        listed = "; ".join(f"{ours} to {theirs}" for ours, theirs in known)
        raise UsageFault(reason=f"Say --ours and --theirs, for {partner.key} has these pairs: {listed}.")
    return fitting[0]


def _begin(recorder: Recorder, wanted: Start, pair: Sequence[str], *, reason: str, force: bool) -> Iterator[Started]:
    counts = counters.locked(recorder.connection, wanted.partner, pair[0], pair[1])
    for level, number in (("interchange", wanted.interchange), ("group", wanted.group)):
        if number is None:
            continue
        count = counts[level]
        if number < count.next and not force:
            raise NotAllowedNow(
                what=f"our {level} count to",
                key=f"{wanted.partner} ({pair[0]} to {pair[1]})",
                state=f"at {count.next}",
                reason=f"{number} may have been used; --force with --why takes it nevertheless",
            )
        if number != count.next:
            counters.put(recorder.connection, counters.Counter(wanted.partner, pair[0], pair[1], level, number))
            recorder.event(
                "numbers-started",
                partner=wanted.partner,
                level=level,
                ours=pair[0],
                theirs=pair[1],
                before=count.next,
                next=number,
                reason=reason,
            )
        yield Started(wanted.partner, pair[0], pair[1], level, count.next, number, number != count.next)
