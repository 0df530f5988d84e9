"""How long what is kept, as plain values: by partner, agreement and transaction set; the longest counts. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct, field

DAY = 86_400_000  # ms


class Spans(Struct, frozen=True):
    """Milliseconds. ``ledger``: an exchange or mail with all that was recorded of it; ``payload``: its raw bytes."""

    ledger: int
    payload: int

    def longest(self, other: Spans) -> Spans:
        """Whichever is longer of each."""
        return Spans(max(self.ledger, other.ledger), max(self.payload, other.payload))


class Rule(Struct, frozen=True):
    """What is said in one place; None says nothing."""

    ledger: int | None = None
    payload: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it says nothing at all."""
        return self.ledger is None and self.payload is None


class Policies(Struct, frozen=True):
    """Everything that is said about how long what is kept.

    Args:
        default: where nothing else is said.
        types: by transaction set.
        partners: by the partner's key.
        agreements: by partner, direction and transaction set (``*`` for all others): of each agreement that covers it.
        window: history is never shorter than this, or what comes again is taken for new.
        whole_months: what is of one month (UTC) leaves the ledger together, when the time of its last day is over.
    """

    default: Spans
    types: Mapping[str, Rule] = field(default_factory=dict)
    partners: Mapping[str, Rule] = field(default_factory=dict)
    agreements: Mapping[tuple[str, str, str], tuple[Rule, ...]] = field(default_factory=dict)
    window: int = 0
    whole_months: bool = False

    def over_at(self, at: int, span: int) -> int:
        """When the time of what is of a moment is over in the ledger; all in ms, moments since 1970 UTC."""
        if not self.whole_months:
            return at + span
        day = datetime.fromtimestamp(at / 1000, UTC).replace(day=28) + timedelta(days=4)
        following = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return int(following.timestamp() * 1000) + span

    def of_exchange(self, partner: str, direction: str, types: Iterable[str]) -> Spans:
        """For an exchange; of several transaction sets the longest."""
        named = list(types) or [""]
        found = self._of_type(partner, direction, named[0])
        for each in named[1:]:
            found = found.longest(self._of_type(partner, direction, each))
        return found

    def of_mail(self, partner: str) -> Spans:
        """For a mail that no exchange speaks for."""
        return self._spans(self.partners.get(partner, Rule()), Rule())

    def shortest(self) -> Spans:
        """What is younger than this is kept whatever it is."""
        ledgers, payloads = [self.default.ledger], [self.default.payload]
        for rule in self._rules():
            ledgers += [rule.ledger] if rule.ledger is not None else []
            payloads += [rule.payload] if rule.payload is not None else []
        return Spans(max(self.window, min(ledgers)), min(payloads))

    def payload_spans(self) -> tuple[int, ...]:
        """Every span that raw bytes may be kept for, the shortest first."""
        said = {rule.payload for rule in self._rules() if rule.payload is not None}
        return tuple(sorted(said | {self.default.payload}))

    def digest(self) -> str:
        """Equal policies have equal digests."""
        told = [
            [self.default.ledger, self.default.payload, self.window],
            sorted([name, rule.ledger, rule.payload] for name, rule in self.types.items()),
            sorted([name, rule.ledger, rule.payload] for name, rule in self.partners.items()),
            sorted([*key, [[rule.ledger, rule.payload] for rule in rules]] for key, rules in self.agreements.items()),
        ]
        return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()

    def _rules(self) -> Iterable[Rule]:
        yield from self.types.values()
        yield from self.partners.values()
        for rules in self.agreements.values():
            yield from rules

    def _of_type(self, partner: str, direction: str, kind: str) -> Spans:
        usual, general = self.types.get(kind, Rule()), self.partners.get(partner, Rule())
        covering = self.agreements.get((partner, direction, kind)) or self.agreements.get((partner, direction, "*"))
        if not covering:
            return self._spans(general, usual)
        spans = [self._spans(rule, usual) for rule in covering]
        found = spans[0]
        for each in spans[1:]:
            found = found.longest(each)
        return found

    def _spans(self, first: Rule, second: Rule) -> Spans:
        """What the first says, else the second, else the default. Bytes never outlive what speaks of them."""
        ledger = next((s for s in (first.ledger, second.ledger) if s is not None), self.default.ledger)
        payload = next((s for s in (first.payload, second.payload) if s is not None), self.default.payload)
        return Spans(max(ledger, payload, self.window), payload)
