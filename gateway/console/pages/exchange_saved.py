"""Saved queries: kept and deleted for everybody who uses this ledger."""

from __future__ import annotations

from starlette.responses import Response

from gateway.console.pages.exchange_query import PATH, check_length
from gateway.console.routing import act
from gateway.console.visit import Visit
from gateway.ledger import saved
from gateway.ledger.written import split_line


def save(visit: Visit) -> Response:
    """Keeps the line of the search under a name."""
    line = visit.form.get("q", "")
    check_length(line)
    name = visit.form.get("name", "").strip().removeprefix("@")
    replace = visit.form.get("replace") == "yes"
    with visit.app.ledger.transaction(visit.user.name) as recorder:
        done = saved.save(recorder, name, split_line(line), replace=replace)
    return visit.to(PATH, f"Saved as @{done.name}.", q=f"@{done.name}")


def delete(visit: Visit) -> Response:
    """Deletes one; its words stay in the ledger's history."""
    with visit.app.ledger.transaction(visit.user.name) as recorder:
        done = saved.remove(recorder, visit.form.get("name", ""))
    return visit.to(PATH, f"@{done.name} deleted. Its words stay in the ledger's history.")


PAGES = (act("/exchanges/saved", save), act("/exchanges/saved/delete", delete))
