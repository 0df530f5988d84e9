"""A world of trading partners for the ledger's benchmark: who sends what and when, with numbers as people write them.

Sales (850 in; 855, 856, 810 out; some 820 in) and purchases (the other way round), claims and status messages beside
them, spread over seven years among partners whose traffic is Zipf-distributed. All of it follows from a seed.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from partners.model import Partner
from partners.profile import read_profile

HOUR, DAY = 3_600_000, 86_400_000  # ms
YEARS = 7
END = int(datetime(2026, 11, 22, 2, 0, tzinfo=UTC).timestamp() * 1000)
START = END - YEARS * 365 * DAY
OURS = ("ZZ", "EXAMPLECO")
US = "edi@example-co.example"
MAILBOXES = (("orders", "orders"), ("invoices", "ap-edi"), ("logistics", "logistics"))
VERSION = {"837": "005010X222A1", "835": "005010X221A1", "277": "005010X214"}
FUNCTIONAL = {
    "850": "PO", "860": "PC", "855": "PR", "856": "SH", "810": "IN", "820": "RA", "837": "HC", "835": "HP", "214": "QM",
    "277": "HN", "997": "FA", "846": "IB",
}  # fmt: skip
WORDS = {
    "850": "Purchase Order", "860": "PO Change", "855": "PO Acknowledgment", "856": "Ship Notice", "810": "Invoice",
    "820": "Remittance Advice", "837": "Claims", "835": "Payment Advice", "214": "Shipment Status",
    "277": "Claim Status", "997": "Functional Ack", "846": "Inventory",
}  # fmt: skip
_COMMON = (
    "weekly", "replenishment", "store", "north", "south", "east", "west", "region", "urgent", "revised", "batch",
    "daily", "production", "warehouse", "dc", "spring", "summer", "autumn", "winter", "promotion", "dropship",
    "backorder", "seasonal", "truckload", "vendor", "retail", "wholesale", "copy",
)  # fmt: skip
_NAMES = (
    "northwind", "contoso", "fabrikam", "tailspin", "wingtip", "adventure", "litware", "proseware", "trey", "lucerne",
    "graphic", "southridge",
)  # fmt: skip
_KINDS = (
    "retail", "foods", "stores", "supply", "logistics", "health", "parts", "wholesale", "market", "brands",
    "industries", "clinic",
)  # fmt: skip
_SYLLABLES = (
    "ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "wu", "xa", "ye", "zi", "quo",
    "thra",
)  # fmt: skip


def rare_words(count: int = 400) -> list[str]:
    """Words that nobody else uses; each is to stand in about ten subjects, however many there are."""
    chance = random.Random(99)
    return ["".join(chance.choices(_SYLLABLES, k=4)) for _ in range(count)]


@dataclass(slots=True)
class Trader:
    """One partner as the world plays it: its habits and its counters."""

    key: str
    name: str
    domain: str
    identity: tuple[str, str]
    mailbox: int
    habits: tuple[int, int, int, int]  # how it writes PO numbers, invoices, Message-IDs and subjects
    test: bool
    secured: bool
    health: bool
    sent: int = 0  # its ISA13
    groups: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> str:
        """Where its mails come from."""
        return f"edi@{self.domain}"

    def next_numbers(self, functional_id: str, skip: int = 0) -> tuple[int, int]:
        """The next ISA13 and GS06 that it uses."""
        self.sent += 1 + skip
        self.groups[functional_id] += 1
        return self.sent, self.groups[functional_id]


@dataclass(frozen=True, slots=True)
class Paper:
    """One business document: ST01 and its business keys, the main one first."""

    set_id: str
    keys: tuple[tuple[str, str], ...]


@dataclass(order=True, slots=True)
class Job:
    """Something that is to come in (``in``), to go out (``out``), or for a person to do (``hand``)."""

    due: int
    number: int
    way: str = field(compare=False)
    trader: int = field(compare=False)
    papers: tuple[Paper, ...] = field(compare=False, default=())
    about: int = field(compare=False, default=0)  # the exchange that is acknowledged, returned or settled
    fate: str = field(compare=False, default="")


class World:
    """Everything that will happen, in the order of time.

    Args:
        exchanges: how many there will be in all: they fill the seven years.
        seed: what follows from it is always the same.
        share: (which, of how many): the partners are dealt out among so many loaders.
    """

    def __init__(self, exchanges: int, seed: int = 7, share: tuple[int, int] = (0, 1), partners: int = 500) -> None:
        self.share = share
        self.chance = random.Random(seed * 1000 + share[0])
        everybody = [trader(number) for number in range(partners)]
        ranks = [number for number in range(partners) if number % share[1] == share[0]]
        self.traders = [everybody[number] for number in ranks]
        self.weights: list[float] = []
        for rank in ranks:
            self.weights.append((self.weights[-1] if self.weights else 0.0) + 1 / (rank + 2))
        self.now = START
        self.pace = (END - START) / max(1, exchanges)  # ms for each exchange
        self.rare = rare_words()
        self.rarity = min(0.5, len(self.rare) * 10 / max(1, exchanges))
        self.jobs: list[Job] = []
        self.serial = 0
        self._credit = 0.0

    def plan(
        self, due: int, way: str, trader: int, papers: tuple[Paper, ...] = (), about: int = 0, fate: str = ""
    ) -> None:
        """Something will happen at ``due``."""
        self.serial += 1
        heapq.heappush(self.jobs, Job(due, self.serial, way, trader, papers, about, fate))

    def turn(self, group: int) -> list[Job]:
        """What happens next: about ``group`` mails that come in and as many that go out, then time has passed."""
        self.now += int(2 * group * self.pace)
        self._credit += group / 4.3  # a business deal means 4.3 mails in, acknowledgments counted
        while self._credit >= 1:
            self._credit -= 1
            self._deal()
        found: list[Job] = []
        room = {"in": group, "out": group, "hand": group}
        while self.jobs and self.jobs[0].due <= self.now and room[self.jobs[0].way]:
            job = heapq.heappop(self.jobs)
            room[job.way] -= 1
            found.append(job)
        return found

    def pick(self) -> int:
        """A partner, the busy ones more often."""
        return self.chance.choices(range(len(self.traders)), cum_weights=self.weights)[0]

    # ------------------------------------------------------------ deals

    def _deal(self) -> None:
        """A business deal, all its documents planned but what depends on how the others fare."""
        who = self.pick()
        place, roll = self.traders[who], self.chance.random()
        if place.health:
            self._claims(who)
        elif roll < 0.45:
            self._order(who, "in", "out")
        elif roll < 0.85:
            self._order(who, "out", "in")
        else:
            for _ in range(3):
                keys = (("shipment", self.number(place, "shipment")), ("reference", self.number(place, "reference")))
                self.plan(self._soon(DAY), "in", who, (Paper("214", keys),))
            self.plan(self._soon(DAY), "out", who, (Paper("846", (("reference", self.number(place, "reference")),)),))
        if self.chance.random() < 0.02:
            self.plan(self._soon(HOUR), "in", who, fate="stranger")

    def _order(self, who: int, ours: str, theirs: str) -> None:
        """An order one way, its acknowledgment, ship notice and invoice the other; sometimes changed; at last paid."""
        place, chance = self.traders[who], self.chance
        count = 1 if chance.random() < 0.9 else chance.randint(2, 8)
        pos = [self.number(place, "po") for _ in range(count)]
        self.plan(self._soon(HOUR), ours, who, tuple(Paper("850", (("po", po),)) for po in pos))
        for po in pos[:2]:  # the others are answered on paper
            if chance.random() < 0.1:
                self.plan(self._soon(DAY), ours, who, (Paper("860", (("po", po),)),))
            if chance.random() < 0.75:
                self.plan(self._soon(DAY), theirs, who, (Paper("855", (("po", po),)),))
            if chance.random() < 0.85:
                keys = (("shipment", self.number(place, "shipment")), ("po", po))
                self.plan(self._soon(5 * DAY), theirs, who, (Paper("856", keys),))
            invoice = self.number(place, "invoice")
            self.plan(self._soon(8 * DAY), theirs, who, (Paper("810", (("invoice", invoice), ("po", po))),))
            if chance.random() < 0.4:
                keys = (("trace", self.number(place, "trace")), ("invoice", invoice))
                self.plan(self._soon(30 * DAY), ours, who, (Paper("820", keys),))

    def _claims(self, who: int) -> None:
        place, chance = self.traders[who], self.chance
        claims = [self.number(place, "claim") for _ in range(chance.randint(1, 4))]
        reference = self.number(place, "reference")
        self.plan(
            self._soon(HOUR), "in", who, (Paper("837", (("reference", reference), *(("claim", c) for c in claims))),)
        )
        self.plan(self._soon(2 * DAY), "out", who, (Paper("277", (("reference", reference),)),))
        check = (("check", self.number(place, "trace")), *(("claim", c) for c in claims))
        self.plan(self._soon(20 * DAY), "out", who, (Paper("835", check),))

    def _soon(self, span: int) -> int:
        return self.now + int(self.chance.random() * span)

    # ------------------------------------------------------------ how things are written

    def number(self, trader: Trader, kind: str) -> str:
        """A business number as this partner writes them: mostly digits without an order, some counted."""
        chance = self.chance
        trader.counters[kind] += 1
        count = trader.counters[kind]
        style = trader.habits[1 if kind == "invoice" else 0]
        written: tuple[str, ...]
        if kind == "po":
            year = datetime.fromtimestamp(self.now / 1000, UTC).year
            written = (
                f"45{chance.randrange(10**8):08}",
                f"{chance.randrange(10**9, 10**10)}",
                f"{chance.randrange(10**6, 10**7)}",
                f"PO-{year}-{count:06}",
                f"{trader.key[-2:].upper()}{chance.randrange(10**8):08}",
            )
            return written[style]
        if kind == "invoice":
            return (f"INV{chance.randrange(10**8):08}", f"{chance.randrange(10**9):09}", f"{90000000 + count}")[
                style % 3
            ]
        if kind == "trace":
            return f"{chance.randrange(10**14, 10**15)}"
        if kind == "claim":
            return f"{chance.randrange(16**12):012X}"
        return f"{trader.key[-2:].upper()}{chance.randrange(10**9):09}" if style % 2 else f"{chance.randrange(10**9)}"

    def subject(self, trader: Trader, set_id: str, main: str, control_number: str) -> str:
        """What a mail is headed with."""
        chance = self.chance
        said = (
            f"{WORDS[set_id]} {main} from {trader.name}",
            f"EDI {set_id} {control_number}",
            f"{trader.name}: X12 {set_id} {main}",
            f"{WORDS[set_id]} {control_number} {trader.name} to Example Co",
        )[trader.habits[3]]
        if chance.random() < 0.2:
            said += " - " + " ".join(chance.choices(_COMMON, k=2))
        if chance.random() < self.rarity:
            said += f" {chance.choice(self.rare)}"
        return said

    def message_id(self, trader: Trader) -> str:
        """A Message-ID as this partner's mail host makes them."""
        word = self.chance.getrandbits(80)
        made = (
            f"{word:020X}@mx{trader.mailbox + 1}.{trader.domain}",
            f"{datetime.fromtimestamp(self.now / 1000, UTC):%Y%m%d%H%M%S}.{word % 16**10:010X}@{trader.domain}",
            f"JavaMail.edi.{word % 10**10}.{self.now}@b2b.{trader.domain}",
        )[trader.habits[2]]
        return f"<{made}>"


