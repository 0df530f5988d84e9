"""The play: two nights of traffic between a gateway and five correspondents, on one machine, over real SMTP and POP3.

The clock of the gateway is set back for the first night, so that a day passes between the two in no time.
Afterwards the home is an ordinary one: every command works on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from msgspec import Struct, field

from gateway.app import KEY_FILE, App, milliseconds, open_app
from gateway.demo.actors import Account, Actor
from gateway.demo.documents import bare, claim, confirmation, interchange, invoice, order, payment_advice, ship_notice
from gateway.flow import configuration
from gateway.flow.night import Summary, night
from gateway.flow.reporter import Reporter
from gateway.ledger.database import open_engine, upgrade
from gateway.ledger.secrets import make_key
from gateway.mail.host import MailHost
from partners.profile import read_profile

US = "edi@gateway.example"
OUR_IDENTITY = "ZZ:EXAMPLECO"
PASSWORD = "demo"  # noqa: S105 - of mailboxes that live for a second on this machine's loopback
PARTNERS = ("acme", "mercy", "globex", "initech")
A_DAY = timedelta(hours=26)

_SETTINGS = """\
# The home that `gateway demo` made. Its mail host lived only as long as the demo.
[gateway]
name = "Example Co"
domain = "gateway.example"
identities = ["ZZ:EXAMPLECO"]

[mailbox.orders]
protocol = "pop3"
host = "127.0.0.1"
port = {pop3_port}
security = "none"
plaintext_password = true  # never leaves this machine
user = "edi@gateway.example"

[smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"
sender = "edi@gateway.example"
sender_name = "Example Co EDI"
"""


class Check(Struct, frozen=True):
    """One thing the play promises, and whether the actors and the ledger saw it."""

    promise: str
    kept: bool


class Outcome(Struct, frozen=True):
    """How the play went: both nights, what was promised, and where everything lies."""

    first: Summary
    second: Summary
    checks: tuple[Check, ...]
    home: Path
    mails: Path

    @property
    def counts(self) -> dict[str, int]:
        """Both nights together."""
        names = dict.fromkeys([*self.first.counts, *self.second.counts])
        return {name: self.first.counts.get(name, 0) + self.second.counts.get(name, 0) for name in names}


class _Stage(Struct):
    """Everybody who plays, and where."""

    home: Path
    host: MailHost
    actors: dict[str, Actor]
    evening: datetime
    next_day: datetime
    first_order: bytes = b""
    checks: list[Check] = field(default_factory=list)


def play(directory: Path, reporter: Reporter, tell: Callable[[str], None]) -> Outcome:
    """Plays both nights in ``directory``, which gets ``home`` (a gateway home) and ``mails`` (every mail as .eml).

    Args:
        directory: an empty or new directory.
        reporter: hears of the gateway's steps.
        tell: is given one sentence a scene.
    """
    addresses = {"acme": "edi@acme.example", "mercy": "billing@mercy.example"}
    addresses |= {"globex": "invoices@globex.example", "initech": "edi@initech.example"}
    addresses |= {"stranger": "sales@stranger.example"}
    mails = directory / "mails"
    with MailHost(dict.fromkeys([US, *addresses.values()], PASSWORD), keep=mails) as host:
        stage = _set(directory / "home", host, addresses)
        tell("Evening: partners send orders and claims; our business drops its documents into the outbox.")
        _evening(stage)
        tell("First night: the gateway collects, judges, acknowledges, delivers and sends.")
        first = _night(stage, reporter, A_DAY)
        tell("Next day: the partners read their mail; one accepts, one rejects, one never answers.")
        _next_day(stage)
        tell("Second night, a day later: acknowledgments are matched, what is missing is overdue.")
        second = _night(stage, reporter, timedelta(0))
        _judge(stage, first, second)
    return Outcome(first, second, tuple(stage.checks), stage.home, mails)


def _set(home: Path, host: MailHost, addresses: dict[str, str]) -> _Stage:
    """Makes the home as ``gateway init``, ``gateway secret set`` and ``gateway partner apply`` would."""
    for name in ("partners", "inbox", "outbox"):
        (home / name).mkdir(parents=True, exist_ok=True)
    (home / "gateway.toml").write_text(_SETTINGS.format(pop3_port=host.pop3_port, smtp_port=host.smtp_port), "utf-8")
    make_key(home / KEY_FILE)
    (home / "ledger.db").touch(mode=0o600)  # SQLite would make one that everybody may read
    engine = open_engine(f"sqlite:///{home / 'ledger.db'}")
    upgrade(engine)
    engine.dispose()
    now = datetime.now(UTC)
    with open_app(home, lock=True, actor="demo") as app:
        configuration.set_secret(app.ledger, app.secrets, "mailbox.orders", PASSWORD, actor="demo")
        _apply_profiles(app)
    identities = {"acme": "ZZ:ACMERETAIL", "mercy": "ZZ:MERCYCLINIC", "globex": "14:0700000000001"}
    identities |= {"initech": "01:987654321", "stranger": "ZZ:ACMERETAIL"}
    tempers = {"globex": "rejects", "initech": "silent"}
    actors = {
        name: Actor(
            Account(address, PASSWORD, host.host, host.pop3_port, host.smtp_port),
            identities[name],
            US,
            OUR_IDENTITY,
            tempers.get(name, "accepts"),
        )
        for name, address in addresses.items()
    }
    return _Stage(home, host, actors, now - A_DAY - timedelta(hours=1), now - timedelta(hours=20))


def _apply_profiles(app: App) -> None:
    profiles = []
    for key in PARTNERS:
        text = (files("gateway.demo") / "profiles" / f"{key}.toml").read_text("utf-8")
        (app.home / "partners" / f"{key}.toml").write_text(text, "utf-8")
        profiles.append((read_profile(text, f"{key}.toml"), text, f"{key}.toml"))
    configuration.apply_profiles(app.ledger, app.partners, profiles, actor="demo")


def _evening(stage: _Stage) -> None:
    acme, mercy, stranger = stage.actors["acme"], stage.actors["mercy"], stage.actors["stranger"]
    when = stage.evening

    def orders(number: int, *sets: object) -> bytes:
        return interchange(acme.identity, OUR_IDENTITY, number, when, [("PO", "004010", list(sets))])  # type: ignore[arg-type]

    good = orders(1, order("PO-1001", when))
    stage.first_order = good
    acme.send("Order PO-1001", when, ("order1001.edi", good))
    acme.send(
        "Two orders in two files",
        when,
        ("a.edi", orders(2, order("PO-1002", when))),
        ("b.edi", orders(3, order("PO-1003", when))),
    )
    text = orders(4, order("PO-1004", when)).decode()
    acme.send("Order in the body", when, body=text)
    half = orders(5, order("PO-1005", when), order("PO-1006", when, 2, quantity="A DOZEN"))
    acme.send("One good, one bad", when, ("orders.edi", half), content_type="application/octet-stream")
    acme.send("Order PO-1007", when, ("order1007.edi", orders(6, order("PO-1007", when))), damage=True)
    claims = interchange(
        mercy.identity, OUR_IDENTITY, 1, when, [("HC", "005010X222A1", [claim("MC-2001", when)])], ask_ta1=True
    )
    mercy.send("Claims", when, ("claims.837", claims))
    forged = interchange(stranger.identity, OUR_IDENTITY, 900, when, [("PO", "004010", [order("PO-9999", when)])])
    stranger.send("Urgent order", when, ("order.edi", forged))
    _business_writes(stage)


def _business_writes(stage: _Stage) -> None:
    """Our own business: files without any envelope, put into the outbox."""
    when = stage.evening
    written = {
        "acme/confirmation-1001.edi": bare(confirmation("PO-1001", when)),
        "acme/shipment-1001.edi": bare(ship_notice("PO-1001", "SH-1", when)),
        "acme/invoice-1.edi": bare(invoice("INV-0001", "PO-1001", when)),
        "mercy/payment-2001.edi": bare(payment_advice("CHK-1", "MC-2000", when)),
        "globex/invoice-2.edi": bare(invoice("INV-0002", "PO-77", when)),
        "initech/invoice-3.edi": bare(invoice("INV-0003", "PO-88", when)),
    }
    for name, data in written.items():
        file = stage.home / "outbox" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def _next_day(stage: _Stage) -> None:
    for actor in stage.actors.values():
        actor.read()
        actor.answer(stage.next_day)
    # ACME is not sure that its first order went out.
    stage.actors["acme"].send("Order PO-1001 once more", stage.next_day, ("order1001.edi", stage.first_order))


def _night(stage: _Stage, reporter: Reporter, ago: timedelta) -> Summary:
    back = int(ago.total_seconds() * 1000)
    with open_app(stage.home, lock=True, actor="demo", clock=lambda: milliseconds() - back) as app:
        return night(app.context, reporter)


def _judge(stage: _Stage, first: Summary, second: Summary) -> None:
    """What the actors have in their hands, the business in its inbox, and the ledger in its books."""
    for actor in stage.actors.values():
        actor.read()
    acme, mercy, globex = stage.actors["acme"], stage.actors["mercy"], stage.actors["globex"]
    inbox = {each.parent.name: each for each in sorted((stage.home / "inbox").rglob("*.edi"))}
    orders = sorted((stage.home / "inbox" / "acme").glob("850_*.edi"))
    delivered = "".join(each.read_text("latin-1") for each in orders)
    waiting = {each.state: each for each in second.attention}
    acks = [each for each in acme.acknowledgments if each.first("AK1")]
    kinds = [(each.first("GS")[1], each.first("ST")[1]) for each in acme.documents]
    verdicts = sorted(each.first("AK9")[1] for each in acks)
    promises = {
        "five good orders of ACME were delivered, each once": len(orders) == 5
        and all(delivered.count(f"*PO-100{n}*") == 1 for n in range(1, 6)),
        "the order with a bad quantity was rejected alone": "PO-1006" not in delivered,
        "ACME holds a 997 for every interchange, the one it sent twice included": verdicts == ["A"] * 5 + ["P"],
        "ACME got an 855, an 856 and an 810": sorted(kinds) == [("IN", "810"), ("PR", "855"), ("SH", "856")],
        "the clinic's claims were delivered, and answered by TA1 and 999": "mercy" in inbox
        and bool(mercy.acknowledgments)
        and bool(mercy.acknowledgments[0].first("TA1"))
        and mercy.acknowledgments[0].first("ST")[1:2] == ["999"],
        "the clinic got its 835 and accepted it": [each.first("ST")[1] for each in mercy.documents] == ["835"],
        "the order that ACME sent twice is a duplicate, acknowledged with the same words": second.counts.get(
            "interchanges duplicate"
        )
        == 1
        and sum(each.segments == acks[-1].segments for each in acks) == 2,
        "the stranger got no answer": not stage.actors["stranger"].acknowledgments,
        "the stranger's order and the damaged file are in quarantine": first.counts.get("messages quarantined") == 2,
        "Globex's rejection is known": "refused by the partner" in waiting and len(globex.documents) == 1,
        "Initech's silence is an overdue acknowledgment": "overdue" in waiting,
        "what the others accepted is known": second.counts.get("sent interchanges accepted by partners") == 4,
        "nothing is left in the gateway's mailbox": not stage.host.waiting(US),
    }
    stage.checks += [Check(promise, bool(kept)) for promise, kept in promises.items()]
