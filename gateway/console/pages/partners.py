"""Partners: the list of all of them, found by what they are called or known by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from starlette.responses import Response

from gateway.console.routing import view
from gateway.console.visit import Visit
from gateway.flow.expiry import Ending, endings
from gateway.ledger import alerts
from gateway.ledger.partner_health import Health, health
from partners.certificates import days_left, trusted
from partners.model import Agreement, Direction, Partner, Status

_PAGE = 50  # partners


class Row(Struct, frozen=True):
    """One partner in the list: what it is, and how it goes."""

    partner: Partner
    sets_in: tuple[str, ...]
    sets_out: tuple[str, ...]
    health: Health
    alerts: int
    ending: Ending | None
    days: int | None  # until the last trusted certificate ends; None: there is none


def partners(visit: Visit) -> Response:
    """The list, by key, a page at a time."""
    app = visit.app
    now = app.now()
    wanted, status = visit.asked("find").strip(), visit.asked("status")
    everybody = app.partners.current()
    found = [each for each in everybody if status in {"", each.status.value} and _matches(each, wanted)]
    after = visit.asked("after")
    rest = [each for each in found if each.key > after]
    shown = rest[:_PAGE]
    with app.ledger.reading() as connection:
        healths = health(connection, [each.key for each in shown], now)
        counted = alerts.per_partner(connection)
    ending = {each.name: each for each in endings(shown, (), now)}
    return visit.page(
        "partners.html",
        rows=[_row(each, healths, counted, ending, now) for each in shown],
        statuses=[(each.value, number) for each in Status if (number := _of_status(everybody, each))],
        total=len(everybody),
        found=len(found),
        find=wanted,
        status=status,
        after=after,
        next=shown[-1].key if len(rest) > _PAGE else "",
        now=now,
    )


def _matches(partner: Partner, wanted: str) -> bool:
    """Whether what was typed stands in the key, the name, an address or an identity."""
    word = wanted.casefold()
    return not word or any(
        word in each.casefold()
        for each in (partner.key, partner.name, *partner.addresses, *(str(identity) for identity in partner.identities))
    )


def _row(
    partner: Partner,
    healths: Mapping[str, Health],
    counted: Mapping[str, int],
    ending: Mapping[str, Ending],
    now: int,
) -> Row:
    return Row(
        partner,
        _sets(partner.agreements, Direction.IN),
        _sets(partner.agreements, Direction.OUT),
        healths[partner.key],
        counted.get(partner.key, 0),
        ending.get(partner.key),
        max((days_left(each.not_after, now) for each in trusted(partner)), default=None),
    )


def _sets(agreements: Iterable[Agreement], direction: Direction) -> tuple[str, ...]:
    named = [each for agreement in agreements if agreement.direction is direction for each in agreement.sets]
    return tuple("all" if each == "*" else each for each in dict.fromkeys(named))


def _of_status(everybody: Sequence[Partner], status: Status) -> int:
    return sum(each.status is status for each in everybody)


PAGES = (view("/partners", partners),)
