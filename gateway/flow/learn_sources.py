"""Learn, what is read: files and mails become the values that a profile is proposed from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from gateway import x12
from gateway.errors import GatewayError, MessageFault, NotX12
from gateway.flow.case import Case
from gateway.flow.identify import identity
from gateway.flow.unpack import find_payloads
from gateway.ledger.events import one_line
from gateway.ledger.work import StoredMessage
from gateway.mail.headers import decoded, split_entity
from gateway.mail.letters import open_letter
from gateway.mail.smime.certificates import KeyPair
from gateway.mail.smime.keys import fingerprint
from gateway.mail.smime.layers import is_secured, open_unproven
from gateway.settings.model import Limits
from gateway.x12.model import GroupReport, InterchangeReport
from gateway.x12.sniff import what_instead
from partners.learning import SeenGroup, SeenInterchange, SeenMail
from partners.model import Separators
from partners.profile_values import read_identity

# Possessive: a long file of header-like lines must not be tried in every way that its line ends allow.
_MAIL = re.compile(rb"\A(?:From [^\n]*+\n)?(?:[!-9;-~]++:[^\n]*+\n(?:[ \t][^\n]*+\n)*+)++\r?\n")
_NAME = re.compile(r'^\s*"?([^"<>]*?)"?\s*<[^<>]+>\s*$')
_SET = re.compile(r"[0-9A-Z]{3}")
_HEAD = 256_000  # bytes in which a header block ends
_CENTURY = 70  # YY from here on is of the last century


class Seen(Struct):
    """What was read so far. ``skipped`` says of each file, or part of a mail, that gave nothing, why."""

    interchanges: list[SeenInterchange] = field(default_factory=list)
    mails: list[SeenMail] = field(default_factory=list)
    certificates: dict[str, bytes] = field(default_factory=dict)  # fingerprint → DER
    skipped: list[tuple[str, str]] = field(default_factory=list)
    files: int = 0


def files_in(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Every file with its label: of a directory all that lie in it, however deep, but for hidden ones."""
    for path in paths:
        if not path.is_dir():
            yield path, _label(path.name)
            continue
        for each in sorted(path.rglob("*")):
            inside = each.relative_to(path)
            if each.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield each, _label(str(inside))


def _label(name: str) -> str:
    return one_line(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def read_file(seen: Seen, path: Path, label: str, limits: Limits, keys: Sequence[KeyPair] = ()) -> None:
    """Adds what one file tells; a file that tells nothing is noted with the reason."""
    seen.files += 1
    try:
        if path.stat().st_size > limits.message_size:
            seen.skipped.append((label, f"it has more than {limits.message_size} bytes"))
            return
        read_bytes(seen, path.read_bytes(), label, limits, keys)
    except OSError as problem:
        seen.skipped.append((label, problem.strerror or str(problem)))


def read_bytes(seen: Seen, data: bytes, label: str, limits: Limits, keys: Sequence[KeyPair] = ()) -> None:
    """Adds what a mail or a file of interchanges tells."""
    try:
        if is_mail(data):
            read_mail(seen, data, label, limits, keys)
        else:
            _interchanges(seen, data, label)
    except GatewayError as fault:
        seen.skipped.append((label, str(fault)))


def is_mail(data: bytes) -> bool:
    """Whether the bytes begin with a header block that has a From."""
    found = _MAIL.match(data[:_HEAD])
    return found is not None and re.search(rb"(?im)^from[ \t]*:", found[0]) is not None


def read_mail(seen: Seen, raw: bytes, label: str, limits: Limits, keys: Sequence[KeyPair] = ()) -> None:
    """Adds a mail: its sender, who signed it, and the interchanges in it. Nothing of it is proven.

    Raises:
        MessageFault: it cannot be opened, or holds no interchange.
    """
    raw = re.sub(rb"\AFrom [^\n]*\n", b"", raw)  # the first line of an mbox
    letter = open_letter(raw, limits)
    signers: tuple[bytes, ...] = ()
    encrypted = False
    if is_secured(raw, limits):
        opened, signers = open_unproven(raw, limits=limits, keys=keys)
        encrypted = any(each.kind == "encrypted" for each in opened.layers)
        letter = replace(letter, parts=open_letter(opened.entity, limits).parts)
    if letter.kind != "letter":
        raise MessageFault(reason=f"it is a {letter.kind}, not a mail with documents")
    case = Case(StoredMessage(0, 0, "", "", "", "", 0, raw), letter=letter)
    find_payloads(case, limits)
    seen.certificates |= {fingerprint(der): der for der in signers}
    prints = tuple(fingerprint(der) for der in signers)
    seen.mails.append(SeenMail(label, letter.from_address, _display_name(raw, limits), prints, encrypted))
    for payload in case.payloads:
        if payload.fault is not None:
            seen.skipped.append((label, str(payload.fault)))
            continue
        _interchanges(seen, payload.data, label, letter.from_address)


def _display_name(raw: bytes, limits: Limits) -> str:
    headers, _ = split_entity(raw, 0, len(raw), limits)
    found = _NAME.match(decoded(headers.first("from"), 200))
    return found[1].strip() if found and found[1].strip().isprintable() else ""


def _interchanges(seen: Seen, data: bytes, label: str, address: str = "") -> None:
    """Adds the interchanges in some bytes.

    Raises:
        NotX12: there is none.
    """
    found = [] if x12.sniff(data) < 0 else [each for each in x12.examine(data) if each.header is not None]
    if not found:
        raise NotX12(name=label, reason=what_instead(data))
    for report in found:
        made = _seen(report, label, address)
        try:
            for each in (made.sender, made.receiver):
                read_identity(str(each))
        except ValueError as problem:
            seen.skipped.append((label, f"interchange {made.control_number}: {problem}"))
        else:
            seen.interchanges.append(made)


def _seen(report: InterchangeReport, label: str, address: str) -> SeenInterchange:
    header, marks = report.header, report.separators
    assert header is not None
    ending = marks.suffix if marks.suffix in {"", "\n", "\r\n"} else ""
    return SeenInterchange(
        source=label,
        sender=identity(header.sender),
        receiver=identity(header.receiver),
        control_number=header.control_number,
        at=_moment(header.date, header.time),
        version=header.version,
        usage=header.usage,
        asks_ta1=header.acknowledgment_requested,
        separators=Separators(
            marks.element, marks.component, marks.segment, marks.repetition or Separators().repetition, ending
        ),
        groups=tuple(_group(each, report) for each in report.groups),
        ta1s=len(report.interchange_acks),
        address=address,
    )


def _group(group: GroupReport, report: InterchangeReport) -> SeenGroup:
    sets = dict.fromkeys(each.id for each in group.sets if _SET.fullmatch(each.id))
    answers = (
        dict.fromkeys(one.set_id for ack in report.group_acks for one in ack.sets if _SET.fullmatch(one.set_id))
        if group.functional_id == "FA"
        else {}
    )
    groups = dict.fromkeys(ack.control_number for ack in report.group_acks) if group.functional_id == "FA" else {}
    return SeenGroup(
        group.functional_id,
        group.sender,
        group.receiver,
        group.control_number,
        group.version,
        tuple(sets),
        tuple(answers),
        tuple(groups),
    )


def _moment(date: str, time: str) -> str:
    """ISA09 and ISA10 as text that sorts; what is no date sorts first."""
    if len(date) != 6 or not date.isdigit():
        return ""
    century = "19" if int(date[:2]) >= _CENTURY else "20"
    return f"{century}{date}{time if time.isdigit() else ''}"
