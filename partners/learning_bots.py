"""Partners and channels of Bots (an open-source EDI translator), from its plugin or its index file. Pure.

What Bots exports is a list of entries, each of a ``plugintype``: partner, chanpar (an address for one channel),
channel, translate (which message becomes which), confirmrule, uniek (a counter). The index is a Python file, which is
only parsed and never run: of it, nothing but literal values is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from partners.learning import PLACEHOLDER_DOMAIN
from partners.learning_text import Block, Line, profile_text
from partners.model import Identity
from partners.profile_values import read_address, read_version

Entry = Mapping[str, object]
_TYPE = re.compile(r"(\d{3})(\d{6}[0-9A-Z]{0,6})?(?:\D.*)?")
_COUNTER = "isacounter_"
_MAIL_IN = {
    "pop3": ("pop3", "none", ""),
    "pop3s": ("pop3", "tls", ""),
    "pop3apop": ("pop3", "none", "apop"),
    "imap4": ("imap", "none", ""),
    "imap4s": ("imap", "tls", ""),
}
_MAIL_OUT = {"smtp": "none", "smtps": "tls", "smtpstarttls": "starttls"}
_MARKS = {"field_sep": "element", "sfield_sep": "component", "record_sep": "segment", "reserve": "repetition"}
_QUALIFIER = "ZZ"


class BotsExport(Struct, frozen=True):
    """What was read: all entries, and the ``syntax`` of partners' own files by idpartner."""

    entries: tuple[Entry, ...]
    syntaxes: Mapping[str, Entry]

    def of(self, plugintype: str) -> list[Entry]:
        """The entries of one type."""
        return [each for each in self.entries if each.get("plugintype") == plugintype]


class BotsPartner(Struct, frozen=True):
    """One partner as a profile with its checks; ``problem`` says why there is none. ``last_isa`` is 0 where unknown."""

    idpartner: str
    key: str
    text: str
    checks: tuple[str, ...] = ()
    problem: str = ""
    last_isa: int = 0


def bots_partners(export: BotsExport, ours: Sequence[Identity]) -> list[BotsPartner]:
    """Every partner of the export; groups, and we ourselves, come with the reason why they are left out."""
    taken: set[str] = set()
    found = []
    for entry in export.of("partner"):
        partner = _partner(export, entry, ours, taken)
        taken.add(partner.key)
        found.append(partner)
    return found


def _partner(export: BotsExport, entry: Entry, ours: Sequence[Identity], taken: set[str]) -> BotsPartner:
    id_ = _text(entry.get("idpartner"))
    key = _free(
        re.sub(r"[^a-z0-9]+", "-", (_text(entry.get("name")) or id_).lower()).strip("-")[:40] or "partner", taken
    )
    if entry.get("isgroup"):
        return BotsPartner(id_, key, "", problem="it is a group of partners")
    if any(each.id == id_ for each in ours):
        return BotsPartner(id_, key, "", problem="that is ourselves (identities in gateway.toml)")
    if not id_ or len(id_) > 15 or not id_.isascii() or not id_.isprintable():
        return BotsPartner(id_, key, "", problem=f"{id_!r} cannot be an EDI id (1 to 15 characters of ASCII)")
    blocks = [_head(export, entry, id_, key), *_agreements(export, id_)]
    text, checks = profile_text(blocks)
    return BotsPartner(id_, key, text, checks, last_isa=_counter(export, id_, ours))


def _head(export: BotsExport, entry: Entry, id_: str, key: str) -> Block:
    notes = [f"From the partner {id_} of Bots; nothing is exchanged before somebody looked at it and activated it."]
    if entry.get("active") in (False, "False", "0"):
        notes.append("CHECK: it is not active in Bots")
    name = _text(entry.get("name")) or id_
    lines = [Line("key", key), Line("name", name, "from name"), _addresses(export, entry, id_, key)]
    lines.append(_identity(export, id_))
    contact = ", ".join(filter(None, (_text(entry.get(each)) for each in ("phone1", "phone2", "city", "countrycode"))))
    lines += [Line("contact", contact, "from phone1, phone2, city and countrycode")] if contact else []
    about = _text(entry.get("desc"))
    lines += [Line("notes", about, "from desc")] if about else []
    copies = _mails(entry.get("cc"))
    tables = [Line("mail.cc", copies, "from cc")] if copies else []
    return Block("", (*lines, *tables), tuple(notes))


