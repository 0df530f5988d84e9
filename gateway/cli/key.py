"""``gateway key``: our own keys for S/MIME."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.output import json_option, moment, print_document, print_rows
from gateway.cli.typed import first_line
from gateway.errors import CertificateUnreadable, NotAllowedNow

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.ledger.keys import OwnKey

_name = click.option("--name", metavar="NAME", help="What to call it (default: made from the date).")


@click.group("key")
def command() -> None:
    """Our own keys for S/MIME: they sign what we send and open what partners encrypt for us.

    The newest active key signs; every key opens, retired ones too. Private keys are encrypted at rest and never shown.
    """


@command.command("generate")
@_name
@click.option(
    "--kind",
    type=click.Choice(["rsa-3072", "rsa-4096", "rsa-2048", "ec-p256"]),
    default="rsa-3072",
    show_default=True,
    help="An ec-p256 key only signs: partners cannot encrypt for it.",
)
@click.option("--days", type=click.IntRange(1, 7300), default=1095, show_default=True, help="How long it is valid.")
@click.option("--address", metavar="ADDRESS", help="The mail address in it (default: the sender of [smtp]).")
@json_option
@click.pass_context
def generate(ctx: click.Context, name: str | None, kind: str, days: int, address: str | None, as_json: bool) -> None:
    """Make a new key with a self-signed certificate. Send partners the certificate: gateway key export."""
    from gateway.app import open_app
    from gateway.mail.smime.certificates import make_key_pair

    with open_app(ctx.obj["home"]) as app:
        smtp = app.settings.smtp
        owner = address or (smtp.sender if smtp else "")
        if not owner:
            raise click.UsageError("gateway.toml has no [smtp] section with a sender: give --address.")
        pair = make_key_pair(app.settings.name, owner, at=app.now() / 1000, kind=kind, days=days)
        added = _add(app, name or _new_name(app), pair.certificate, pair.key, "generated")
    _say(added, as_json=as_json)


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_name
@json_option
@click.pass_context
def import_(ctx: click.Context, file: Path, name: str | None, as_json: bool) -> None:
    """Take over a key with its certificate from a PKCS #12 or PEM file; a password is asked for where one is needed."""
    from gateway.app import open_app
    from gateway.mail.smime.certificates import read_certificates

    data = file.read_bytes()
    try:
        found = read_certificates(data, "", file.name)
    except CertificateUnreadable:
        found = read_certificates(data, _password(file.name), file.name)
    if found.key_pair is None:
        raise CertificateUnreadable(name=file.name, reason="there is no private key in it")
    with open_app(ctx.obj["home"]) as app:
        pair = found.key_pair
        added = _add(app, name or _new_name(app), pair.certificate, pair.key, f"imported from {file.name}")
    _say(added, as_json=as_json)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List our keys, the newest first; the one that signs is marked."""
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        now = app.now()
        rows = [_row(each, now) for each in app.keys.list()]
    signing = next((row for row in rows if row["state"] == "active" and row["valid"]), None)
    for row in rows:
        row["signs"] = row is signing if as_json else "yes" if row is signing else ""
    columns = ["name", "state", "signs", "subject", "key", "from", "until", "fingerprint"]
    empty = "There are no keys yet: `gateway key generate` makes one."
    print_rows(rows, columns, as_json=as_json, empty=empty)


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show(ctx: click.Context, name: str, as_json: bool) -> None:
    """Show a key's certificate, with the fingerprint that partners will ask for."""
    from gateway.app import open_app
    from partners.certificates import grouped

    with open_app(ctx.obj["home"]) as app:
        row = _row(app.keys.get(name), app.now())
    if as_json:
        print_document(row)
        return
    click.echo(f"Key {row['name']}: {row['state']}")
    for label, value in (
        ("fingerprint", grouped(row["fingerprint"])),
        ("subject", row["subject"]),
        ("addresses", ", ".join(row["addresses"])),
        ("key", row["key"]),
        ("valid", f"{row['from']} until {row['until']} ({row['days_left']} days left)"),
        ("made", f"{row['created']} by {row['created_by']}"),
    ):
        click.echo(f"  {label + ':':<13}{value}")


