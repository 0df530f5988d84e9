"""``gateway ledger show``: the whole story of one exchange or mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gateway.cli.output import json_option, print_document

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.command("show")
@click.argument("reference")
@click.option("--raw", is_flag=True, help="Write the raw bytes of the interchange (or of mail m12) to stdout.")
@click.option("--mail", is_flag=True, help="Write the raw mail that carried it to stdout.")
@json_option
@click.pass_context
def show(ctx: click.Context, reference: str, raw: bool, mail: bool, as_json: bool) -> int:
    """Tell the whole story of one exchange, or of one mail (m12).

    REFERENCE is the number of an exchange, m and the number of a mail, an interchange or group control number, a
    Message-ID or a business key. Where it fits several, the newest is told and the others are named.
    """
    from gateway.app import open_app
    from gateway.ledger.story import mail_of, message_story, raw_bytes, story
    from gateway.ledger.telling import tell, tell_message

    with open_app(ctx.obj["home"]) as app:
        number, is_mail = _resolved(app.engine, reference, exactly=raw or mail)
        if is_mail:
            letter = message_story(app.engine, number)
            document, lines, kept = letter.as_dict(), tell_message(letter), letter.message.sha256
        else:
            whole = story(app.engine, number)
            document, lines, kept = whole.as_dict(), tell(whole), whole.exchange.sha256
        if raw or mail:
            data = mail_of(app.engine, number) if mail and not is_mail else raw_bytes(app.engine, kept)
            click.echo(data, nl=False)
            return 0
    if as_json:
        print_document(document)
    else:
        click.echo("\n".join(lines))
    return 0


def _resolved(engine: Engine, reference: str, *, exactly: bool) -> tuple[int, bool]:
    """The number that a person means, and whether it is a mail's."""
    from gateway.errors import NotFound, UsageFault
    from gateway.ledger.story import exchange_ids_for, message_ids_for

    digits = reference.removeprefix("m")
    if reference.startswith("m") and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits), True
    found, is_mail = exchange_ids_for(engine, reference), False
    if not found:
        found, is_mail = message_ids_for(engine, reference), True
    if not found:
        raise NotFound(what="exchange or mail", key=reference)
    if len(found) > 1:
        others = ", ".join(("m" if is_mail else "") + str(each) for each in found[:20])
        if exactly:
            raise UsageFault(reason=f"{reference} fits several: {others}; name one by its number")
        click.echo(f"{reference} fits several, newest first: {others}", err=True)
    return found[0], is_mail