def _addresses(export: BotsExport, entry: Entry, id_: str, key: str) -> Line:
    own = _mails(entry.get("mail"))
    by_channel = [
        mail for each in export.of("chanpar") if _of(each.get("idpartner")) == id_ for mail in _mails(each.get("mail"))
    ]
    found = list({each.lower(): each for each in (*own, *by_channel)}.values())
    if not found:
        return Line("addresses", [f"{key}@{PLACEHOLDER_DOMAIN}"], check="Bots knows no mail address of it")
    return Line("addresses", found, f"from mail{' and addresses by channel' if by_channel else ''}")


def _identity(export: BotsExport, id_: str) -> Line:
    syntax = export.syntaxes.get(id_, {})
    qualifier = _text(syntax.get("ISA07"))
    if re.fullmatch(r"[0-9A-Z]{2}", qualifier):
        return Line("identities", [f"{qualifier}:{id_}"], "from idpartner, and ISA07 of its syntax file")
    check = "Bots keeps no qualifier with a partner; look at ISA05 of what it sends"
    return Line("identities", [f"{_QUALIFIER}:{id_}"], "from idpartner", check)


def _agreements(export: BotsExport, id_: str) -> Iterator[Block]:
    nothing = True
    for direction, found in (("in", _types(export, id_, inbound=True)), ("out", _types(export, id_, inbound=False))):
        for version, (sets, general) in found.items():
            nothing = False
            check = "the translation is one for all partners" if general else ""
            lines = [Line("direction", direction, "from the translations"), Line("sets", sets, "", check)]
            lines += [Line("versions", [version], "from the name of the message type")] if version else []
            yield Block("[[agreement]]", tuple(lines))
            if direction == "out":
                yield from _separators(export, id_)
            yield from _acknowledgment(export, id_, direction)
    if nothing:
        check = "no translation of X12 names it; write which sets were agreed on"
        yield Block("[[agreement]]", (Line("direction", "in"), Line("sets", ["*"], check=check)))


def _types(export: BotsExport, id_: str, *, inbound: bool) -> dict[str, tuple[list[str], bool]]:
    """Sets by version, and whether a translation for everybody is among what they are from."""
    edi, message, who = (
        ("fromeditype", "frommessagetype", "frompartner") if inbound else ("toeditype", "tomessagetype", "topartner")
    )
    found: dict[str, tuple[list[str], bool]] = {}
    for each in export.of("translate"):
        named = _of(each.get(who))
        match = _TYPE.fullmatch(_text(each.get(message)))
        if each.get(edi) != "x12" or match is None or match[1] in {"997", "999"} or named not in {"", id_}:
            continue
        version = _version(match[2] or "")
        sets, general = found.get(version, ([], False))
        if match[1] not in sets:
            sets.append(match[1])
        found[version] = (sets, general or not named)
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def _version(text: str) -> str:
    try:
        return read_version(text) if text else ""
    except ValueError:
        return ""


def _separators(export: BotsExport, id_: str) -> Iterator[Block]:
    syntax = export.syntaxes.get(id_, {})
    lines = [
        Line(name, _text(syntax[key]), f"from {key} of its syntax file")
        for key, name in _MARKS.items()
        if len(_text(syntax.get(key))) == 1
    ]
    ending = {"\r\n": "crlf", "\n": "lf"}.get(_raw(syntax.get("add_crlfafterrecord_sep")))
    lines += [Line("line_ending", ending, "from add_crlfafterrecord_sep of its syntax file")] if ending else []
    if lines:
        yield Block("[agreement.envelope.separators]", tuple(lines))