@command.command("export")
@click.argument("name")
@click.option("--form", type=click.Choice(["pem", "der", "p7c"]), default="pem", show_default=True)
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write there.")
@click.pass_context
def export(ctx: click.Context, name: str, form: str, file: Path | None) -> None:
    """Write the certificate of a key, for partners. Never the private key."""
    from gateway.app import open_app

    with open_app(ctx.obj["home"]) as app:
        data = _encoded(app.keys.get(name).certificate, form)
        app.record("key-exported", name=name, form=form)
    if file is None:
        click.echo(data, nl=False)
        return
    file.write_bytes(data)
    click.echo(f"The certificate of {name} is in {file}", err=True)


@command.command("retire")
@click.argument("name")
@json_option
@click.pass_context
def retire(ctx: click.Context, name: str, as_json: bool) -> None:
    """End the active life of a key: it signs nothing any more, and still opens what was encrypted for it."""
    from gateway.app import open_app
    from gateway.flow.configuration import retire_key

    with open_app(ctx.obj["home"]) as app:
        key = app.keys.get(name)
        if key.state == "retired":
            raise NotAllowedNow(what="key", key=name, state="retired", reason="there is nothing more to end")
        retire_key(app.ledger, app.keys, key, actor=app.actor)
        row = _row(app.keys.get(name), app.now())
    if as_json:
        print_document(row)
    else:
        click.echo(f"{name} signs nothing any more; it still opens what was encrypted for it.")


# ---------------------------------------------------------------- inside


def _add(app: App, name: str, certificate: bytes, private: bytes, how: str) -> OwnKey:
    from gateway.flow.configuration import add_key
    from partners.certificates import describe

    found = describe(certificate)
    if found.problem:
        raise CertificateUnreadable(name=name, reason=found.problem)
    return add_key(
        app.ledger,
        app.keys,
        name,
        certificate,
        private,
        not_before=found.not_before,
        not_after=found.not_after,
        how=how,
        actor=app.actor,
    )


def _new_name(app: App) -> str:
    """``2026-11``, or with a number where that is taken."""
    taken = {each.name for each in app.keys.list()}
    month = f"{datetime.fromtimestamp(app.now() / 1000, UTC):%Y-%m}"
    return next(each for n in range(len(taken) + 2) if (each := f"{month}-{n}" if n else month) not in taken)


def _row(key: OwnKey, now: int) -> dict[str, Any]:
    from partners.certificates import days_left, describe

    found = describe(key.certificate)
    return {
        "name": key.name,
        "state": key.state,
        "fingerprint": key.fingerprint,
        "subject": found.subject,
        "addresses": list(found.addresses),
        "key": found.key,
        "from": moment(key.not_before),
        "until": moment(key.not_after),
        "days_left": days_left(key.not_after, now),
        "valid": key.not_before <= now <= key.not_after,
        "created": moment(key.created_at),
        "created_by": key.created_by,
    }


def _encoded(der: bytes, form: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
    from cryptography.x509 import load_der_x509_certificate

    if form == "der":
        return der
    certificate = load_der_x509_certificate(der)
    if form == "p7c":
        return pkcs7.serialize_certificates([certificate], Encoding.DER)
    return certificate.public_bytes(Encoding.PEM)


def _password(name: str) -> str:
    """The password of a file, from a person without echo, or from the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt(f"Password of {name}", hide_input=True, err=True))
    return first_line("password", required=False)


def _say(key: OwnKey, *, as_json: bool) -> None:
    from partners.certificates import grouped

    if as_json:
        print_document({"name": key.name, "state": key.state, "fingerprint": key.fingerprint})
        return
    click.echo(f"{key.name} is active, until {moment(key.not_after)}. Its fingerprint, for partners:")
    click.echo(f"  {grouped(key.fingerprint)}")
    click.echo(f"Send them the certificate: gateway key export {key.name} --to our.pem", err=True)
