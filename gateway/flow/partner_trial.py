"""A test with a partner: a conforming sample of a set that was agreed on, marked as a test, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from sqlalchemy import select

from gateway.errors import NoAgreement, NotAllowedNow, NotFound, UsageFault
from gateway.flow.anew import AWAITED_ANEW
from gateway.flow.context import Context
from gateway.flow.partner_evidence import hosts_away
from gateway.flow.submit import submit
from gateway.ledger import tables
from gateway.ledger.moments import duration, spoken
from gateway.ledger.states import ExchangeState
from gateway.ledger.story import Story, story
from gateway.ledger.story_values import AcknowledgmentStory
from gateway.values import asdict
from gateway.x12.guideline.catalog import choose, known_sets
from gateway.x12.guideline.model import Guideline
from gateway.x12.guideline.partner import read_partner_guideline
from gateway.x12.guideline.sample import SampleMaker
from gateway.x12.model import ExaminePolicy, Separators
from partners.model import Agreement, Direction, Partner, Status

OK, WAITING, FAILED = "ok", "waiting", "failed"
_LOOKED_AT = 1_000
_SENDING = ("smtp", "login", "configuration")  # kinds of alerts of what keeps the SMTP host from us
_RETURNED = "delivered"  # the step that failed where a mail came back
_USUAL_VERSION = "004010"
_FAILED = {
    ExchangeState.REFUSED: "rejected",
    ExchangeState.BOUNCED: "bounced",
    ExchangeState.FAILED: "not sent",
    ExchangeState.CANCELLED: "cancelled",
    ExchangeState.SUPERSEDED: "superseded",
}
_VERDICTS = {
    "accepted": "The partner accepted the test.",
    "accepted with errors": "The partner accepted the test, and found something: read what it says.",
    "rejected": "The partner rejected the test: correct what it names, and test again.",
    "bounced": "The partner's mail system returned the mail: ask for the right address.",
    "not sent": "Our SMTP host does not take the mail.",
    "cancelled": "Somebody cancelled the test.",
    "superseded": "Somebody had it sent again under new numbers.",
    "overdue": "The mail was handed over, and no answer came in time: ask the partner whether it arrived.",
    "in doubt": "Nobody knows whether our SMTP host took the mail.",
    "done": "The mail was handed over; it was agreed that nothing answers it.",
    "waiting": "Not everything has happened yet: look again after the next batch.",
}


class Step(Struct, frozen=True):
    """One step of a test: ok, waiting or failed, in a sentence. ``at`` is ms since 1970 UTC."""

    name: str
    state: str
    sentence: str
    at: int | None = None


class Verdict(Struct, frozen=True):
    """What became of a test. ``final``: nothing more will come of itself. ``findings`` are the partner's, in words."""

    partner: str
    exchange: int
    control_number: str
    types: tuple[str, ...]
    result: str
    sentence: str
    final: bool
    steps: tuple[Step, ...]
    findings: tuple[str, ...]
    next_command: str

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        return asdict(self)


def send_test(
    context: Context,
    key: str,
    set_id: str = "",
    *,
    data: bytes | None = None,
    name: str = "sample",
    actor: str | None = None,
    dry_run: bool = False,
) -> int | None:
    """Submits a test (ISA15 T) for a partner; gives its exchange, or None for a dry run.

    Args:
        context: what the steps work with.
        key: the partner.
        set_id: which set; by default the first that was agreed on.
        data: the document; by default a made-up one that conforms.
        name: what the document is called in messages.
        actor: who tests.
        dry_run: everything but the numbering.

    Raises:
        UnknownPartner, NotAllowedNow, NoAgreement: there is nobody, or nothing, to test.
        UsageFault: nothing at hand can make a sample of the set.
        DocumentFault: the document, or the sample, does not pass.
    """
    partner = context.directory.get(key)
    if partner.status not in {Status.TESTING, Status.LIVE}:
        reason = f"tests go to partners in testing or live; `gateway partner activate {key} --testing` starts them"
        raise NotAllowedNow(what="the partner", key=key, state=partner.status, reason=reason)
    if data is None:
        agreement, chosen = _chosen(partner, set_id)
        data = sample(partner, agreement, chosen, seed=_tests(context, key))
        name = f"sample {chosen}"
    done = submit(context, key, data, name=name, again=True, actor=actor, dry_run=dry_run, test=True)
    return done.exchanges[0] if done.exchanges else None


