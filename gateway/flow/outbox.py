"""The outbox: a directory for each partner; what the business writes there is submitted, once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gateway.errors import ConfigurationFault, DocumentMisplaced, DocumentUnreadable, GatewayError
from gateway.flow.context import Context
from gateway.flow.submit import submit

SENT_DIRECTORY = ".submitted"
FAILED_DIRECTORY = ".refused"
_WHY = ".why.txt"  # the reason, beside a refused document


def submit_outbox(context: Context) -> None:
    """Submits every file in ``outbox/<partner>/``; it moves to .submitted, or with a reason to .refused."""
    context.reporter.step("submit")
    outbox = context.settings.outbox
    if not outbox.is_dir():
        return
    for place in sorted(outbox.iterdir()):
        if _is_document(place):
            context.reporter.trouble(DocumentMisplaced(name=place.name), f"outbox/{place.name}")
        if not place.is_dir():
            continue
        for file in sorted(each for each in place.iterdir() if _is_document(each)):
            if context.stopping():
                return
            try:
                _submit_file(context, place.name, file)
            except OSError as problem:
                fault = DocumentUnreadable(name=file.name, reason=problem.strerror or str(problem))
                context.reporter.trouble(fault, f"outbox/{place.name}/{file.name}")


def refused_documents(outbox: Path) -> list[Path]:
    """What lies in .refused of the partners' directories: it could not be sent, and somebody should know."""
    return sorted(each for each in outbox.glob(f"*/{FAILED_DIRECTORY}/*") if not each.name.endswith(_WHY))


def _is_document(file: Path) -> bool:
    """A finished file: writers are asked to write under a name that begins with a dot or ends in .tmp, and rename."""
    return file.is_file() and not file.name.startswith(".") and file.suffix not in {".tmp", ".part"}


def _submit_file(context: Context, partner: str, file: Path) -> None:
    data = file.read_bytes()
    key = f"outbox/{partner}/{file.name}/{hashlib.sha256(data).hexdigest()}"
    try:
        done = submit(context, partner, data, name=file.name, key=key)
    except ConfigurationFault as fault:
        # The document may be good: it waits in its place until the configuration is.
        context.reporter.trouble(fault, f"outbox/{partner}/{file.name}")
        return
    except GatewayError as fault:
        if not fault.permanent:
            raise
        _refuse(context, partner, file, fault, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        return
    if done.repeated:
        context.reporter.happened("documents submitted before")
        exchanges = ", ".join(map(str, done.exchanges))
        facts = {"name": file.name, "exchanges": exchanges, "sha256": hashlib.sha256(data).hexdigest()}
        context.ledger.record("document-repeated", partner=partner, **facts)
    _move(file, SENT_DIRECTORY)


def _refuse(context: Context, partner: str, file: Path, fault: GatewayError, **facts: Any) -> None:
    context.reporter.happened("documents refused")
    context.reporter.trouble(fault, f"outbox/{partner}/{file.name}")
    refused = _move(file, FAILED_DIRECTORY)
    refused.with_name(refused.name + _WHY).write_text(f"{fault}\n{fault.next_step}\n({fault.code})\n", "utf-8")
    context.ledger.record(
        "document-refused", partner=partner, name=file.name, code=fault.code, reason=str(fault), **facts
    )


def _move(file: Path, to: str) -> Path:
    """Moves a file beside its siblings of the same fate; an equal name is numbered, never overwritten."""
    directory = file.parent / to
    directory.mkdir(exist_ok=True)
    target = directory / file.name
    number = 1
    while target.exists():
        number += 1
        target = directory / f"{file.stem}.{number}{file.suffix}"
    file.replace(target)
    return target
