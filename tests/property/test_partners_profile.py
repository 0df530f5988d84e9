"""Profiles survive being written and read, whatever they say."""

import shlex
import string
import tomllib
from datetime import time, timedelta

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings.identities import QUALIFIERS
from gateway.settings.lines import key_lines
from gateway.settings.model import Kept
from partners.calendar import DAY_NAMES, Calendar, Holiday
from partners.model import (
    AckDetail,
    AcknowledgmentPolicy,
    Agreement,
    Counted,
    Delivery,
    Direction,
    EnvelopeSettings,
    Expected,
    FunctionalAck,
    Identity,
    MailSettings,
    Numbering,
    Partner,
    Security,
    Separators,
    Status,
    Storage,
    TA1Policy,
)
from partners.profile import check_profile, read_profile, with_status, write_profile
from partners.profile_values import TEMPLATE_NAMES

words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
printable = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs"]).filter(str.isprintable)
lines = st.text(printable | st.just(" "), max_size=20).map(lambda text: f"a{text}")
upper = string.ascii_uppercase + string.digits
identities = st.builds(Identity, st.sampled_from(sorted(QUALIFIERS)), st.text(upper + "-", min_size=1, max_size=15))
addresses = st.builds(lambda local, domain: f"{local}@{domain}.example", words, words)
durations = st.integers(1, 3650 * 86400).map(lambda seconds: timedelta(seconds=seconds))
set_ids = st.text(upper, min_size=3, max_size=3)
braced = st.sampled_from(TEMPLATE_NAMES).map(lambda name: f"{{{name}}}")


def templates_of(literals):
    escaped = literals.map(lambda text: text.replace("{", "{{").replace("}", "}}"))
    return st.lists(braced | escaped, min_size=1, max_size=4).map("".join)


templates = templates_of(texts)
line_templates = templates_of(lines)
file_names = line_templates.map(lambda text: text.replace("/", "-").replace("\\", "-"))


@st.composite
def separators(draw):
    visible = [each for each in string.punctuation if each not in "\"'"]
    four = draw(st.lists(st.sampled_from([*visible, "\x1c", "\x1d", "\x1e"]), min_size=4, max_size=4, unique=True))
    return Separators(*four, draw(st.sampled_from(["", "\n", "\r\n"])))


def envelopes(own):
    return st.builds(
        EnvelopeSettings,
        our_identity=st.none() | identities,
        partner_identity=st.none() | st.sampled_from(own),
        application_sender=st.just("") | st.text(upper, min_size=2, max_size=15),
        application_receiver=st.just("") | st.text(upper, min_size=2, max_size=15),
        interchange_version=st.sampled_from(["", "00401", "00501"]),
        usage=st.sampled_from("PTI"),
        request_ta1=st.booleans(),
        separators=separators(),
    )


