"""Hold: a person keeps something from being put away, and lets go of it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import func, select

from gateway.flow.acts import Act, Reference, acting, before
from gateway.flow.context import Context
from gateway.flow.retain import look_again
from gateway.ledger import holds
from gateway.ledger.conditions import Conditions
from gateway.ledger.query import Query
from gateway.ledger.recording import insisting
from gateway.ledger.tables import exchange, message
from gateway.words import count


def numbers_among(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those of the words that name an exchange (``34``) or a mail (``m12``), and the others, which are a query."""
    named = [each for each in words if each.removeprefix("m").isdecimal()]
    return named, [each for each in words if each not in named]


@insisting
def add(
    context: Context,
    words: Sequence[str],
    query: Query | None,
    numbers: Iterable[str],
    *,
    actor: str,
    reason: str,
    dry_run: bool = False,
) -> Act:
    """Makes a legal hold, where none keeps the same for the same reason already.

    Args:
        context: the ledger.
        words: the query as it was written.
        query: what they say; None without words.
        numbers: exchanges (``34``) and mails (``m12``).
        actor: who holds.
        reason: why.
        dry_run: check, and change nothing.

    Raises:
        QueryInvalid, NotFound
    """
    named = [Reference.parse(each) for each in numbers]
    exchanges = [each.exchange for each in named if each.exchange is not None]
    messages = [each.message for each in named if each.message is not None]
    with acting(context, actor, dry_run=dry_run) as recorder:
        known = holds.same(recorder, words, query, exchanges=exchanges, messages=messages, reason=reason)
        if known is not None:
            number, maker = known
            return before(number, f"hold {number} of {maker} keeps the same for the same reason")
        number = holds.add(recorder, words, query, exchanges=exchanges, messages=messages, reason=reason)
        found = len(set(exchanges)), len(set(messages))
        if query is not None:
            conditions = Conditions(recorder.connection.dialect.name, 0)
            which = (exchange, conditions.of_exchanges(query)), (message, conditions.of_messages(query))
            counted = [
                recorder.connection.execute(select(func.count()).select_from(table).where(*met)).scalar_one()
                for table, met in which
            ]
            found = found[0] + counted[0], found[1] + counted[1]
    kept = f"{count(found[0], 'exchange')} and {count(found[1], 'mail')}"
    sentence = f"hold {number} keeps {kept} without one, and what comes and meets it"
    return Act(str(number), sentence)


@insisting
def release(context: Context, number: int, *, actor: str, reason: str, dry_run: bool = False) -> Act:
    """Ends a legal hold.

    Raises:
        NotFound: there is none of that number.
    """
    with acting(context, actor, dry_run=dry_run) as recorder:
        if not holds.release(recorder, number, reason=reason):
            return before(number, "it was released")
        look_again(recorder)
    return Act(str(number), f"hold {number} is released; what is over its time goes with the next putting away")
