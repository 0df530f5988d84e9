"""``gateway ledger follow``: one business document across types, in and out, as one story."""

from __future__ import annotations

import click

from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, moment, print_document, print_rows

_COLUMNS = ("at", "direction", "type", "partner", "keys", "state", "acknowledged", "exchange", "found_by")


@click.command("follow")
@click.argument("key")
@click.option("--partner", metavar="KEY", help="Whose documents (default: of the partner that had it last).")
@click.option("--all-partners", is_flag=True, help="Everybody's documents, as one story.")
@click.option("--table", is_flag=True, help="One row a document.")
@archive_option
@json_option
@click.pass_context
def follow(ctx: click.Context, key: str, partner: str | None, all_partners: bool, table: bool, as_json: bool) -> int:
    """Follow a business document across types: order, confirmation, shipment, invoice, payment, each with its answer.

    KEY is a number as it stands in the documents, or NAME=VALUE. Documents are found by it, and by the other numbers of
    those documents: the 820 that pays an invoice is found by the invoice's number on the 810. Numbers that stand in
    very many documents, or say nothing by themselves, are not followed; they are named.

    \b
    gateway ledger follow 4500012345
    gateway ledger follow invoice=INV-7 --partner acme
    gateway ledger follow claim=26463774 --json
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    from gateway.errors import NotFound
    from gateway.ledger.chain import follow_written
    from gateway.ledger.chain_words import row_of, tell_chain

    with looking(ctx) as app:
        chain = follow_written(app.engine, key, partner=partner, all_partners=all_partners)
    if not chain.documents:
        raise NotFound(what="document with", key=key if partner is None else f"{key} of {partner}")
    if as_json:
        print_document(chain.as_dict())
    elif table:
        print_rows((row_of(each) | {"at": moment(each.at)} for each in chain.documents), _COLUMNS, as_json=False)
    else:
        click.echo("\n".join(tell_chain(chain)))
    if chain.others and partner is None and not all_partners:
        others = ", ".join(chain.others[:10])
        click.echo(f"Others have this number too ({others}): --partner or --all-partners", err=True)
    return 0
