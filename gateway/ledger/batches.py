"""Batches at rest: each run of the night, step by step, while it goes on and for good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from sqlalchemy import Connection, Row, select

from gateway.errors import NotFound
from gateway.ledger.moments import iso
from gateway.ledger.recording import Recorder
from gateway.ledger.tables import batch
from gateway.values import asdict


class Trouble(Struct, frozen=True):
    """What did not work in a step: where, in a sentence, and what to do about it."""

    where: str
    sentence: str
    code: str = ""
    side: str = ""
    advice: str = ""


class BatchStep(Struct, frozen=True):
    """One step of a batch. Times are ms since 1970 UTC; ``troubles`` are the first ones, ``more`` counts the others."""

    name: str
    started_at: int
    ended_at: int | None = None  # None: it goes on, or ended with its process
    counts: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    more: int = 0

    @property
    def took(self) -> int | None:
        """How long it took, in ms."""
        return None if self.ended_at is None else self.ended_at - self.started_at


class Batch(Struct, frozen=True):
    """One run of the night. Of a batch that older versions ran, ``by`` is empty and there are no ``steps``."""

    id: int
    started_at: int
    ended_at: int | None
    exit_code: int | None
    by: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    troubles: int = 0
    steps: tuple[BatchStep, ...] = ()

    @property
    def took(self) -> int | None:
        """How long it took, in ms; None while it runs, or where it was interrupted."""
        return None if self.ended_at is None else self.ended_at - self.started_at

    @property
    def result(self) -> str:
        """How it ended, in a few words."""
        if self.ended_at is None:
            return "not ended"
        return _RESULTS.get(self.exit_code or 0, f"exit code {self.exit_code}")

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times in ISO 8601."""
        steps = [
            asdict(each) | {"started_at": iso(each.started_at), "ended_at": iso(each.ended_at)} for each in self.steps
        ]
        told = asdict(self) | {"started_at": iso(self.started_at), "ended_at": iso(self.ended_at), "steps": steps}
        return told | {"result": self.result}


_RESULTS = {
    0: "all is well",
    1: "a defect",
    65: "documents need a person",
    69: "a host was away",
    78: "configuration is wrong",
}


def note(recorder: Recorder, number: int, told: Batch) -> None:
    """Writes down how far a batch has come. It is a diary, not evidence: no event, nothing in the tree."""
    summary = {
        "by": told.by,
        "counts": dict(told.counts),
        "troubles": told.troubles,
        "steps": [asdict(each) for each in told.steps],
    }
    values = {"ended_at": told.ended_at, "exit_code": told.exit_code, "summary": json.dumps(summary)}
    recorder.connection.execute(batch.update().where(batch.c.id == number).values(**values))


def batches(connection: Connection, limit: int = 50, before: int | None = None) -> list[Batch]:
    """The newest batches, the newest first; ``before``: only those of a lower number, for the next page."""
    wanted = select(batch).order_by(batch.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(batch.c.id < before)
    return [_batch(row) for row in connection.execute(wanted)]


def one(connection: Connection, number: int) -> Batch:
    """The batch of that number.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(select(batch).where(batch.c.id == number)).first()
    if row is None:
        raise NotFound(what="batch", key=number)
    return _batch(row)


def last_of(connection: Connection, done: Sequence[int | None] = ()) -> Batch | None:
    """The newest batch; None before the first. ``done``: only such exit codes."""
    wanted = select(batch).order_by(batch.c.id.desc()).limit(1)
    row = connection.execute(wanted.where(batch.c.exit_code.in_(done)) if done else wanted).first()
    return None if row is None else _batch(row)


def _batch(row: Row[Any]) -> Batch:
    told = json.loads(row.summary or "{}")
    return Batch(
        row.id,
        row.started_at,
        row.ended_at,
        row.exit_code,
        str(told.get("by", "")),
        told.get("counts", {}),
        int(told.get("troubles", 0)),
        tuple(_step(each) for each in told.get("steps", ())),
    )


def _step(told: Mapping[str, Any]) -> BatchStep:
    return BatchStep(**{**told, "troubles": tuple(Trouble(**each) for each in told["troubles"])})
