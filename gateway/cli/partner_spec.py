"""``gateway partner spec``: the sheet that tells a partner how to trade with us."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from gateway.cli.output import json_option, print_document, print_text
from gateway.errors import UsageFault
from gateway.values import asdict

_ENDINGS = {".html": "html", ".htm": "html", ".pdf": "pdf", ".txt": "text"}


@click.command(name="spec")
@click.argument("key")
@click.option(
    "--format", "form", type=click.Choice(["html", "pdf", "text"]), help="Default: by the file's name, or text."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@click.option("--paper", type=click.Choice(["letter", "a4"]), default="letter", show_default=True, help="Of a PDF.")
@click.option(
    "--font",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A TrueType font for a PDF, where names need letters that Helvetica lacks.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    key: str,
    form: str | None,
    output: Path | None,
    paper: str,
    font: Path | None,
    as_json: bool,
) -> None:
    """Write the specification for a partner.

    Identities, addresses, certificate, envelopes, sets, answers, tests: what its people need to trade with us, made
    from its profile, gateway.toml (name, contact, identities) and our keys. HTML is one file without scripts; PDF
    needs the package reportlab (pip install 'edi-gateway[pdf]').

    \b
    Examples: gateway partner spec acme
              gateway partner spec acme --output acme-spec.html
              gateway partner spec acme --output acme-spec.pdf --paper a4
    """  # noqa: D301 - click wants a real \b
    from gateway.app import open_app
    from gateway.flow.partner_spec import specification

    chosen = form or (_ENDINGS.get(output.suffix.lower(), "text") if output is not None else "text")
    if chosen == "pdf" and output is None and not as_json:
        raise UsageFault(reason="A PDF is no text for a terminal: name a file with --output.")
    with open_app(ctx.obj["home"]) as app:
        context = app.context()
        page = specification(context, context.directory.get(key))
    if as_json:
        print_document(asdict(page))
        return
    data = _renderer(chosen, paper, font)(page)
    if output is None:
        print_text(data.decode())
        return
    try:
        output.write_bytes(data)
    except OSError as problem:
        raise UsageFault(reason=f"{output} cannot be written: {problem.strerror}") from problem
    click.echo(f"written to {output}", err=True)


def _renderer(form: str, paper: str, font: Path | None) -> Callable[..., bytes]:
    if form == "html":
        from gateway.ledger.reports.html import as_html

        return lambda page: as_html(page).encode()
    if form == "pdf":
        from gateway.ledger.reports.pdf import as_pdf

        return lambda page: as_pdf(page, paper, font)
    from gateway.flow.partner_spec_text import as_text

    return lambda page: as_text(page).encode()
