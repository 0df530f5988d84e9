"""From what was seen of a partner to the lines of a profile, each with its source. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from partners.learning import (
    PLACEHOLDER_DOMAIN,
    Known,
    Proposal,
    SeenGroup,
    SeenInterchange,
    Traffic,
    key_for,
    name_for,
)
from partners.learning_habits import SURE, delays, habits, last_numbers
from partners.learning_text import Block, Line, profile_text
from partners.model import Identity, Numbering, Separators
from partners.profile_values import duration_text, line_ending_text, read_version, separator_text

_SPANS = tuple(timedelta(hours=each) for each in (4, 12, 24, 48, 72, 168))
_DERIVED = "its version as in GS08 gives another one"


def propose(traffic: Traffic, known: Known, taken: Iterable[str], *, key: str = "", address: str = "") -> Proposal:
    """The profile that fits what was seen of one partner.

    Args:
        traffic: all of it; at least one interchange.
        known: us, and the partners there are.
        taken: keys that are in use.
        key: what to call the partner; made up where it is empty.
        address: where its mail comes from, where no mail tells.

    Raises:
        ProfileInvalid: an identity that no profile may have.
    """
    addresses = tuple(
        dict.fromkeys([*(each.address.lower() for each in traffic.mails), *([address] if address else [])])
    )
    first = traffic.identities[0]
    owner = next(
        (known.owners[each] for each in (*map(str, traffic.identities), *addresses) if each in known.owners), ""
    )
    chosen = key or key_for(addresses[0] if addresses else "", first, taken)
    named = _key_line(chosen, "as given" if key else "from the address" if addresses else "from the identity")
    blocks = [_partner(traffic, known, named, addresses, owner), *_agreements(traffic, known)]
    text, checks = profile_text(blocks)
    return Proposal(
        key=chosen,
        name=name_for(traffic.mails, first)[0],
        text=text,
        addresses=addresses,
        identities=traffic.identities,
        came=len(traffic.came),
        went=len(traffic.went),
        checks=checks,
        numbers=last_numbers(traffic.came, traffic.went),
        certificates=tuple(dict.fromkeys(print_ for mail in traffic.mails for print_ in mail.signed_by)),
        known_as=owner,
    )


# ---------------------------------------------------------------- the partner


def _partner(traffic: Traffic, known: Known, key: Line, addresses: Sequence[str], owner: str) -> Block:
    notes = ["Proposed from what was seen; nothing is exchanged before somebody looked at it and activated it."]
    if owner:
        notes.append(f"CHECK: partner {owner} has an identity or address of this already; compare the two profiles")
    lines = [key, *_name(traffic), _addresses(traffic, addresses, str(key.value))]
    lines += [_identities(traffic), *_numbering(traffic), *_evidence(traffic)]
    notes += _receivers(traffic, known)
    return Block("", tuple(lines), tuple(notes))


def _key_line(key: str, source: str) -> Line:
    return Line("key", key, f"{source}; names the partner in the ledger for ever, so choose it well")


def _name(traffic: Traffic) -> Iterator[Line]:
    name, mail = name_for(traffic.mails, traffic.identities[0])
    if mail is not None:
        yield Line("name", name, f"from From in {mail.source}")
    else:
        yield Line("name", name, check="the name of the company, for people; this is its EDI id")


def _addresses(traffic: Traffic, addresses: Sequence[str], key: str) -> Line:
    if not addresses:
        unknown = [f"{key}@{PLACEHOLDER_DOMAIN}"]
        return Line(
            "addresses", unknown, check="no mail was seen; write the address that the partner's mail comes from"
        )
    if not traffic.mails:
        return Line("addresses", list(addresses), "as given")
    source = f"from From in {_sources([each.source for each in traffic.mails])}"
    several = len({each.rpartition("@")[2] for each in addresses}) > 1
    check = "of several domains; one of them may be a stranger who used the partner's identity" if several else ""
    return Line("addresses", list(addresses), source, check)


def _identities(traffic: Traffic) -> Line:
    came = [each for each in traffic.came if each.sender in traffic.identities]
    seen = came or traffic.went
    element = "ISA05 and ISA06" if came else "ISA07 and ISA08"
    return Line("identities", [str(each) for each in traffic.identities], _from(element, seen))


def _numbering(traffic: Traffic) -> Iterator[Line]:
    for name, (habit, count) in habits(traffic.came).items():
        element = "ISA13" if name == "numbers" else "GS06"
        if count < 2:
            continue
        said = f"from {element} of {count} {'interchanges' if name == 'numbers' else 'groups'}"
        if count < SURE:
            yield Line(name, habit.value, check=f"{said}; too few to be sure")
        elif habit is Numbering.CONSECUTIVE:
            yield Line(name, habit.value, said)
        else:
            yield Line(name, habit.value, said, check="are files missing here? If none is, this is their habit")


def _evidence(traffic: Traffic) -> Iterator[Line]:
    signed = [each for each in traffic.mails if each.signed_by]
    if signed:
        prints = ", ".join(dict.fromkeys(one[:16] for each in signed for one in each.signed_by))
        why = f"{signed[0].source} was signed by certificate {prints}…; once it is trusted, ask for signatures"
        yield Line("evidence", "signed", off=why)
    sealed = [each for each in traffic.mails if each.encrypted]
    if sealed:
        yield Line("notes", "Its mails are encrypted for us.", f"from {_sources([each.source for each in sealed])}")


def _receivers(traffic: Traffic, known: Known) -> Iterator[str]:
    """What the partner calls us, where that is none of our identities: all of it would be quarantined."""
    for each in dict.fromkeys(seen.receiver for seen in traffic.came):
        if each not in known.ours or each in known.unsaid:
            yield f"CHECK: it calls us {each} (ISA07 and ISA08), which is not among our identities in gateway.toml"
    for each in dict.fromkeys(seen.sender for seen in traffic.went):
        if each in known.unsaid:
            yield f"CHECK: we were {each} (ISA05 and ISA06) to it, which is not among our identities in gateway.toml"


# ---------------------------------------------------------------- its agreements


def _agreements(traffic: Traffic, known: Known) -> Iterator[Block]:
    nothing = True
    for version, seen in _by_version(traffic.came).items():
        nothing = False
        yield from _inbound(traffic, version, seen)
    outbound = _by_version(traffic.went)
    for version, seen in outbound.items():
        nothing = False
        yield from _outbound(traffic, known, version, seen)
    acknowledged = [] if outbound else _acknowledged(traffic.came)
    if acknowledged:
        nothing = False
        yield from _outbound_by_answers(traffic, known, acknowledged)
    if nothing:
        head = Line("direction", "in")
        check = "no document was seen; name the transaction sets that were agreed on"
        yield Block("[[agreement]]", (head, Line("sets", ["*"], check=check)))


_Seen = list[tuple[SeenInterchange, SeenGroup]]


def _by_version(seen: Sequence[SeenInterchange]) -> dict[str, _Seen]:
    """The groups with documents by GS08, the longest first, since 004010 covers 004010VICS; "" for what is none."""
    found: dict[str, _Seen] = {}
    for each in seen:
        for group in each.groups:
            if not group.acknowledges and group.sets:
                found.setdefault(_version(group.version), []).append((each, group))
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _version(text: str) -> str:
    try:
        return read_version(text)
    except ValueError:
        return ""


def _inbound(traffic: Traffic, version: str, seen: _Seen) -> Iterator[Block]:
    interchanges = [each for each, _ in seen]
    yield Block("[[agreement]]", (Line("direction", "in", _from("ISA06", interchanges)), *_sets(version, seen)))
    usage = _usage(interchanges)
    if usage:
        yield Block("[agreement.envelope]", (usage,))
    asks = [each for each in traffic.came if each.asks_ta1]
    lines = []
    if asks:
        lines.append(Line("ta1", "when-asked", f"from ISA14 of {len(asks)} of {len(traffic.came)} interchanges"))
    answers = _kinds(traffic.went)
    if answers:
        lines.append(Line("functional", answers[0][0], f"what they got so far: ST01 in {answers[0][1]}"))
    if lines:
        yield Block("[agreement.acknowledgment]", tuple(lines))


def _outbound(traffic: Traffic, known: Known, version: str, seen: _Seen) -> Iterator[Block]:
    interchanges = [each for each, _ in seen]
    yield Block("[[agreement]]", (Line("direction", "out", _from("ISA08", interchanges)), *_sets(version, seen)))
    newest, group = seen[-1]
    lines = list(_parties(traffic, known, newest.sender, newest.receiver, f"ISA06 in {newest.source}"))
    lines += _applications(group.sender, group.receiver, newest.sender, newest.receiver, newest.source)
    lines += _interchange_version(newest, version)
    usage = _usage(interchanges)
    lines += [usage] if usage else []
    if newest.asks_ta1:
        lines.append(Line("request_ta1", True, f"from ISA14 in {newest.source}"))
    if lines:
        yield Block("[agreement.envelope]", tuple(lines))
    yield from _separators(newest.separators, newest.source, sure=True)
    yield from _awaited(traffic)


def _outbound_by_answers(traffic: Traffic, known: Known, sets: Sequence[tuple[str, str, str]]) -> Iterator[Block]:
    """What the partner acknowledges it must have got from us, although no such interchange was seen."""
    names = list(dict.fromkeys(name for name, _, _ in sets))
    _, version, source = sets[-1]
    head = Line("direction", "out", f"from AK2 in {source}: they acknowledge what we sent")
    versions = Line("versions", [version], check="the version of their acknowledgment; ours may be another")
    yield Block("[[agreement]]", (head, Line("sets", names, f"from AK201 in {source}"), versions))
    newest = traffic.came[-1]
    lines = list(_parties(traffic, known, newest.receiver, newest.sender, f"ISA08 in {newest.source}"))
    if lines:
        yield Block("[agreement.envelope]", tuple(lines))
    yield from _separators(newest.separators, newest.source, sure=False)
    yield from _awaited(traffic)


def _sets(version: str, seen: _Seen) -> Iterator[Line]:
    names = list(dict.fromkeys(name for _, group in seen for name in group.sets))
    interchanges = [each for each, _ in seen]
    yield Line("sets", names, _from("ST01", interchanges))
    if version:
        yield Line("versions", [version], _from("GS08", interchanges))


def _usage(seen: Sequence[SeenInterchange]) -> Line | None:
    """What an agreement is for; production where nothing else was seen for sure."""
    kinds = {each.usage for each in seen}
    if kinds == {"I"}:
        return Line("usage", "I", _from("ISA15", seen))
    if kinds == {"T"}:
        return Line("usage", "P", check="only tests (ISA15 T) were seen; this holds once the partner is live")
    if "T" in kinds:
        tests = [each for each in seen if each.usage == "T"]
        return Line("usage", "P", f"from ISA15; {len(tests)} of {len(seen)} interchanges were tests")
    return Line("usage", "P", _from("ISA15", seen)) if kinds == {"P"} else None


def _parties(traffic: Traffic, known: Known, ours: Identity, theirs: Identity, source: str) -> Iterator[Line]:
    if known.ours and ours != known.ours[0] and ours in known.ours:
        yield Line("our_identity", str(ours), f"from {source}")
    if theirs != traffic.identities[0]:
        yield Line("partner_identity", str(theirs), f"from {source}")


def _applications(sender: str, receiver: str, ours: Identity, theirs: Identity, source: str) -> Iterator[Line]:
    if sender and sender != ours.id:
        yield Line("application_sender", sender, f"from GS02 in {source}")
    if receiver and receiver != theirs.id:
        yield Line("application_receiver", receiver, f"from GS03 in {source}")


def _interchange_version(seen: SeenInterchange, version: str) -> Iterator[Line]:
    derived = version[:5] if version[:6].isdigit() and len(version) >= 6 else ""
    if seen.version and seen.version != derived:
        yield Line("interchange_version", seen.version, f"from ISA12 in {seen.source}; {_DERIVED}")


def _separators(found: Separators, source: str, *, sure: bool) -> Iterator[Block]:
    """The separators, where they are not the usual ones."""
    usual = Separators()
    lines = []
    places = {"element": "ISA position 4", "component": "ISA16", "segment": "ISA position 106", "repetition": "ISA11"}
    check = "" if sure else "what they use themselves; they may want others from us"
    for name, place in places.items():
        value = getattr(found, name)
        if value and value != getattr(usual, name):
            lines.append(Line(name, separator_text(value), f"from {place} in {source}", check))
    if found.line_ending:
        ending = line_ending_text(found.line_ending)
        lines.append(Line("line_ending", ending, f"from the segments of {source}", check))
    if lines:
        yield Block("[agreement.envelope.separators]", tuple(lines))


def _awaited(traffic: Traffic) -> Iterator[Block]:
    """Which functional acknowledgment the partner sends, and how soon it came."""
    yield Block("[agreement.acknowledgment]", (_answered_with(traffic), *_answered_within(traffic)))


def _answered_with(traffic: Traffic) -> Line:
    kinds = _kinds(traffic.came)
    if len(kinds) > 1:
        return Line("functional", "auto", check="they sent both 997 and 999")
    if kinds:
        return Line("functional", kinds[0][0], f"from ST01 in {kinds[0][1]}")
    if any(each.ta1s for each in traffic.came):
        return Line("functional", "auto", check="TA1 were seen, but no 997 or 999; do they send one?")
    said = f"of {len(traffic.went)} interchanges no answer was seen; do they send 997 or 999?"
    return Line("functional", "auto", check=said)


def _answered_within(traffic: Traffic) -> Iterator[Line]:
    """The time that they took at most, with as much again to spare."""
    found = delays(traffic.came, traffic.went)
    if found:
        longest = max(found)
        within = next((each for each in _SPANS if each >= 2 * longest), None)
        if within is not None:
            said = (
                f"{len(found)} answers came within {duration_text(longest) or 'a minute'} of ours, by ISA09 and ISA10"
            )
            check = "their clock and ours may be of other time zones"
            yield Line("within", duration_text(within), said, check)


def _kinds(seen: Sequence[SeenInterchange]) -> list[tuple[str, str]]:
    """Which of 997 and 999 were seen, the newest first, with where."""
    found: dict[str, str] = {}
    for each in reversed(seen):
        for group in each.groups:
            for kind in group.sets if group.acknowledges else ():
                if kind in {"997", "999"}:
                    found.setdefault(kind, each.source)
    return list(found.items())


def _acknowledged(came: Sequence[SeenInterchange]) -> list[tuple[str, str, str]]:
    """The sets that 997 and 999 of the partner speak of: (set, version of the acknowledgment, source)."""
    return [(name, group.version, each.source) for each in came for group in each.groups for name in group.acknowledged]


# ---------------------------------------------------------------- sources


def _from(element: str, seen: Sequence[SeenInterchange]) -> str:
    return f"from {element} in {_sources([each.source for each in seen])}"


def _sources(names: Sequence[str]) -> str:
    different = list(dict.fromkeys(names))
    more = len(different) - 1
    return different[0] + (f" and {more} other{'' if more == 1 else 's'}" if more else "")
