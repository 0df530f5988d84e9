"""``gateway partner check``: in words, why nothing flows with a partner."""

from __future__ import annotations

import click

from gateway.cli.output import json_option, print_document, print_line

_MARKS = {"ok": "✓", "note": "·", "wrong": "✗"}
WRONG = 65


@click.command(name="check")
@click.argument("key")
@click.option("--offline", is_flag=True, help="Do not ask the DNS for the partner's domain.")
@click.option("--all", "everything", is_flag=True, help="Show what is in order, too.")
@json_option
@click.pass_context
def command(ctx: click.Context, key: str, offline: bool, everything: bool, as_json: bool) -> int:
    """Say why nothing flows with a partner.

    It looks at status, addresses, identities, certificates, quarantine, sending, the DNS and the last mail, and
    ends with the most probable cause and the next command. Exit code 65: something is wrong.

    \b
    Examples: gateway partner check acme
              gateway partner check acme --offline --all
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.partner_check import OK, check_partner
    from gateway.flow.partner_dns import resolver

    with open_app(ctx.obj["home"]) as app:
        found = check_partner(app.context(), key, None if offline else resolver())
    if as_json:
        print_document(found.as_dict())
        return WRONG if found.cause else 0
    for each in found.observations:
        if everything or each.state != OK:
            print_line(f"  {_MARKS[each.state]} {each.name}: {each.sentence}")
            if each.next_command and each.state != OK:
                click.echo(f"      {each.next_command}")
    print_line(found.conclusion)
    if found.cause is not None and found.cause.next_command:
        click.echo(f"Next: {found.cause.next_command}")
    return WRONG if found.cause else 0