def _chosen(partner: Partner, set_id: str) -> tuple[Agreement, str]:
    outbound = [each for each in partner.agreements if each.direction is Direction.OUT]
    for agreement in sorted(outbound, key=lambda each: "*" in each.sets):
        if set_id and (set_id in agreement.sets or "*" in agreement.sets):
            return agreement, set_id
        if not set_id and agreement.sets != ("*",):
            return agreement, agreement.sets[0]
    if outbound and not set_id:
        raise UsageFault(reason=f"{partner.key} takes every set: say with --type which one to test.")
    raise NoAgreement(partner=partner.key, direction="send it", set=set_id or "anything", version="")


def sample(partner: Partner, agreement: Agreement, set_id: str, *, seed: int = 0) -> bytes:
    """A bare transaction set, made up so that it conforms to what was agreed on.

    Raises:
        UsageFault: no guideline at hand knows the set.
    """
    guideline = _guideline(partner, agreement, set_id)
    marks = Separators("*", ":", "~", "^")
    segments = SampleMaker(guideline, marks, seed).segments()
    return "".join(f"{each}~\n" for each in segments).encode("latin-1", "replace")


def _guideline(partner: Partner, agreement: Agreement, set_id: str) -> Guideline:
    if agreement.guideline:
        found = read_partner_guideline(dict(partner.guidelines)[agreement.guideline], agreement.guideline)
        if found.set_id == set_id:
            return found
    versions = agreement.versions or (_USUAL_VERSION,)
    for version in versions:
        chosen = choose(set_id, version, "", ExaminePolicy())
        if chosen is not None:
            return chosen
    known = sorted({each.version for each in known_sets() if each.set_id == set_id})
    hint = f" It is known in {', '.join(known)}." if known else ""
    said = f"Nothing at hand can make up the {set_id} in {' or '.join(versions)}."
    raise UsageFault(reason=f"{said}{hint} Give a document with --file.")


def _tests(context: Context, key: str) -> int:
    """How many tests there were, so that each sample has other numbers of orders and invoices."""
    return len(_sent(context, key))


def _sent(context: Context, key: str) -> list[int]:
    """The tests among the partner's newest exchanges, the newest first."""
    x = tables.exchange.c
    newest = select(x.id, x.direction, x.kind, x.usage).where(x.partner == key)
    newest = newest.order_by(x.at.desc(), x.id.desc()).limit(_LOOKED_AT)
    with context.ledger.reading() as connection:
        rows = connection.execute(newest).all()
    return [row.id for row in rows if (row.direction, row.kind, row.usage) == ("out", "document", "T")]


def last_test(context: Context, key: str) -> int:
    """The newest test that was sent to a partner.

    Raises:
        UnknownPartner
        NotFound: none was sent.
    """
    context.directory.get(key)
    found = _sent(context, key)
    if not found:
        raise NotFound(what="test that was sent to", key=key)
    return found[0]


def verdict(context: Context, exchange: int) -> Verdict:
    """What became of a test up to now.

    Raises:
        NotFound: there is no such exchange.
    """
    told = story(context.ledger.engine, exchange, 200)
    row = told.exchange
    with context.ledger.reading() as connection:
        away = next((each.subject for each in hosts_away(connection, row.partner, _SENDING)), "")
    if row.direction != "out":
        raise NotFound(what="test of ours that is exchange", key=exchange)
    steps = tuple(_steps(told, context.clock(), away))
    result = _result(told, steps)
    findings = tuple(dict.fromkeys(_findings(told)))
    return Verdict(
        partner=row.partner,
        exchange=row.id,
        control_number=row.control_number,
        types=row.types,
        result=result,
        sentence=_VERDICTS[result],
        final=result != "waiting",
        steps=steps,
        findings=findings,
        next_command=_next(row.partner, exchange, result),
    )


def _result(told: Story, steps: tuple[Step, ...]) -> str:
    state = ExchangeState(told.exchange.state)
    if state in _FAILED:
        return _FAILED[state]
    failed = {each.name for each in steps if each.state == FAILED}
    if failed - {_RETURNED}:
        return "rejected"
    if state in {ExchangeState.OVERDUE, ExchangeState.IN_DOUBT}:
        return state.value
    if any(each.state == WAITING for each in steps):
        return "waiting"
    if state is ExchangeState.ACKNOWLEDGED:
        return "accepted with errors" if told.exchange.verdict != "accepted" else "accepted"
    return "bounced" if failed else "done"