def _acknowledgment(export: BotsExport, id_: str, direction: str) -> Iterator[Block]:
    kind = "send-x12-997" if direction == "in" else "ask-x12-997"
    who = "frompartner" if direction == "in" else "topartner"
    rules = [each for each in export.of("confirmrule") if each.get("confirmtype") == kind and each.get("active", True)]
    fitting = [each for each in rules if each.get("ruletype") == "all" or _of(each.get(who)) == id_]
    if fitting and not any(each.get("negativerule") for each in fitting):
        yield Block("[agreement.acknowledgment]", (Line("functional", "997", f"from the confirm rule {kind}"),))


def _counter(export: BotsExport, id_: str, ours: Sequence[Identity]) -> int:
    """The last ISA13 that Bots used to a partner: its own counter, or the highest of those by sender."""
    counters = {
        _text(each.get("domein")).removeprefix(_COUNTER): _number(each.get("nummer"))
        for each in export.of("uniek")
        if _text(each.get("domein")).startswith(_COUNTER)
    }
    own = [number for name, number in counters.items() if name == id_ or name.endswith(f"_{id_}")]
    by_sender = [number for name, number in counters.items() if any(each.id == name for each in ours)]
    return max(own or by_sender, default=0)


def bots_channels(export: BotsExport) -> str:
    """The mail channels as tables for gateway.toml; passwords are never taken over."""
    rows: list[str] = []
    for each in export.of("channel"):
        rows += _channel(each)
    return "\n".join(rows) + "\n" if rows else ""


def _channel(entry: Entry) -> list[str]:
    kind, name = _text(entry.get("type")), re.sub(r"[^a-z0-9]+", "-", _text(entry.get("idchannel")).lower()).strip("-")
    host, user, port = _text(entry.get("host")), _text(entry.get("username")), _number(entry.get("port"))
    common = [Line("host", host), *([Line("port", port)] if port else []), *([Line("user", user)] if user else [])]
    if kind in _MAIL_IN:
        protocol, security, auth = _MAIL_IN[kind]
        lines = [
            Line("protocol", protocol),
            *common,
            Line("security", security, check="" if security == "tls" else _BARE),
        ]
        lines += [Line("auth", auth)] if auth else []
        folder = _text(entry.get("path")) if protocol == "imap" else ""
        lines += [Line("folder", folder)] if folder else []
        if not entry.get("remove"):
            lines.append(
                Line("keep_on_server", True, check="Bots left mail on the server; the gateway usually deletes it")
            )
        note = f"The channel {name} of Bots; its password: gateway secret set mailbox.{name}"
        return list(Block(f"[mailbox.{name}]", tuple(lines), (note,)).text())
    if kind in _MAIL_OUT:
        security = _MAIL_OUT[kind]
        lines = [*common, Line("security", security, check="" if security != "none" else _BARE)]
        note = f"The channel {name} of Bots (a gateway has one [smtp]); its password: gateway secret set smtp"
        return list(Block("[smtp]", tuple(lines), (note,)).text())
    return []


_BARE = "without TLS a password crosses the network in clear; use tls or starttls"


def _mails(value: object) -> list[str]:
    found = []
    for each in re.split(r"[,;\s]+", _text(value)):
        try:
            found.append(read_address(each))
        except ValueError:
            continue
    return found


def _of(value: object) -> str:
    """The id in a reference to a partner, which may be a list of one."""
    return _text(value[0] if isinstance(value, list | tuple) and value else value)


def _text(value: object) -> str:
    return _raw(value).strip()


def _raw(value: object) -> str:
    return "" if value is None or isinstance(value, bool | dict | list | tuple) else str(value)


def _number(value: object) -> int:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0


def _free(word: str, taken: set[str]) -> str:
    number, chosen = 1, word
    while chosen in taken:
        number += 1
        chosen = f"{word}-{number}"
    return chosen
