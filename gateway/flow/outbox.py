"""The outbox: a directory for each partner; what the business writes there is submitted, once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from gateway.errors import (
    ConfigurationFault,
    DocumentMisplaced,
    DocumentNotTaken,
    DocumentsLeft,
    GatewayError,
    SubmittedAgain,
    UnknownPartner,
    unexpected,
)
from gateway.flow.context import Context
from gateway.flow.earlier import Key
from gateway.flow.former_outbox import left_behind
from gateway.flow.outbox_files import (
    FAILED_DIRECTORY,
    SENT_DIRECTORY,
    Claim,
    Group,
    claim,
    interrupted,
    is_document,
    spelt,
)
from gateway.flow.submit import Submission, submit
from gateway.ledger.reached import newest

_WHY = ".why.txt"  # the reason, beside a refused document
_AT_ONCE = 100  # files that are claimed together: their directories are synced once


def submit_outbox(context: Context) -> None:
    """Submits every file in ``outbox/<partner>/``; it moves to .submitted, or with a reason to .refused."""
    context.reporter.step("submit")
    outbox = context.settings.outbox
    _tell_left_behind(context)
    if not outbox.is_dir():
        return
    for place in sorted(outbox.iterdir()):
        if is_document(place):
            context.reporter.trouble(DocumentMisplaced(name=spelt(place.name)), f"outbox/{spelt(place.name)}")
        if not place.is_dir():
            continue
        try:
            _submit_place(context, place)
        except OSError as problem:
            _not_taken(context, f"outbox/{spelt(place.name)}", spelt(place.name), problem)
        if context.stopping():
            return


def _tell_left_behind(context: Context) -> None:
    """What lies where the outbox was before: whoever put it there may think that it goes."""
    with context.ledger.reading() as connection:
        former = left_behind(connection, context.settings)
    for place, number in former.items():
        fault = DocumentsLeft(count=number, place=spelt(place), outbox=spelt(context.settings.outbox))
        context.reporter.trouble(fault, spelt(place))


def refused_documents(outbox: Path) -> list[Path]:
    """What lies in .refused of the partners' directories: it could not be sent, and somebody should know."""
    return sorted(each for each in outbox.glob(f"*/{FAILED_DIRECTORY}/*") if not each.name.endswith(_WHY))


def _submit_place(context: Context, place: Path) -> None:
    """What lies in a partner's directory: first what an earlier batch left in work, then what is new."""
    for group in interrupted(place):
        _submit_group(context, group)
    there = sorted(place.iterdir())
    for each in there:
        _tell_stray(context, each)
    files = [each for each in there if is_document(each)]
    if not files or context.stopping():
        return
    try:
        context.directory.get(spelt(place.name))
    except UnknownPartner as fault:
        for file in files:
            context.reporter.trouble(fault, _where(place, spelt(file.name)))
        return
    with context.ledger.reading() as connection:
        mark = newest(connection).seq
    for start in range(0, len(files), _AT_ONCE):
        if context.stopping():
            return
        taken = _claim(context, place, files[start : start + _AT_ONCE], mark)
        if taken is not None:
            _submit_group(context, taken)


def _tell_stray(context: Context, stray: Path) -> None:
    """What lies in a partner's directory and is never looked at: somebody may think that it goes."""
    if stray.is_file() or stray.name.startswith("."):
        return
    name, where = spelt(stray.name), _where(stray.parent, spelt(stray.name))
    if not stray.is_dir():
        _not_taken(context, where, name, OSError("it is no file"))
    elif any(stray.iterdir()):
        context.reporter.trouble(DocumentMisplaced(name=f"What is in the directory {name}"), where)


def _claim(context: Context, place: Path, files: Sequence[Path], mark: int) -> Group | None:
    """Takes files into work; says of each that cannot be taken why."""
    try:
        group, left = claim(place, files, mark)
    except OSError as problem:
        for file in files:
            _not_taken(context, _where(place, spelt(file.name)), spelt(file.name), problem)
        return None
    for file, reason in left:
        _not_taken(context, _where(place, spelt(file.name)), spelt(file.name), reason)
    return group


def _submit_group(context: Context, group: Group) -> None:
    for each in group.claims:
        if context.stopping():
            break
        where = _where(each.place, each.name)
        try:
            _submit_file(context, each, begun=group.mark if group.interrupted else None)
        except OSError as problem:
            _not_taken(context, where, each.name, problem)
        except GatewayError:
            raise
        except Exception as problem:  # noqa: BLE001 - one document must not keep the others from going
            context.reporter.trouble(unexpected(f"the document {where}", problem), where)
    group.let_go()


def _submit_file(context: Context, claim: Claim, begun: int | None) -> None:
    """Submits one file. ``begun``: after which event a batch that was interrupted had taken it."""
    partner, where = spelt(claim.place.name), _where(claim.place, claim.name)
    try:
        data = claim.read()
    except OSError:
        if not claim.is_there:
            return  # another process found it here, and has submitted it
        claim.give_back()
        raise
    sha256 = hashlib.sha256(data).hexdigest()
    key = Key((f"outbox/{partner}/{claim.name}/{sha256}",), again=f"{partner}/{sha256}/again/", begun=begun)
    try:
        done = submit(context, partner, data, name=claim.name, key=key)
    except ConfigurationFault as fault:
        # The document may be good: it waits in its place until the configuration is.
        context.reporter.trouble(fault, where)
        claim.give_back()
        return
    except GatewayError as fault:
        if not fault.permanent:
            raise
        _refuse(context, claim, fault, sha256=sha256, size=len(data))
        return
    if done.repeated:
        context.reporter.happened("documents submitted before")
        if not done.own:
            _tell_repeated(context, claim, done, sha256)
    claim.move(SENT_DIRECTORY)


def _tell_repeated(context: Context, claim: Claim, done: Submission, sha256: str) -> None:
    """Says what it repeats, and where that stands: whoever put it there may have wanted something else."""
    partner = spelt(claim.place.name)
    told = ", ".join(f"exchange {each} ({state})" for each, state in zip(done.exchanges, done.states, strict=True))
    context.reporter.trouble(
        SubmittedAgain(name=claim.name, exchanges=told, partner=partner), _where(claim.place, claim.name)
    )
    exchanges = ", ".join(map(str, done.exchanges))
    context.ledger.record("document-repeated", partner=partner, name=claim.name, exchanges=exchanges, sha256=sha256)


def _refuse(context: Context, claim: Claim, fault: GatewayError, *, sha256: str, size: int) -> None:
    """The reason lies beside it, and in the ledger, before it lies there itself."""
    context.reporter.happened("documents refused")
    context.reporter.trouble(fault, _where(claim.place, claim.name))
    refused = claim.room(FAILED_DIRECTORY)
    refused.with_name(refused.name + _WHY).write_text(f"{fault}\n{fault.next_step}\n({fault.code})\n", "utf-8")
    facts: dict[str, Any] = {"code": fault.code, "reason": str(fault), "sha256": sha256, "size": size}
    context.ledger.record("document-refused", partner=spelt(claim.place.name), name=claim.name, **facts)
    claim.move(FAILED_DIRECTORY)


def _not_taken(context: Context, where: str, name: str, problem: OSError) -> None:
    reason = problem.strerror or str(problem)
    if isinstance(problem.filename, str | bytes | PathLike):
        reason += f" ({spelt(problem.filename)})"
    context.reporter.trouble(DocumentNotTaken(name=name, reason=reason), where)


def _where(place: Path, name: str) -> str:
    return f"outbox/{spelt(place.name)}/{name}"
