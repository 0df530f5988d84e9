"""Templates: everything that is put into a page is text unless a template of ours says otherwise."""

from __future__ import annotations

from datetime import tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.ledger import events
from gateway.ledger.events import one_line
from gateway.ledger.moments import at_zone, duration
from gateway.words import count

TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, /, **values: Any) -> str:
    """The template with its values, as HTML."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    """Jinja2 with escaping on, undefined names an error, and our filters."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"at": at, "size": size, "span": span, "line": one_line, "number": number, "count": count}
    made.filters["sentence"] = sentence
    return made


def at(milliseconds: int | None, zone: tzinfo | None = None) -> Markup:
    """A moment of the ledger (milliseconds since 1970 UTC) as a ``time`` element, in ``zone`` or the machine's zone."""
    if milliseconds is None:
        return Markup("")
    moment = at_zone(milliseconds, zone)
    exact = moment.isoformat(timespec="milliseconds")
    shown = moment.strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, shown)


def size(octets: int | None) -> str:
    """Bytes as people read them, in thousands: ``14.3 kB``."""
    value = float(octets or 0)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def span(milliseconds: int | None) -> str:
    """A time span in words."""
    return "" if milliseconds is None else duration(milliseconds)


def number(value: int | None) -> str:
    """A count with its thousands apart."""
    return "" if value is None else f"{value:,}"


def sentence(event: events.Event) -> str:
    """What an event says, on one line."""
    return one_line(events.sentence(event))
