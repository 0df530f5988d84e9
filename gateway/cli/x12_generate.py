"""``gateway x12 generate``: a conforming sample of any known transaction set, for a new partner's first test."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.x12.guideline.model import Guideline

OLDEST_ENVELOPE, NEWEST_ENVELOPE = "00200", "00501"  # ISA12
MOST = 9999
REJECTED = 65


@click.command()
@click.argument("set_id", metavar="SET")
@click.option("--version", required=True, help="The version of the standard or of a guide: 004010, 005010X222A1.")
@click.option(
    "--guide",
    default="",
    metavar="NAME|FILE.toml",
    help="Make it by this implementation guide, or by a partner guideline in a file.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another number, other contents.")
@click.option("--count", type=click.IntRange(1, MOST), default=1, show_default=True, help="How many sets.")
@click.option(
    "--fullness",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="How much of what is optional is there: 0 for nothing, 1 for everything.",
)
def generate(set_id: str, version: str, guide: str, seed: int, count: int, fullness: float) -> None:
    """Writes an interchange with COUNT transaction sets SET to standard output: made-up contents that conform.

    It is marked as a test (ISA15 T), goes from SAMPLESENDER to SAMPLERECEIVER, one segment a line.
    """
    guideline = _guideline(set_id, version, guide)
    sample = _interchange(guideline, seed, count, fullness)
    sys.stdout.buffer.write(sample)
    amiss = _amiss(sample, guideline)
    for each in amiss:
        click.echo(f"Not made up as the guideline asks for: {each}", err=True)
    if amiss:
        sys.exit(REJECTED)


def _amiss(sample: bytes, guideline: Guideline) -> list[str]:
    """What the sample breaks: patterns and relations of a partner guideline cannot always be made up."""
    from gateway.x12 import ExaminePolicy, Level, examine

    chosen = {(guideline.set_id, version): guideline for version in (guideline.version, guideline.base)}
    (report,) = examine(sample, ExaminePolicy(guidelines=dict(chosen)))
    findings = [*report.findings, *(each for one in report.sets for each in one.findings)]
    return list(dict.fromkeys(each.message for each in findings if each.level is Level.ERROR))


def _guideline(set_id: str, version: str, guide: str) -> Guideline:
    from gateway.x12.guideline.catalog import guideline_named

    if guide.endswith(".toml"):
        found: Guideline | None = _from_file(guide)
        if found is not None and found.set_id != set_id:
            raise click.BadParameter(
                f"{guide} speaks of the {found.set_id}, not of the {set_id}.", param_hint="--guide"
            )
    else:
        found = guideline_named(guide or version, set_id)
    if found is None:
        _refuse(set_id, version, guide)
        raise AssertionError(guide)
    if guide and not (version.startswith(found.base) and found.version.startswith(version[: len(found.version)])):
        reason = f"the guide {guide} is one of version {found.base}, not of {version}."
        raise click.BadParameter(reason, param_hint="--guide")
    return found


def _from_file(name: str) -> Guideline:
    from gateway.flow.guideline_files import read_guideline_file
    from gateway.x12.guideline.partner import read_partner_guideline

    return read_partner_guideline(read_guideline_file(Path(name)), name)


def _refuse(set_id: str, version: str, guide: str) -> None:
    """Says what is not known, and what is that looks like it."""
    from gateway.x12.guideline import known_sets

    every = list(known_sets())
    versions = sorted({each.version for each in every if each.set_id == set_id})
    if not versions:
        near = get_close_matches(set_id, sorted({each.set_id for each in every}), n=3, cutoff=0.5)
        hint = f" Is it {' or '.join(near)}?" if near else ""
        raise click.BadParameter(f"no version knows a transaction set {set_id!r}.{hint}", param_hint="SET")
    option, wanted = ("--guide", guide) if guide else ("--version", version)
    near = get_close_matches(wanted, versions, n=2, cutoff=0.7)
    hint = f" Is it {' or '.join(near)}?" if near else ""
    message = f"the {set_id} is not known in {wanted!r}.{hint} It is known in {', '.join(versions)}."
    raise click.BadParameter(message, param_hint=option)


def _names_itself(guideline: Guideline) -> bool:
    """Whether ST03 says which guide it is: from 005010 on, unless the guide does not use it (the 835)."""
    from gateway.x12.guideline.model import Requirement, Segment

    first = guideline.root.children[0]
    if not guideline.implementation or guideline.base < "005010" or not isinstance(first, Segment):
        return False
    return len(first.elements) > 2 and first.elements[2].requirement is not Requirement.NOT_USED


def _interchange(guideline: Guideline, seed: int, count: int, fullness: float) -> bytes:
    from gateway.x12 import (
        DraftGroup,
        DraftInterchange,
        DraftSet,
        Header,
        Party,
        Separators,
        functional_id_for,
        write_interchange,
    )
    from gateway.x12.guideline.sample import SampleMaker
    from gateway.x12.isa import has_repetition

    envelope = min(max(guideline.base[:5], OLDEST_ENVELOPE), NEWEST_ENVELOPE)
    marks = Separators("*", ":", "~", "^" if has_repetition(envelope) else "", "\n")
    third = guideline.version if _names_itself(guideline) else ""
    drafts = []
    for number in range(count):
        _, *body, _ = SampleMaker(guideline, marks, seed + number, fullness).segments()
        text = "".join(each + marks.segment for each in body)
        drafts.append(DraftSet(guideline.set_id, third, text, marks, len(body)))
    version = guideline.version if guideline.implementation else guideline.base
    sender, receiver = Party("ZZ", "SAMPLESENDER"), Party("ZZ", "SAMPLERECEIVER")
    one = DraftGroup(functional_id_for(guideline.set_id), sender.id, receiver.id, 1, version, tuple(drafts))
    now = datetime.now(UTC).astimezone()
    return write_interchange(
        DraftInterchange(Header(sender, receiver, "", "", envelope, "1", False, "T"), (one,), (), now), marks
    )
