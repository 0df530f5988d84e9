"""``gateway partner certificate``: what proves a partner, and what we encrypt for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.typed import first_line
from gateway.errors import CertificateUnreadable, UsageFault
from partners.model import CertificateState

if TYPE_CHECKING:
    from gateway.app import App
    from partners.certificate_store import Kept

_by = click.option("--by", metavar="NAME", help="Who does this (default: your login name).")
_fingerprint = click.option(
    "--fingerprint", metavar="SHA256", help="The SHA-256 fingerprint; groups, colons and capitals do not matter."
)
_yes = click.option("--yes", is_flag=True, help="Do not ask; the whole fingerprint must be given.")
_WHOLE = 64


@click.group(name="certificate")
def command() -> None:
    """Certificates of partners (S/MIME): what proves their mails, and what we encrypt ours for.

    A certificate is only used after a person has confirmed its fingerprint with the partner, by telephone or another
    way than mail. Several may be trusted at once, so that a partner can change over. None is ever deleted.
    """


@command.command(name="add")
@click.argument("key")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_by
@json_option
@click.pass_context
def add(ctx: click.Context, key: str, file: Path, by: str | None, as_json: bool) -> None:
    """Keep the certificate in FILE as pending: PEM, DER, .p7b, .p7c, or PKCS #12 (its password is asked for).

    Nothing is done with it until `gateway partner certificate trust` confirms it.
    """
    from gateway.app import open_app
    from gateway.flow.configuration import add_certificate
    from partners.certificates import read_certificates

    data = file.read_bytes()
    try:
        found = read_certificates(data, file.name)
    except CertificateUnreadable:
        if file.suffix.lower() not in {".p12", ".pfx"}:
            raise
        found = read_certificates(data, file.name, _password(file.name).encode())
    with open_app(ctx.obj["home"], actor=by) as app:
        app.partners.get(key)
        rows = []
        for each in found:
            if each.problem:
                raise CertificateUnreadable(name=file.name, reason=each.problem)
            new = add_certificate(app.ledger, app.certificates, key, each, source=file.name, actor=app.actor)
            rows.append(_row(app.certificates.find(key, each.fingerprint), app.now()) | {"new": new})
    _say_added(key, rows, as_json=as_json)


@command.command(name="learn")
@click.argument("key")
@click.argument("message", metavar="mID")
@_by
@json_option
@click.pass_context
def learn(ctx: click.Context, key: str, message: str, by: str | None, as_json: bool) -> None:
    """Keep the certificate that signed a received mail (m17), as pending.

    That the mail carries it proves nothing: confirm the fingerprint with the partner before you trust it.
    """
    from gateway.app import open_app
    from gateway.flow.configuration import add_certificate
    from gateway.flow.learn import signing_certificates
    from partners.certificates import describe

    with open_app(ctx.obj["home"], actor=by) as app:
        app.partners.get(key)
        rows = []
        for der in signing_certificates(app.context(), message):
            found = describe(der)
            source = f"mail {message}"
            new = add_certificate(app.ledger, app.certificates, key, found, source=source, actor=app.actor)
            rows.append(_row(app.certificates.find(key, found.fingerprint), app.now()) | {"new": new})
    _say_added(key, rows, as_json=as_json)


@command.command(name="list")
@click.argument("key", required=False)
@json_option
@click.pass_context
def list_(ctx: click.Context, key: str | None, as_json: bool) -> None:
    """List the certificates of one partner, or of all: state, time, key and fingerprint."""
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        if key is not None:
            app.partners.get(key)
        rows = [_row(each, app.now()) for each in app.certificates.list(key)]
    columns = ["partner", "state", "subject", "key", "use", "from", "until", "fingerprint"]
    empty = "There are no certificates yet: `gateway partner certificate add KEY FILE` adds one."
    print_rows(rows, columns, as_json=as_json, empty=empty)


@command.command(name="show")
@click.argument("key")
@_fingerprint
@json_option
@click.pass_context
def show(ctx: click.Context, key: str, fingerprint: str | None, as_json: bool) -> None:
    """Show a certificate with its fingerprint in groups, as it is compared by telephone.

    Without a fingerprint, all of the partner's are shown.
    """
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        app.partners.get(key)
        found = app.certificates.list(key) if fingerprint is None else [_find(app, key, fingerprint)]
        now = app.now()
    if as_json:
        print_rows([_row(each, now) for each in found], [], as_json=True)
        return
    for each in found:
        _tell(each, now)
    if not found:
        click.echo(f"There is no certificate of {key}.", err=True)


@command.command(name="trust")
@click.argument("key")
@_fingerprint
@_yes
@_by
@json_option
@click.pass_context
def trust(ctx: click.Context, key: str, fingerprint: str | None, yes: bool, by: str | None, as_json: bool) -> None:
    """Trust a certificate, after its fingerprint was confirmed with the partner.

    Let the partner read the fingerprint to you, and type it in or give it with --fingerprint. Without a terminal,
    --yes and the whole fingerprint are needed.
    """
    from gateway.app import open_app

    with open_app(ctx.obj["home"], actor=by) as app:
        app.partners.get(key)
        chosen = _confirmed(app, key, fingerprint, yes=yes)
        _decide(app, chosen, CertificateState.TRUSTED)
        after = _row(app.certificates.find(key, chosen.certificate.fingerprint), app.now())
    if as_json:
        print_document(after)
    else:
        click.echo(f"{key} is proved by this certificate now; it is valid until {after['until']}.")


@command.command(name="retire")
@click.argument("key")
@_fingerprint
@_by
@json_option
@click.pass_context
def retire(ctx: click.Context, key: str, fingerprint: str | None, by: str | None, as_json: bool) -> None:
    """Stop to trust a certificate, from now on. It still explains the signatures that it proved before."""
    from gateway.app import open_app

    if fingerprint is None:
        raise UsageFault(reason="Say which one with --fingerprint; `gateway partner certificate list` shows them.")
    with open_app(ctx.obj["home"], actor=by) as app:
        app.partners.get(key)
        chosen = _find(app, key, fingerprint)
        _decide(app, chosen, CertificateState.RETIRED)
        after = _row(app.certificates.find(key, chosen.certificate.fingerprint), app.now())
    if as_json:
        print_document(after)
    else:
        click.echo(f"This certificate of {key} proves nothing any more: {after['fingerprint']}")


# ---------------------------------------------------------------- inside


def _confirmed(app: App, key: str, fingerprint: str | None, *, yes: bool) -> Kept:
    """The certificate whose fingerprint a person repeated."""
    from partners.certificates import refuse_unusable

    terminal = sys.stdin.isatty() and not yes
    shown = fingerprint is None
    if fingerprint is None and not terminal:
        raise UsageFault(reason="Give the whole fingerprint with --fingerprint, and --yes.")
    if fingerprint is None:
        for each in app.certificates.list(key):
            if each.certificate.state is not CertificateState.TRUSTED:
                _tell(each, app.now())
        fingerprint = str(click.prompt("The fingerprint as the partner reads it to you", err=True))
    chosen = _find(app, key, fingerprint)
    if len(_plain(fingerprint)) != _WHOLE:
        raise UsageFault(reason="That is only a part of the fingerprint: all 64 digits must be confirmed.")
    refuse_unusable(chosen.certificate, app.now())
    if terminal:
        if not shown:
            _tell(chosen, app.now())
        click.confirm(f"Does {key} confirm it, by another way than mail?", abort=True, err=True)
    elif not yes:
        raise UsageFault(reason="There is no terminal to ask at: add --yes.")
    return chosen


def _decide(app: App, chosen: Kept, state: CertificateState) -> None:
    from gateway.flow.configuration import decide_certificate

    if chosen.certificate.state is state:
        return
    fingerprint = chosen.certificate.fingerprint
    decide_certificate(app.ledger, app.certificates, chosen.partner, fingerprint, state, actor=app.actor)


def _find(app: App, key: str, fingerprint: str) -> Kept:
    return app.certificates.find(key, _plain(fingerprint))


def _plain(fingerprint: str) -> str:
    from partners.certificates import plain_fingerprint

    try:
        return plain_fingerprint(fingerprint)
    except ValueError as problem:
        raise UsageFault(reason=str(problem)) from None


def _password(name: str) -> str:
    """The password of a file, from a person without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Password of {name}", hide_input=True, err=True))
    return first_line("password", required=False)


