"""``/tokens``: what programs show to the API, for administrators. The same functions as ``gateway token``."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.faults import status_of
from gateway.console.people import Role
from gateway.console.routing import act, view
from gateway.console.visit import Visit
from gateway.errors import GatewayError, UsageFault
from gateway.ledger import api_tokens

_PATH = "/tokens"
_DAY = 86_400_000  # ms
_ENDS = {"30": "in 30 days", "90": "in 90 days", "365": "in a year", "": "never"}


def _list(visit: Visit, fault: GatewayError | None = None, made: str = "") -> Response:
    """``made``: the token that was just made; shown this once, in the answer to the form itself."""
    now = visit.app.now()
    with visit.app.ledger.reading() as connection:
        known = api_tokens.every(connection)
    return visit.page(
        "tokens.html",
        200 if fault is None else status_of(fault),
        tokens=[(each, "revoked" if each.revoked_at else "expired" if each.trouble(now) else "good") for each in known],
        scopes=api_tokens.SCOPES,
        ends=_ENDS,
        partners=[each.key for each in visit.app.partners.current()],
        fault=fault,
        made=made,
        form=visit.form,
        asked=_scopes(visit),
    )


def _add(visit: Visit) -> Response:
    try:
        with visit.site.acting(visit.user.name, alone=False) as app:
            partner = visit.form.get("partner", "")
            if partner:
                app.directory().get(partner)
            lasts = _lasts(visit)
            made = app.ledger.write(
                lambda recorder: api_tokens.add(
                    recorder, visit.form.get("name", "").strip(), _scopes(visit), partner=partner, lasts=lasts
                )
            )
    except GatewayError as fault:
        return _list(visit, fault)
    return _list(visit, made=made)


def _revoke(visit: Visit) -> Response:
    name = visit.part("name")
    with visit.site.acting(visit.user.name, alone=False) as app:
        changed = app.ledger.write(lambda recorder: api_tokens.revoke(recorder, name, visit.form.get("why", "")))
    return visit.to(_PATH, f"Revoked {name}." if changed else f"{name} was revoked before.")


def _lasts(visit: Visit) -> int | None:
    days = visit.form.get("days", "90")
    if days not in _ENDS:
        raise UsageFault(reason="the end of a token is one of those in the list")
    return int(days) * _DAY if days else None


def _scopes(visit: Visit) -> list[str]:
    """The boxes that were ticked: each has a field of its own, since of a field the first value counts."""
    return [each for each in api_tokens.SCOPES if visit.form.get(f"scope-{each}")]


PAGES = (
    view(_PATH, _list, Role.ADMINISTRATOR),
    act(_PATH, _add, Role.ADMINISTRATOR),
    act(f"{_PATH}/{{name}}/revoke", _revoke, Role.ADMINISTRATOR),
)
