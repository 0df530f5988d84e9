"""``gateway ledger show``: everything that the ledger knows of one exchange or mail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from gateway.cli.integers import NATURAL
from gateway.cli.looking import archive_option, looking
from gateway.cli.output import json_option, print_bytes, print_document
from gateway.words import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

    from gateway.app import App

_VIEWS = ("tree", "segments", "raw", "mail", "answer")
_FOR_PEOPLE = 50  # groups, sets, findings, events that are read for a terminal
_FOR_MACHINES = 5_000


class _Wish(Struct, frozen=True):
    """What is to be shown of what, and how."""

    number: int
    is_mail: bool
    view: str  # one of _VIEWS, or "": the story
    limit: int | None
    first: int
    count: int
    only_findings: bool
    elements: bool
    unmasked: bool
    as_json: bool


def _views(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each way to look at it."""
    options = (
        click.option(
            "--tree", is_flag=True, help="Its tree: mail, payload, interchange, groups, sets, acknowledgments."
        ),
        click.option("--segments", is_flag=True, help="The interchange by segments, with names and findings."),
        click.option(
            "--findings", is_flag=True, help="Only the segments that something is wrong with, and those around."
        ),
        click.option("--elements", is_flag=True, help="With --segments: every element with its name."),
        click.option("--from", "first", type=NATURAL, default=1, help="With --segments: the first one shown."),
        click.option("--count", type=NATURAL, default=200, show_default=True, help="With --segments: how many."),
        click.option("--raw", is_flag=True, help="Write the raw bytes of the interchange (or of mail m12) to stdout."),
        click.option("--mail", is_flag=True, help="Write the raw mail that carried it to stdout."),
        click.option("--answer", is_flag=True, help="Write the acknowledgments that answered it to stdout."),
        click.option("--unmasked", is_flag=True, help="Show ISA02 and ISA04 too; the ledger records that you did."),
        click.option("--all", "everything", is_flag=True, help="All of it, where the exchange has very many sets."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command("show")
@click.argument("reference")
@_views
@archive_option
@json_option
@click.pass_context
def show(ctx: click.Context, /, reference: str, everything: bool, as_json: bool, findings: bool, **wishes: Any) -> int:
    """Tell the whole story of one exchange, or of one mail (m12).

    REFERENCE is the number of an exchange, m and the number of a mail, an interchange or group control number, a
    Message-ID or a business key. Where it fits several, the newest is told and the others are named. Passwords in an
    ISA (ISA02, ISA04) are masked.

    \b
    gateway ledger show 17
    gateway ledger show 17 --tree
    gateway ledger show 17 --findings
    gateway ledger show 17 --segments --from 100000 --count 50 --elements
    gateway ledger show 17 --answer
    """  # noqa: D301 - click wants the character itself: \b keeps the lines below it as they are
    view = _view(wishes, findings=findings)
    limit = None if everything else _FOR_MACHINES if as_json else _FOR_PEOPLE
    with looking(ctx) as app:
        number, is_mail = _resolved(app.engine, reference, exactly=view in {"raw", "mail", "answer"})
        _show(
            app,
            _Wish(
                number=number,
                is_mail=is_mail,
                view=view,
                limit=limit,
                first=wishes["first"],
                count=wishes["count"],
                only_findings=findings,
                elements=wishes["elements"],
                unmasked=wishes["unmasked"],
                as_json=as_json,
            ),
        )
    return 0


def _view(wishes: dict[str, Any], *, findings: bool) -> str:
    """The one view that was asked for."""
    from gateway.errors import UsageFault

    asked = [name for name in _VIEWS if wishes[name]]
    if findings and "segments" not in asked:
        asked.append("segments")
    if len(asked) > 1:
        raise UsageFault(reason=f"--{asked[0]} and --{asked[1]} are two views: ask for one at a time")
    return asked[0] if asked else ""


def _show(app: App, wish: _Wish) -> None:
    if wish.view in {"raw", "mail", "answer"}:
        _write(_bytes(app, wish))
    elif wish.view == "segments":
        _show_segments(app, wish)
    elif wish.view == "tree":
        _show_tree(app, wish)
    else:
        _show_story(app, wish)


def _show_story(app: App, wish: _Wish) -> None:
    from gateway.ledger.story import message_story, story
    from gateway.ledger.telling import tell, tell_message

    if wish.is_mail:
        letter = message_story(app.engine, wish.number, wish.limit)
        document, lines = letter.as_dict(), tell_message(letter)
    else:
        whole = story(app.engine, wish.number, wish.limit)
        document, lines = whole.as_dict(), tell(whole)
    if wish.as_json:
        print_document(document)
    else:
        click.echo("\n".join(lines))


def _show_tree(app: App, wish: _Wish) -> None:
    from gateway.ledger.drawing import draw
    from gateway.ledger.outline import message_tree, tree

    root = (message_tree if wish.is_mail else tree)(app.engine, wish.number, wish.limit)
    if wish.as_json:
        print_document(root.as_dict())
    else:
        click.echo("\n".join(draw(root)))


def _show_segments(app: App, wish: _Wish) -> None:
    from gateway.cli.segment_lines import plain, segment_lines
    from gateway.errors import UsageFault
    from gateway.flow import showing
    from gateway.flow.segment_names import policy_for
    from gateway.flow.segments import segments
    from gateway.ledger.story import story

    if wish.is_mail:
        raise UsageFault(reason=f"mail m{wish.number} is no interchange; --tree names the exchanges in it")
    row = story(app.engine, wish.number, 1).exchange
    if wish.unmasked:
        showing.record(app.ledger, "its segments", exchange=wish.number)
    page = segments(
        app.engine,
        wish.number,
        first=wish.first,
        count=wish.count,
        only_findings=wish.only_findings,
        policy=policy_for(app.directory(), row),
        unmasked=wish.unmasked,
    )
    if wish.as_json:
        print_document(page.as_dict())
    else:
        style = _coloured if sys.stdout.isatty() else plain
        for line in segment_lines(page, style, elements=wish.elements):
            click.echo(line)
        if not page.segments:
            click.echo(_nothing_there(wish, page.total), err=True)
    if page.more:
        click.echo(f"There are more: add --from {page.next}", err=True)


def _nothing_there(wish: _Wish, total: int) -> str:
    if wish.first > total:
        return f"It has {count(total, 'segment')}: none from {wish.first:,} on."
    return "Nothing was found wrong with it." if wish.first == 1 else "Nothing was found wrong with it from there on."


def _coloured(text: str, colour: str) -> str:
    return click.style(text, bold=True) if colour == "bold" else click.style(text, fg=colour)


def _bytes(app: App, wish: _Wish) -> Iterable[bytes]:
    from gateway.errors import UsageFault
    from gateway.flow import showing

    if wish.view == "answer":
        if wish.is_mail:
            raise UsageFault(reason=f"mail m{wish.number} is no interchange; --tree names the exchanges in it")
        return showing.answer_bytes(app.ledger, wish.number, unmasked=wish.unmasked)
    if wish.is_mail or wish.view == "mail":
        message = wish.number if wish.is_mail else showing.message_of(app.ledger, wish.number)
        return showing.mail_bytes(app.ledger, message, app.settings.limits, unmasked=wish.unmasked)
    return showing.interchange_bytes(app.ledger, wish.number, unmasked=wish.unmasked)


def _write(pieces: Iterable[bytes]) -> None:
    print_bytes(pieces)


def _resolved(engine: Engine, reference: str, *, exactly: bool) -> tuple[int, bool]:
    """The number that a person means, and whether it is a mail's."""
    from gateway.errors import NotFound, UsageFault
    from gateway.ledger.references import exchange_ids_for, message_ids_for

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
        others += f" and {len(found) - 20} more" if len(found) > 20 else ""
        if exactly:
            raise UsageFault(reason=f"{reference} fits several: {others}; name one by its number")
        click.echo(f"{reference} fits several, newest first: {others}", err=True)
    return found[0], is_mail