def _row(kept: Kept, now: int) -> dict[str, Any]:
    from partners.certificates import days_left, describe

    found = describe(kept.certificate.der)
    return {
        "partner": kept.partner,
        "fingerprint": found.fingerprint,
        "state": kept.certificate.state.value,
        "subject": found.subject,
        "issuer": found.issuer,
        "serial": found.serial,
        "key": found.key,
        "use": [word for word, can in (("sign", found.signs), ("encrypt", found.encrypts)) if can],
        "authority": found.authority,
        "addresses": list(found.addresses),
        "from": moment(found.not_before),
        "until": moment(found.not_after),
        "days_left": days_left(found.not_after, now),
        "source": kept.certificate.source,
        "added": moment(kept.added_at),
        "added_by": kept.added_by,
        "decided": moment(kept.decided_at),
        "decided_by": kept.decided_by,
    }


def _tell(kept: Kept, now: int) -> None:
    from partners.certificates import grouped

    row = _row(kept, now)
    decided = f", decided {row['decided']} by {row['decided_by']}" if row["decided"] else ""
    click.echo(f"Certificate of {row['partner']}: {row['state']}")
    for name, value in (
        ("fingerprint", grouped(row["fingerprint"])),
        ("subject", row["subject"]),
        ("issuer", row["issuer"] if row["issuer"] != row["subject"] else "itself"),
        ("addresses", ", ".join(row["addresses"])),
        ("key", f"{row['key']}, to {' and '.join(row['use']) or 'nothing that we need'}"),
        ("authority", "it vouches for whom it certifies under the partner's addresses" if row["authority"] else ""),
        ("valid", f"{row['from']} until {row['until']} ({row['days_left']} days left)"),
        ("from", f"{row['source']}, added {row['added']} by {row['added_by']}{decided}"),
    ):
        if value:
            click.echo(f"  {name + ':':<13}{value}")


def _say_added(key: str, rows: list[dict[str, Any]], *, as_json: bool) -> None:
    from partners.certificates import grouped

    if as_json:
        print_rows(rows, [], as_json=True)
        return
    for row in rows:
        click.echo(f"{'Kept' if row['new'] else 'There already'}, {row['state']}: {row['subject']}")
        click.echo(f"  {grouped(row['fingerprint'])}")
    if any(row["state"] == CertificateState.PENDING.value for row in rows):
        click.echo(f"Confirm the fingerprint with the partner, then: gateway partner certificate trust {key}", err=True)
