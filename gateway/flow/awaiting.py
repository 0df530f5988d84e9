"""Which acknowledgment is awaited, as it was agreed: the 997, the 999, or either where nothing tells."""

from __future__ import annotations

from gateway.flow.acknowledge import functional_kind
from gateway.flow.terms import terms_of
from gateway.ledger.awaited import Awaited
from gateway.ledger.events import awaited_name
from partners.directory import Directory


def agreed_name(directory: Directory, each: Awaited) -> str:
    """What is awaited, for people.

    Args:
        directory: the profiles as they are now.
        each: one acknowledgment that a partner owes us.
    """
    anyway = awaited_name(each.kind)
    if each.kind != "functional":
        return anyway
    terms = terms_of(directory, each.partner, each.agreement, each.types, each.versions)
    if terms is None:
        return anyway
    kinds = {functional_kind(terms.acknowledgment.functional, version) for version in each.versions.split()}
    return " or ".join(sorted(kinds - {"none"})) or anyway