@cache
def trader(number: int) -> Trader:
    """The partner of that rank."""
    chance = random.Random(number)
    name = f"{_NAMES[number % len(_NAMES)]} {_KINDS[number // len(_NAMES) % len(_KINDS)]}"
    key = f"{name.replace(' ', '-')}-{number:03}"
    qualifier = ("ZZ", "01", "12", "14")[number % 4]
    identity = (
        f"{name.split(maxsplit=1)[0].upper()[:8]}{number:03}"
        if qualifier == "ZZ"
        else f"{6_000_000_000 + number * 7919}"
    )
    return Trader(
        key=key,
        name=f"{name.title()} {number}",
        domain=f"{key}.example",
        identity=(qualifier, identity),
        mailbox=number % len(MAILBOXES),
        habits=(
            chance.choices(range(5), (30, 25, 15, 15, 15))[0],
            chance.randrange(3),
            number % 3,
            chance.randrange(4),
        ),
        test=chance.random() < 0.02,
        secured=chance.random() < 0.12,
        health=number % 10 == 7,
    )


def partner(trader: Trader) -> Partner:
    """Its profile."""
    return read_profile(f"""
key = "{trader.key}"
name = "{trader.name}"
status = "{"testing" if trader.test else "live"}"
addresses = ["{trader.address}"]
identities = ["{":".join(trader.identity)}"]
[[agreement]]
name = "documents to us"
direction = "in"
sets = ["*"]
[[agreement]]
name = "documents to them"
direction = "out"
sets = ["*"]
[agreement.acknowledgment]
within = "24h"
""")
