"""Self-test: a partner mails a file to the test address, and it is judged as any other would be, and nothing else.

Nothing of it is delivered, takes a control number or counts as an interchange. What would have happened is written into
a report that goes back to the address the mail came from, if that is a partner's and proven as its profile asks for.
"""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from gateway import x12
from gateway.errors import GatewayError, MessageFault
from gateway.flow.acknowledge import functional_groups, ta1_wanted
from gateway.flow.case import Case, InterchangeCase, SelfTest
from gateway.flow.context import Context
from gateway.flow.identify import identify_interchange
from gateway.flow.prove import prove
from gateway.flow.selftest_report import Judged, report
from gateway.flow.strictness import inbound_policy
from gateway.flow.unpack import examine
from gateway.flow.unwrap import check_security
from gateway.x12.drafts import DraftInterchange
from gateway.x12.model import Header
from partners.model import AcknowledgmentPolicy, Status

KIND = "self-test"  # of the message
_MAY_TEST = (Status.DRAFT, Status.TESTING, Status.LIVE)
_NO_NUMBER = "000000000"  # none is used for what is only shown


def is_self_test(context: Context, case: Case) -> bool:
    """Whether a mail asks for a self-test: a letter to the test address and no other of ours, from who may test."""
    address, letter = context.settings.selftest.address.lower(), case.letter
    if not address or letter is None or letter.kind != "letter" or letter.loop or letter.sender_problem:
        return False
    named = {each.lower() for each in (*letter.to, *letter.cc)}
    reached = named | {each.lower() for each in letter.delivered_to}
    if address not in reached or (named - {address}) & _ours(context):
        return False
    partner = context.directory.by_address(letter.from_address)
    return partner is not None and partner.status in _MAY_TEST


def _ours(context: Context) -> set[str]:
    """Our other addresses: what is sent to one of them, too, is in earnest."""
    smtp = context.settings.smtp
    found = {each.user.lower() for each in context.settings.mailboxes if "@" in each.user}
    found |= {smtp.sender.lower()} if smtp is not None else set()
    return found - {context.settings.selftest.address.lower()}


def self_test(context: Context, case: Case) -> None:
    """Judges what the mail carries and writes the report; whose sender is not proven keeps its fault and gets none."""
    assert case.letter is not None
    partner = context.directory.by_address(case.letter.from_address)
    assert partner is not None
    problem = case.fault
    case.partner = partner
    if not _proven(context, case):
        return
    examine(case, inbound_policy(partner))
    judged = [_judged(context, case, payload.file_name or payload.path, each) for payload, each in case.interchanges]
    text, answers = report(context, case, partner, judged, problem)
    case.self_test = SelfTest(text, answers, _outcome(judged, problem))
    case.letter = replace(case.letter, kind=KIND)
    case.payloads = []


def _proven(context: Context, case: Case) -> bool:
    """Whether the sender is proven as the profile asks for; else the case has the fault that says why not."""
    case.fault = None
    prove(context, case)
    return case.fault is None


def _outcome(judged: list[Judged], problem: MessageFault | None) -> str:
    if not judged:
        return f"no interchange was found ({problem.code if problem else 'content.missing'})"
    refused = sum(each.interchange.fault is not None for each in judged)
    number = f"{len(judged)} interchange{'' if len(judged) == 1 else 's'}"
    return f"{number} judged, {refused or 'none'} of them to be put into quarantine"


def _judged(context: Context, case: Case, name: str, interchange: InterchangeCase) -> Judged:
    assert case.partner is not None
    assert case.letter is not None
    # Where the partner stands does not matter for a test that is none of its traffic.
    trying = replace(case.partner, status=Status.LIVE, on_test="accept")
    identify_interchange(interchange, trying, case.letter.from_address, context.directory)
    check_security(case, interchange)
    return Judged(name, interchange, _answer(context, interchange))


def _answer(context: Context, interchange: InterchangeCase) -> bytes:
    """The interchange that would answer it, without numbers; nothing where none would."""
    judged, header = interchange.report, interchange.report.header
    if interchange.fault is not None or header is None or interchange.only_acknowledges:
        return b""
    agreement = interchange.first_agreement
    policy = agreement.acknowledgment if agreement else AcknowledgmentPolicy()
    refused = judged.ta1[0] == "R"
    wanted = ta1_wanted(policy, header, refused=refused)
    groups = () if refused else functional_groups(interchange)
    if not wanted and not groups:
        return b""
    moment = datetime.fromtimestamp(context.clock() / 1000, UTC)
    own = Header(
        header.receiver, header.sender, f"{moment:%y%m%d}", f"{moment:%H%M}", header.version, _NO_NUMBER, False, "T"
    )
    acks = (x12.interchange_acknowledgment(judged),) if wanted else ()
    draft = DraftInterchange(own, tuple(replace(each, control_number=0) for each in groups), acks, moment)
    try:
        return x12.write_interchange(draft, x12.acknowledgment_separators(judged))
    except GatewayError:  # data that no acknowledgment can carry; the report tells the findings in any case
        return b""
