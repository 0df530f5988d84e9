"""The specification for a partner: who we are, what is exchanged, how it is answered, how to test. One neutral page.

HTML, PDF and text are drawn from the same page, so that they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from gateway.flow.context import Context
from gateway.flow.partner_spec_mail import mail_section, security_section
from gateway.flow.submit import interchange_version
from gateway.ledger.reports.page import Figure, Page, Section, Table
from gateway.settings.values import say_duration
from partners.model import (
    AcknowledgmentPolicy,
    Agreement,
    Counted,
    Direction,
    FunctionalAck,
    Identity,
    Numbering,
    Partner,
    Separators,
    Status,
    TA1Policy,
)
from partners.profile_values import duration_text, line_ending_text, separator_text

_CODES = (
    (
        "TA1",
        "R and a note",
        "The interchange is refused as a whole; none of it was taken.",
        "Correct and send it again.",
    ),
    ("TA1", "025", "The interchange control number was used before for other content.", "Use the next number."),
    ("TA1", "020", "The test indicator (ISA15) does not fit where we stand.", "Write T for a test, P in earnest."),
    (
        "997, 999",
        "AK5 or IK5 R",
        "The transaction set is rejected; AK3, AK4 or IK3, IK4 name the place.",
        "Send it again.",
    ),
    ("997, 999", "AK5 or IK5 E", "Taken, although something is wrong with it.", "Correct it for the next time."),
    ("997, 999", "AK9 P", "Some sets of the group were taken, the others were not.", "Send the rejected ones again."),
)
_PROCEDURE = (
    "1. Send us a test with ISA15 T from one of your addresses. We answer it; it never reaches our business.",
    "2. We send you a test with ISA15 T. Answer it as agreed.",
    "3. When both were accepted we agree on the day of the first ISA15 P, and on the control numbers to begin with.",
)


def specification(context: Context, partner: Partner) -> Page:
    """The page for one partner, from its profile, gateway.toml and our keys.

    Raises:
        ConfigurationFault: gateway.toml names no identity of ours.
    """
    settings, now = context.settings, context.clock()
    facts = [("From", settings.name), ("For", partner.name), ("As of", _day(now))]
    facts += [("Contact", settings.contact)] if settings.contact else []
    facts += [("Stage", _stage(partner))]
    inbound = [each for each in partner.agreements if each.direction is Direction.IN]
    outbound = [each for each in partner.agreements if each.direction is Direction.OUT]
    sections = [
        _identities(context, partner),
        mail_section(context, partner),
        _sets(partner, inbound, outbound),
        *_from_you(partner, inbound),
        *_from_us(context, partner, outbound),
        _numbers(context, partner),
        *security_section(context, partner),
        _tests(context),
        _rejections(context),
    ]
    return Page(
        title="EDI specification",
        subtitle=f"for {partner.name}",
        author=settings.name,
        facts=tuple(facts),
        figures=tuple(_figures(context, partner)),
        sections=tuple(sections),
        footer=f"{settings.name}, EDI specification for {partner.name}, {_day(now)}",
    )


def _figures(context: Context, partner: Partner) -> Iterator[Figure]:
    yield Figure("Our EDI identity", str(_ours(context, partner)[0]), "qualifier and id, ISA05 to ISA08")
    yield Figure("Your EDI identity", str(partner.identities[0]))
    yield Figure("Standard", "ANSI X12", ", ".join(_versions(partner.agreements)) or "any version")


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def _stage(partner: Partner) -> str:
    return {
        Status.DRAFT: "being set up: nothing is exchanged yet",
        Status.TESTING: "testing: every interchange bears ISA15 T",
        Status.LIVE: "live: documents in earnest bear ISA15 P",
        Status.SUSPENDED: "suspended: nothing is exchanged for now",
        Status.ENDED: "ended",
    }[partner.status]


def _versions(agreements: Sequence[Agreement]) -> list[str]:
    return list(dict.fromkeys(version for each in agreements for version in each.versions))


def _ours(context: Context, partner: Partner) -> list[Identity]:
    """The identities of ours that this partner meets, the usual one first."""
    default = context.directory.our_default
    used = [each.envelope.our_identity or default for each in partner.agreements if each.direction is Direction.OUT]
    return list(dict.fromkeys((*used, default)))


def _identities(context: Context, partner: Partner) -> Section:
    rows = [
        ("We are", each.qualifier, each.id, _application(partner, ours=True) or each.id)
        for each in _ours(context, partner)
    ]
    rows += [
        ("You are", each.qualifier, each.id, _application(partner, ours=False) or each.id)
        for each in partner.identities
    ]
    table = Table(
        "EDI identities",
        ("who", "qualifier", "id", "application id (GS02, GS03)"),
        tuple(rows),
        tight=frozenset({0, 1}),
    )
    said = "An interchange whose sender or receiver is another one is put aside and not answered, for it may be forged."
    return Section("Who is who", (said,), tables=(table,))


def _application(partner: Partner, *, ours: bool) -> str:
    """The GS ids of what we send."""
    found = [
        each.envelope.application_sender if ours else each.envelope.application_receiver
        for each in partner.agreements
        if each.direction is Direction.OUT
    ]
    return ", ".join(dict.fromkeys(filter(None, found)))


def _sets(partner: Partner, inbound: Sequence[Agreement], outbound: Sequence[Agreement]) -> Section:
    rows = [("you to us", *_what(each)) for each in inbound] + [("we to you", *_what(each)) for each in outbound]
    table = Table(
        "Transaction sets", ("direction", "sets", "version (GS08)", "guideline"), tuple(rows), tight=frozenset({0})
    )
    notes = []
    if any(each.guideline for each in partner.agreements):
        notes.append("The guideline narrows the standard; ask us for the file.")
    return Section("What is exchanged", (), tables=(table,), notes=tuple(notes))


def _what(agreement: Agreement) -> tuple[str, str, str]:
    sets = "every set" if agreement.sets == ("*",) else ", ".join(agreement.sets)
    return sets, ", ".join(agreement.versions) or "any", agreement.guideline or "the standard"


def _from_you(partner: Partner, inbound: Sequence[Agreement]) -> Iterator[Section]:
    if not inbound:
        return
    sentences = [
        "Your separators may be any that your ISA names; one interchange may have others than the next.",
        "One file may hold several interchanges, one interchange several groups, one group several transaction sets.",
        f"ISA15 is {_usage_wanted(inbound)}.{_when_live(partner)}",
    ]
    rows = [(each.name, _answers(each), _ta1(each.acknowledgment)) for each in inbound]
    table = Table(
        "What we answer", ("agreement", "functional acknowledgment", "TA1"), tuple(rows), wide=frozenset({1, 2})
    )
    yield Section("What you send us", tuple(sentences), tables=(table,))


def _usage_wanted(inbound: Sequence[Agreement]) -> str:
    usual = "/".join(dict.fromkeys(each.envelope.usage for each in inbound))
    return f"{usual} in earnest and T for tests" if usual != "T" else "T"


def _when_live(partner: Partner) -> str:
    return {
        "quarantine": " Once you are live, tell us before you send a test: a person looks at it first.",
        "accept": " Tests are welcome when you are live, too.",
        "reject": " Once you are live, tests are refused with TA1 020.",
    }[partner.on_test]


def _answers(agreement: Agreement) -> str:
    policy = agreement.acknowledgment
    if policy.functional is FunctionalAck.NONE:
        return "none"
    kind = _functional(agreement)
    detail = {"set": "naming every set", "rejected": "naming the sets that were not accepted", "group": "for the group"}
    return f"{kind}, {detail[policy.detail.value]}"


def _functional(agreement: Agreement) -> str:
    """997 or 999, as the versions decide where nothing else was agreed on."""
    chosen = agreement.acknowledgment.functional
    if chosen is not FunctionalAck.AUTO:
        return "" if chosen is FunctionalAck.NONE else chosen.value
    guides = {each.startswith("005010X") for each in agreement.versions}
    if len(guides) == 1 and "005010" not in agreement.versions:
        return "999" if guides == {True} else "997"
    return "999 for HIPAA versions (005010X…), else 997"


def _ta1(policy: AcknowledgmentPolicy) -> str:
    return {
        TA1Policy.WHEN_ASKED: "when ISA14 is 1, and when the interchange is refused",
        TA1Policy.ALWAYS: "always",
        TA1Policy.NEVER: "never",
    }[policy.ta1]


def _from_us(context: Context, partner: Partner, outbound: Sequence[Agreement]) -> Iterator[Section]:
    if not outbound:
        return
    default = context.directory.our_default
    rows = []
    for each in outbound:
        settings = each.envelope
        version = settings.interchange_version or interchange_version((each.versions or ("004010",))[0])
        parties = f"{settings.our_identity or default} to {settings.partner_identity or partner.identities[0]}"
        rows.append((each.name, parties, version, _marks(settings.separators, version)))
    envelopes = Table(
        "Envelopes",
        ("agreement", "from and to", "ISA12", "separators"),
        tuple(rows),
        tight=frozenset({2}),
        wide=frozenset({3}),
    )
    expected = [(each.name, _expected(each)) for each in outbound]
    answers = Table("What we expect", ("agreement", "your answer"), tuple(expected), wide=frozenset({1}))
    said = "What is not answered in time we ask you about; what you reject we correct and send again under new numbers."
    yield Section("What we send you", (said,), tables=(envelopes, answers))


def _marks(marks: Separators, version: str) -> str:
    words = [f"element {separator_text(marks.element)}", f"component {separator_text(marks.component)}"]
    words += [f"segment {separator_text(marks.segment)}"]
    words += [f"repetition {separator_text(marks.repetition)}"] if version >= "00402" else []
    words += [f"then {line_ending_text(marks.line_ending)}"] if marks.line_ending else []
    return ", ".join(words)


def _expected(agreement: Agreement) -> str:
    policy = agreement.acknowledgment
    kind = _functional(agreement)
    wanted = [f"a {kind}"] if kind else []
    wanted += ["a TA1"] if agreement.envelope.request_ta1 else []
    if policy.within is None or not wanted:
        return "none"
    time = duration_text(policy.within) + (" of your working time" if policy.counted is Counted.WORKING else "")
    return f"{' and '.join(wanted)} within {time} of our mail"


def _numbers(context: Context, partner: Partner) -> Section:
    habit = {
        Numbering.CONSECUTIVE: "each ISA13 follows the one before; we ask about one that is missing",
        Numbering.INCREASING: "ISA13 rises; some numbers may be left out",
        Numbering.ANY: "we conclude nothing from the order of ISA13",
    }[partner.numbers]
    window = say_duration(context.settings.duplicate_window)
    return Section(
        "Control numbers",
        (
            f"Yours: {habit}. A number may not come again for other content within {window}; tests count apart.",
            "The same interchange again is recognised, not taken twice, and answered as it was the first time.",
            "Ours: nine digits, each follows the one before, separately for each pair of identities.",
        ),
    )


def _tests(context: Context) -> Section:
    sentences = list(_PROCEDURE)
    selftest = context.settings.selftest
    if selftest.address:
        sentences.append(
            f"By yourself, at any time: mail a file to {selftest.address} from one of your addresses, and you get a "
            f"report of what we read and what we would answer, up to {selftest.per_hour} in an hour. Nothing is taken."
        )
    return Section("How to test", tuple(sentences))


def _rejections(context: Context) -> Section:
    table = Table(
        "What our answers mean",
        ("answer", "code", "what it says", "what to do"),
        _CODES,
        tight=frozenset({0}),
        wide=frozenset({2, 3}),
    )
    contact = context.settings.contact
    said = f"Questions: {contact}." if contact else "Questions: answer any of our mails."
    return Section("When something is rejected", (said,), tables=(table,))
