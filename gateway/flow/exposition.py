"""The text in which Prometheus reads figures (format 0.0.4): each family, what it is, and its samples. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Sample(Struct, frozen=True):
    """One figure, with the labels that tell it from others of its family."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class Family(Struct, frozen=True):
    """Figures of one name. ``help_`` is one sentence; all are gauges: they go up and down."""

    name: str
    help_: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """As they stand in the text."""
        yield f"# HELP {self.name} {_escaped(self.help_)}"
        yield f"# TYPE {self.name} gauge"
        for each in self.samples:
            labels = ",".join(f'{name}="{_quoted(value)}"' for name, value in each.labels.items())
            yield f"{self.name}{{{labels}}} {_number(each.value)}" if labels else f"{self.name} {_number(each.value)}"


def text(families: Iterable[Family]) -> str:
    """The whole text; families without a sample are named all the same, so that what is watched is known."""
    return "".join(f"{line}\n" for family in families for line in family.lines())


def label(name: str) -> str:
    """A count's name as a value that is easy to write in a query: ``mails sent`` is ``mails_sent``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _escaped(written: str) -> str:
    return written.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(written: str) -> str:
    return _escaped(written).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.3f}"
