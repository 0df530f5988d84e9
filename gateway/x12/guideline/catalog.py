"""Which guideline judges what: the choice, and the list of what is known."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from gateway.x12.guideline import hipaa, standard
from gateway.x12.guideline.judge import SetJudge
from gateway.x12.guideline.model import Guideline
from gateway.x12.guideline.plan import plan_for
from gateway.x12.guideline.unknown import UnknownJudge
from gateway.x12.model import ExaminePolicy, Separators

VERSION_LENGTH = 6  # GS08: the first six characters name the version of the standard


class KnownSet(Struct, frozen=True):
    """A guideline that can judge. ``version`` is what GS08 says to choose it."""

    set_id: str
    version: str
    source: str  # "standard" or "HIPAA guide"
    trust: str  # "enforced" or "advisory"
    functional_id: str


def known_sets() -> Iterator[KnownSet]:
    """Everything that can be judged: the standards by version, then the guides."""
    for version, ids in standard.catalog()["versions"].items():
        for set_id in ids:
            trust = "enforced" if standard.trusted(set_id, version) else "advisory"
            yield KnownSet(set_id, version, "standard", trust, functional_ids(set_id))
    for guide in hipaa.guides():
        yield KnownSet(guide.set_id, guide.version, "HIPAA guide", "enforced", functional_ids(guide.set_id))


def functional_ids(set_id: str) -> str:
    """GS01 of the group that carries this set ("PO" for 850); empty if the set is not known."""
    found: str = standard.catalog()["groups"].get(set_id, "")
    return found


@cache
def groups_of() -> dict[str, tuple[str, ...]]:
    """GS01 → the sets that such a group may carry."""
    groups: dict[str, list[str]] = {}
    for set_id, group in standard.catalog()["groups"].items():
        groups.setdefault(group, []).append(set_id)
    return {group: tuple(sorted(ids)) for group, ids in sorted(groups.items())}


def guideline_named(name: str, set_id: str) -> Guideline | None:
    """A guideline by what it is called: ``005010X222A1``, ``004010``, or as findings call it, ``X12 004010 850``."""
    words = [word for word in name.split() if word != "X12"]
    version = words[0] if words else ""
    wanted = words[1] if len(words) > 1 else set_id
    return hipaa.load(wanted, version) or standard.load(wanted, version)


def choose(set_id: str, version: str, implementation: str, policy: ExaminePolicy) -> Guideline | None:
    """The guideline for a set: what the policy says, else a guide named by ST03 or GS08, else the standard."""
    for key in (implementation, version):
        wanted = policy.guidelines.get((set_id, key))
        if isinstance(wanted, str) and wanted:
            return guideline_named(wanted, set_id)
        if isinstance(wanted, Guideline) and wanted.set_id == set_id:
            return wanted
    agreed = policy.agreed_for(set_id, implementation, version) if policy.agreed else None
    if agreed and agreed.guideline and _serves(agreed.guideline, set_id, implementation or version):
        return agreed.guideline
    for key in (implementation, version):
        guide = hipaa.load(set_id, key)
        if guide is not None:
            return guide
    return standard.load(set_id, version[:VERSION_LENGTH])


def _serves(guideline: Guideline, set_id: str, version: str) -> bool:
    """Whether a guideline that was agreed on is made for such a set."""
    return guideline.set_id == set_id and (not guideline.serves or version.startswith(guideline.serves))


def judge_for(
    set_id: str, version: str, implementation: str, separators: Separators, policy: ExaminePolicy
) -> SetJudge | UnknownJudge:
    """The judge of one transaction set.

    Args:
        set_id: ST01.
        version: GS08.
        implementation: ST03, or empty.
        separators: those of the interchange.
        policy: its overrides are asked first.

    Returns:
        Always a judge; where nothing is known of the set in that version it only counts (``known`` is False).
    """
    guideline = choose(set_id.strip(), version.strip(), implementation.strip(), policy)
    if guideline is None:
        return UnknownJudge(f"{set_id} {version}".strip(), separators.element)
    marks = replace(separators, suffix="") if separators.suffix else separators
    others = {} if guideline.serves else hipaa.variants(guideline.set_id, guideline.version)
    variants = {code: plan_for(each, marks) for code, each in others.items()}
    return SetJudge(plan_for(guideline, marks), enforce=policy.enforce_advisory, variants=variants)
