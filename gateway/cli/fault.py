"""``gateway fault``: what a code means, what is behind it, whose side it is on, and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document, print_rows

if TYPE_CHECKING:
    from gateway.errors import GatewayError


@click.command("fault")
@click.argument("code", required=False)
@json_option
@click.pass_context
def command(ctx: click.Context, code: str | None, as_json: bool) -> None:
    """Explain a fault by its CODE: what it says, what is usually behind it, whose side it is on, what comes next.

    Without CODE all are listed. The code stands with every fault that a command, the log, a mail or the ledger tells;
    docs/reference/faults.md has the same for reading. Codes of `gateway doctor` are explained too.

    Example: gateway fault sender.unknown
    """
    from gateway.errors import all_faults
    from gateway.flow.check_catalog import CATALOG

    faults = {each.code: each for each in all_faults()}
    if code is None:
        rows = (document_of(each) for each in faults.values())
        print_rows(rows, ("code", "sentence", "side"), as_json=as_json)
        return
    if code in faults:
        document = document_of(faults[code])
    elif code in CATALOG:
        document = {"code": code, "finds": CATALOG[code].finds, "advice": CATALOG[code].advice}
    else:
        raise click.BadParameter(_unknown(code, [*faults, *CATALOG]), ctx=ctx, param_hint="CODE")
    if as_json:
        print_document(document)
        return
    for line in _lines(document):
        click.echo(line)


def document_of(fault: type[GatewayError]) -> dict[str, object]:
    """One entry of the catalogue: texts with ``{names}`` where something is filled in when it happens."""
    from gateway.errors.causes import cause_of

    return {
        "code": fault.code,
        "sentence": fault.sentence,
        "cause": cause_of(fault),
        "side": fault.side.value,
        "advice": fault.advice,
        "permanent": fault.permanent,
        "exit_code": fault.exit_code,
    }


def _lines(document: dict[str, object]) -> list[str]:
    if "finds" in document:
        return [
            f"{document['code']}  (a finding of `gateway doctor`)",
            f"  what it finds:  {document['finds']}",
            f"  what to do:     {document['advice']}",
        ]
    again = "no: the same attempt can never succeed" if document["permanent"] else "yes, by itself"
    return [
        str(document["code"]),
        f"  {document['sentence']}",
        "",
        f"  cause:        {document['cause']}",
        f"  whose side:   {document['side']}",
        f"  what to do:   {document['advice']}",
        f"  tried again:  {again}",
        f"  exit code:    {document['exit_code']}",
    ]


def _unknown(code: str, known: list[str]) -> str:
    near = [each for each in known if code in each][:3] or get_close_matches(code, known, n=3, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else " `gateway fault` lists all."
    return f"there is no fault {code!r}.{hint}"
