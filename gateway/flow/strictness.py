"""How strictly the documents of a partner are judged: what its agreements say, as the engine's policy."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import GuidelineInvalid
from gateway.x12.guideline.model import Guideline
from gateway.x12.guideline.partner import read_partner_guideline
from gateway.x12.model import ExaminePolicy, Level, SetPolicy
from partners.model import Agreement, Direction, Partner

_PARTNERS = 256
_inbound: dict[int, tuple[Partner, ExaminePolicy]] = {}  # of the last partners: to compare profiles would take longer


def inbound_policy(partner: Partner | None) -> ExaminePolicy:
    """The policy for what a partner sends; each agreement's strictness and guideline hold for its own sets.

    What belongs to no set (ISA, GS) is judged strictly where every inbound agreement asks for that.

    Raises:
        GuidelineInvalid: an agreement names a guideline that is not stored with the profile.
    """
    if partner is None:
        return ExaminePolicy()
    known = _inbound.get(id(partner))
    if known is not None and known[0] is partner:
        return known[1]
    policy = _policy(partner, [each for each in partner.agreements if each.direction is Direction.IN])
    if len(_inbound) >= _PARTNERS:
        _inbound.clear()
    _inbound[id(partner)] = (partner, policy)
    return policy


def outbound_policy(partner: Partner, agreement: Agreement) -> ExaminePolicy:
    """The policy that a document has to pass before we send it under an agreement.

    Raises:
        GuidelineInvalid: as ``inbound_policy``.
    """
    return _policy(partner, [agreement])


def _policy(partner: Partner, agreements: Sequence[Agreement]) -> ExaminePolicy:
    agreed = tuple(
        SetPolicy(each.sets, each.versions, Level(each.reject_from), _guideline(partner, each)) for each in agreements
    )
    strict = bool(agreed) and all(each.reject_from is Level.WARNING for each in agreed)
    return ExaminePolicy(reject_from=Level.WARNING if strict else Level.ERROR, agreed=agreed)


def _guideline(partner: Partner, agreement: Agreement) -> Guideline | None:
    if not agreement.guideline:
        return None
    text = dict(partner.guidelines).get(agreement.guideline)
    if text is None:
        raise GuidelineInvalid(
            file=agreement.guideline,
            line=1,
            key="(file)",
            reason=f"it is not stored with the profile of {partner.key} that names it",
        )
    return read_partner_guideline(text, agreement.guideline)