acknowledgments = st.builds(
    AcknowledgmentPolicy,
    st.sampled_from(TA1Policy),
    st.sampled_from(FunctionalAck),
    st.sampled_from(AckDetail),
    st.none() | durations,
    st.sampled_from(Counted),
    st.none() | durations,
)
clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59))
days = st.lists(st.sampled_from(DAY_NAMES), min_size=1, max_size=7, unique=True).map(tuple)
holidays = st.builds(Holiday, st.integers(1, 12), st.integers(1, 28), st.just(0) | st.integers(2000, 2100))
calendars = st.builds(
    Calendar,
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    days,
    clocks,
    st.just(time(0)),
    st.lists(holidays, max_size=3, unique=True).map(tuple),
)
unit = st.sampled_from(["set", "interchange"])
deliveries = (
    st.builds(Delivery, st.just("directory"), st.just("") | words, unit, durations)
    | st.builds(Delivery, st.just("command"), lines.map(shlex.quote), unit, durations)
    | st.builds(Delivery, st.just("http"), words.map("https://hook.example/{}".format), unit, durations, words)
)
mails = st.builds(
    MailSettings,
    to=st.lists(addresses, max_size=2, unique=True).map(tuple),
    cc=st.lists(addresses, max_size=2, unique=True).map(tuple),
    subject=line_templates,
    file_name=file_names,
    body=templates,
    content_type=st.sampled_from(["application/EDI-X12", "text/plain"]),
    reply_to=st.just("") | addresses,
    headers=st.lists(
        st.tuples(st.sampled_from(["X-Document", "X-Route", "Priority"]), line_templates),
        max_size=2,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
    place=st.sampled_from(["attachment", "body"]),
    compress=st.sampled_from(["none", "gzip", "zip"]),
    transfer_encoding=st.sampled_from(["auto", "base64", "7bit"]),
)
securities = st.builds(
    Security,
    sign=st.booleans(),
    encrypt=st.booleans(),
    compress=st.booleans(),
    digest=st.sampled_from(["sha-256", "sha-384", "sha-512"]),
    cipher=st.sampled_from(["aes-128-cbc", "aes-256-cbc", "aes-128-gcm", "aes-256-gcm"]),
    key_transport=st.sampled_from(["rsa-pkcs1", "rsa-oaep"]),
    receipt=st.sampled_from(["none", "unsigned", "signed"]),
    receipt_within=st.none() | durations,
    weak=st.booleans(),
    key=st.just("") | words,
    receipt_counted=st.sampled_from(Counted),
)
versions = st.sampled_from([(), ("004010",), ("005010X222A1", "005010X223A2")])
business_keys = st.dictionaries(
    words.map(lambda word: f"k{word}"), st.sampled_from(["BEG03", "CLM05-1", "REF02[REF01=IA]"]), max_size=3
)
kept = st.integers(1, 36_600).map(lambda days: timedelta(days=days))


def inheriting(partner, own):
    """What an agreement keeps: as its partner does where it says nothing of its own."""
    return Kept(own.ledger or partner.ledger, own.payload or partner.payload)


@st.composite
def partners(draw):
    retention = draw(st.builds(Kept, st.none() | kept, st.none() | kept))
    own = tuple(draw(st.lists(identities, min_size=1, max_size=3, unique=True)))
    covered = draw(st.lists(set_ids, min_size=1, max_size=4, unique=True))
    names = draw(st.lists(lines, min_size=len(covered), max_size=len(covered), unique=True))
    agreements = tuple(
        Agreement(
            name=name,
            direction=draw(st.sampled_from(Direction)),
            sets=(set_id,),
            versions=draw(versions),
            envelope=draw(envelopes(own)),
            acknowledgment=draw(acknowledgments),
            delivery=draw(deliveries),
            mail=draw(mails),
            security=draw(securities),
            business_keys=tuple(draw(business_keys).items()),
            reject_from=draw(st.sampled_from(["error", "warning"])),
            on_doubt=draw(st.sampled_from(["hold", "resend"])),
            ordered=draw(st.booleans()),
            on_repeat=draw(st.sampled_from(["flag", "hold"])),
            retention=inheriting(retention, draw(st.builds(Kept, st.none() | kept, st.none() | kept))),
        )
        for set_id, name in zip(covered, names, strict=True)
    )
    inbound = [each for each in agreements if each.direction is Direction.IN]
    expected = st.sampled_from(inbound or [None]).flatmap(
        lambda each: st.builds(
            Expected,
            st.just(each.sets),
            clocks,
            st.just(()) | days,
            st.none() | clocks,
            st.sampled_from(["", each.name]),
        )
    )
    return Partner(
        key=draw(words),
        name=draw(lines),
        status=draw(st.sampled_from(Status)),
        addresses=tuple(draw(st.lists(addresses, min_size=1, max_size=3, unique=True))),
        identities=own,
        agreements=agreements,
        contact=draw(texts),
        notes=draw(texts),
        numbers=draw(st.sampled_from(Numbering)),
        group_numbers=draw(st.sampled_from(Numbering)),
        gap_grace=draw(durations),
        calendar=draw(calendars),
        expected=tuple(draw(st.lists(expected, max_size=2, unique=True))) if inbound else (),
        retention=retention,
        storage=draw(st.builds(Storage, st.booleans())),
    )


@settings(max_examples=60, deadline=None)
@given(partners())
def test_reading_what_was_written_gives_the_same_partner(partner):
    assert read_profile(write_profile(partner)) == partner


@settings(max_examples=30, deadline=None)
@given(partners(), st.sampled_from(Status))
def test_a_changed_status_changes_nothing_else(partner, status):
    changed = read_profile(with_status(write_profile(partner), status))
    assert changed.status is status
    assert [changed.name, changed.notes, changed.agreements] == [partner.name, partner.notes, partner.agreements]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("[]{}=.,\"'#\n\\ ab1key"), max_size=60) | texts)
def test_any_text_is_a_partner_or_problems_never_an_accident(text):
    partner, problems = check_profile(text)
    assert (partner is None) is bool(problems)
    assert all(1 <= each.line <= text.count("\n") + 1 for each in problems)


values = st.recursive(
    st.integers() | st.booleans() | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def paths_of(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inner in items:
        yield (*path, part)
        yield from paths_of(inner, (*path, part))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(texts, values, max_size=4), st.booleans())
def test_every_key_of_any_toml_has_a_line(document, multiline):
    text = tomli_w.dumps(document, multiline_strings=multiline)
    found = key_lines(text)
    assert set(paths_of(tomllib.loads(text))) == set(found)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