def _next(partner: str, exchange: int, result: str) -> str:
    if result in {"accepted", "done"}:
        return f"gateway partner checklist {partner}"
    if result == "waiting":
        return f"gateway partner test {partner} --result"
    if result == "in doubt":
        return f"gateway exchange resolve {exchange} --sent|--resend --why …"
    if result in {"bounced", "overdue", "not sent"}:
        return f"gateway partner check {partner}"
    return f"gateway exchange show {exchange}"


# ---------------------------------------------------------------- steps


def _steps(told: Story, now: int, away: str) -> Iterator[Step]:
    row = told.exchange
    yield Step("submitted", OK, f"{' '.join(row.types)} as interchange {row.control_number}, ISA15 T.", row.at)
    yield _handed_over(told, away)
    if row.handed_over_at is None:
        return
    yield from _returned(told)
    awaited = {each.kind: each for each in told.awaited}
    for kind, name in (("receipt", "receipt (MDN)"), ("TA1", "TA1"), ("functional", "997 or 999")):
        if kind in awaited:
            due = awaited[kind].due_at
            left = f"; due {_when(due, now)}" if due is not None else ""
            yield Step(name, WAITING, f"It has not come yet{left}.")
    for receipt in told.receipts:
        if receipt.direction == "in":
            yield _receipt(receipt.at, receipt.disposition, receipt.modifier, receipt.mic_matches)
    since = max((each.at for each in told.events if each.kind == AWAITED_ANEW), default=0)
    counts = [each for each in told.answered if each.relation in {"matched", "contradicting"} and each.at >= since]
    for kind in ("TA1", "997", "999"):
        said = [each for each in counts if each.kind == kind]
        if said:
            yield _acknowledged(kind, said)


def _handed_over(told: Story, away: str) -> Step:
    """``away``: what keeps the SMTP host from us, in a sentence."""
    row = told.exchange
    if row.handed_over_at is not None:
        return Step("handed over", OK, f"{row.host} took the mail: {row.smtp_reply}".strip(), row.handed_over_at)
    if row.state == ExchangeState.FAILED:
        return Step("handed over", FAILED, row.fault or "The SMTP host refused it.", row.updated_at)
    if row.state == ExchangeState.IN_DOUBT:
        return Step("handed over", WAITING, "The connection broke while the SMTP host answered.", row.updated_at)
    failed = [each for each in told.events if each.kind == "deferred"]
    why = f" The last attempt failed: {failed[-1].body.get('reason', '')}" if failed else ""
    why = why or (f" The last batch met this: {away}" if away else "")
    return Step("handed over", WAITING, f"It waits for the next batch (`gateway night`).{why}")


def _returned(told: Story) -> Iterator[Step]:
    """What came back of the attempt that was made last."""
    for event in told.events:
        if event.kind == "bounced" and event.at >= (told.exchange.handed_over_at or 0):
            who, why = event.body.get("recipient", ""), event.body.get("reason", "")
            yield Step(_RETURNED, FAILED, f"The mail came back{f' from {who}' if who else ''}: {why}", event.at)


def _receipt(at: int, disposition: str, modifier: str, mic_matches: str) -> Step:
    good = disposition == "processed" and not modifier.startswith(("error", "failure")) and mic_matches != "no"
    words = {"yes": "; the content arrived whole", "no": "; the content is not what we sent"}.get(mic_matches, "")
    said = f"{disposition}{f' ({modifier})' if modifier else ''}{words}."
    return Step("receipt (MDN)", OK if good else FAILED, said, at)


def _acknowledged(kind: str, said: list[AcknowledgmentStory]) -> Step:
    whole = [each for each in said if each.transaction_set is None] or said
    last = whole[-1]
    good = last.status.startswith("accepted")
    codes = f" (code {last.codes})" if last.codes and last.codes != "000" else ""
    sentence = f"{last.status.replace('_', ' ')}{codes}, in exchange {last.carrier}."
    return Step(kind, OK if good else FAILED, sentence, last.at)


def _findings(told: Story) -> Iterator[str]:
    """What the partner found, in its acknowledgments."""
    for each in told.answered:
        where = f"{each.kind}{f' {each.names}' if each.names else ''}: "
        yield from (f"{where}{error}" for error in each.errors)


def _when(due: int, now: int) -> str:
    return f"in {duration(due - now)}" if due > now else f"since {spoken(due)}"
