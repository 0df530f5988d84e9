"""What gateway.toml says, as frozen values. Reading and checking the file is the reader's work."""

from __future__ import annotations

import shlex
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, field


class MailboxSettings(Struct, frozen=True):
    """One account to collect from. ``security`` is tls, starttls or none; ``secret`` names its password."""

    name: str
    protocol: str  # pop3, imap or maildir
    host: str = ""
    port: int = 0  # 0: what the protocol has it; see ``real_port``
    security: str = "tls"
    user: str = ""
    secret: str = ""  # empty: mailbox.<name>
    oauth: str = ""  # the name of an OAuthSettings; empty: a password
    auth: str = "auto"  # or the one way to log in
    tls_minimum: str = "1.2"
    ca_file: str = ""
    path: str = ""  # maildir: the directory
    folder: str = "INBOX"  # imap: where mail is collected
    done_folder: str = ""  # imap: where collected mail goes; empty: it is deleted
    failed_folder: str = ""  # imap: where mail goes that cannot be collected; empty: it stays
    idle: bool = False  # imap: new mail calls for a batch of ``gateway serve``
    keep_on_server: bool = False
    keep_for: timedelta | None = None  # how long mail is left there; None: for ever
    plaintext_password: bool = False  # allows a password on a connection without TLS
    timeout: timedelta = timedelta(seconds=60)

    @property
    def real_port(self) -> int:
        """The port to connect to."""
        ports = {"imap": (993, 143), "pop3": (995, 110)}.get(self.protocol, (0, 0))
        return self.port or ports[self.security != "tls"]


class SmtpSettings(Struct, frozen=True):
    """The host we send through. ``sender`` is our address in From and the envelope."""

    host: str
    port: int = 0  # 0: 465 for tls, 587 for starttls, 25 for none
    security: str = "starttls"
    user: str = ""  # empty: no AUTH
    secret: str = ""  # empty: smtp
    oauth: str = ""  # the name of an OAuthSettings; empty: a password
    auth: str = "auto"  # or the one way to log in
    tls_minimum: str = "1.2"
    sender: str = ""
    sender_name: str = ""
    ca_file: str = ""
    plaintext_password: bool = False
    helo: str = ""
    timeout: timedelta = timedelta(seconds=60)
    connections: int = 4
    per_connection: int = 500  # mails; 0: any number
    rate: int = 0  # mails a minute; 0: any number
    verp: bool = False  # an envelope sender of its own for each mail


class OAuthSettings(Struct, frozen=True):
    """Where access tokens come from, and as whom we ask for them. ``secret`` names the client secret or key."""

    name: str
    grant: str  # client-credentials, refresh-token or service-account
    client_id: str
    client_authentication: str  # post, basic, certificate or none
    token_url: str
    scope: str = ""
    device_url: str = ""
    authorize_url: str = ""
    provider: str = "custom"
    secret: str = ""
    secret_expires: date | None = None
    tenant: str = ""
    subject: str = ""
    ca_file: str = ""
    timeout: timedelta = timedelta(seconds=30)


class Limits(Struct, frozen=True):
    """Bounds on untrusted input that hold before anything is parsed (bytes or counts)."""

    message_size: int = 100_000_000
    header_block: int = 256_000
    headers: int = 1_000
    header_line: int = 64_000
    boundary: int = 70
    parts: int = 200
    depth: int = 10
    decompressed: int = 1_000_000_000
    decompression_ratio: int = 100
    archive_files: int = 200
    received: int = 50
    processor_time: int = 300  # seconds


class ProofSettings(Struct, frozen=True):
    """Whose word on a sender counts, and when we verify DKIM signatures ourselves.

    ``authserv_ids`` are our mail exchangers' names in Authentication-Results, in lower case (RFC 8601 section 2.5).
    """

    authserv_ids: tuple[str, ...] = ()
    unnamed: bool = False  # a statement without authserv-id counts too, as Microsoft 365 writes it
    received_above: int = 0  # Received fields of our own servers that may stand above the statement
    dkim: str = "needed"  # needed (where a profile asks for proof), always, never
    timeout: timedelta = timedelta(seconds=5)  # of one question to the DNS
    retry: timedelta = timedelta(days=3)  # how long what the DNS did not decide is tried again


class AlertSettings(Struct, frozen=True):
    """Who is told of what needs a person, and how: by mail (``to``), by a webhook, or by a command."""

    name: str
    kinds: tuple[str, ...] = ("*",)  # see gateway.settings.alerts.KINDS; *: all
    partners: tuple[str, ...] = ("*",)  # keys; *: all, and what belongs to no partner
    to: tuple[str, ...] = ()
    webhook: str = ""
    secret: str = ""  # the name of the webhook's secret; empty: none
    signature: str = "bearer"  # how the secret is used: bearer, hmac
    command: str = ""
    every: timedelta = timedelta(hours=1)  # at most one telling in this time
    repeat: timedelta | None = None  # tell again what is still open; None: never
    quiet: tuple[int, int] | None = None  # minutes of the day, from and to, in which nothing is told
    include_testing: bool = False  # tell of partners in testing and of test interchanges too
    timeout: timedelta = timedelta(seconds=30)

    @property
    def target(self) -> str:
        """Who or what is told, for people; of a command only the program, of a URL nothing that may be a secret."""
        if self.to:
            return ", ".join(self.to)
        if self.webhook:
            parts = urlsplit(self.webhook)
            return f"webhook {parts.hostname}"
        return f"command {shlex.split(self.command)[0]}"


class WorkerSettings(Struct, frozen=True):
    """How `gateway worker` works, where many share a ledger on PostgreSQL."""

    concurrency: int = 4  # jobs at once in one worker
    lease: timedelta = timedelta(minutes=1)  # how long what a dead worker had in hand waits
    sweep: timedelta = timedelta(seconds=15)  # how often the ledger is asked for what has no job


class Kept(Struct, frozen=True):
    """How long something is kept; None: as what stands above it says (agreement, partner, type, [retention])."""

    ledger: timedelta | None = None  # exchanges and mails with all that was recorded of them
    payload: timedelta | None = None  # their raw bytes


class RetentionSettings(Struct, frozen=True):
    """How long history is kept, where neither a profile nor the transaction set says otherwise; a year is 366 days."""

    ledger: timedelta = timedelta(days=3_660)
    payload: timedelta = timedelta(days=3_660)
    types: tuple[tuple[str, Kept], ...] = ()  # by transaction set (ST01) or TA1
    nightly: bool = False  # the night puts away what is over its time, once a day
    move_to: Path | None = None  # where archives are written to before; None: what goes is gone


class SealSettings(Struct, frozen=True):
    """The seals of the ledger: the file that they are appended to, who gets them by mail, and how often."""

    file: Path | None = None  # None: seals.txt in the home
    to: tuple[str, ...] = ()
    every: timedelta | None = timedelta(days=1)  # None: only when a person asks for one


class SelftestSettings(Struct, frozen=True):
    """Where partners may mail a file to have it judged. ``address`` "": nowhere."""

    address: str = ""
    per_hour: int = 10  # reports to one partner


class BackupSettings(Struct, frozen=True):
    """The backups that a batch makes. ``directory`` None: none."""

    directory: Path | None = None
    every: timedelta = timedelta(days=1)
    keep: int = 7  # backups; older ones go
    with_home: bool = False  # gateway.toml, profiles and guidelines too


class LogSettings(Struct, frozen=True):
    """What is written of the work as it goes: in which form, from which level on, and where to."""

    format: str = "text"  # text, json
    level: str = "info"  # debug, info, warning, error
    file: Path | None = None  # None: standard error, with the journal's marks where that is the journal


class ReportSettings(Struct, frozen=True):
    """Who gets a mail after a batch that tells what it did; ``when``: always, or only where a person is needed."""

    to: tuple[str, ...] = ()
    when: str = "trouble"  # always, trouble


class Tier(Struct, frozen=True):
    """A price for what a month has above ``start`` kilocharacters."""

    start: int
    price_in: Decimal
    price_out: Decimal


class TariffSettings(Struct, frozen=True):
    """What a VAN asks for the same traffic, as the operator knows it; amounts in ``currency``."""

    currency: str
    per_kilocharacter_in: Decimal = Decimal(0)
    per_kilocharacter_out: Decimal = Decimal(0)
    kilocharacter: int = 1000  # characters
    rounding: str = "interchange"  # up to whole kilocharacters: each interchange, each document, none
    minimum: int = 0  # kilocharacters that each of them counts as at least
    monthly_fee: Decimal = Decimal(0)
    mailbox_fee: Decimal = Decimal(0)  # a month, for each partner that had traffic
    free_acknowledgments: bool = False
    free_test: bool = False
    tiers: tuple[Tier, ...] = ()
    decimals: int = 2  # that amounts are rounded to


class OidcSettings(Struct, frozen=True):
    """An OpenID provider that vouches for users of the console, and what its words mean here."""

    issuer: str
    client_id: str
    roles: tuple[tuple[str, str], ...]  # (what the claim says, role)
    secret: str = "console.oidc"  # noqa: S105 - the name of the secret with the client secret
    scope: str = "openid profile email"
    name_claim: str = "preferred_username"
    role_claim: str = "groups"
    label: str = "your company's sign-in"
    ca_file: Path | None = None  # None: the system's
    timeout: timedelta = timedelta(seconds=10)


class ConsoleSettings(Struct, frozen=True):
    """Where the console is served, and how long a sign-in counts."""

    listen: tuple[str, int] = ("127.0.0.1", 8025)
    public_url: str = ""  # what people type where it is another: a proxy stands in front
    certificate: Path | None = None  # PEM; None: plain http, on this machine or behind a proxy
    key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()  # networks whose X-Forwarded-For and -Proto count
    session: timedelta = timedelta(minutes=30)  # without use
    session_longest: timedelta = timedelta(hours=12)
    api_rate: int = 600  # requests a minute and token
    oidc: OidcSettings | None = None


class Settings(Struct, frozen=True):
    """All settings of one home. Paths are absolute; ``identities`` are (qualifier, id), ours."""

    home: Path
    name: str  # our company, for people
    domain: str  # right side of the Message-IDs we make
    identities: tuple[tuple[str, str], ...]
    database_url: str
    mailboxes: tuple[MailboxSettings, ...] = ()
    smtp: SmtpSettings | None = None
    oauth: tuple[OAuthSettings, ...] = ()
    limits: Limits = field(default_factory=Limits)
    proof: ProofSettings = field(default_factory=ProofSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    tariff: TariffSettings | None = None  # None: nobody said what a VAN asks
    log: LogSettings | None = None  # None: nothing is logged
    report: ReportSettings = field(default_factory=ReportSettings)
    seal: SealSettings = field(default_factory=SealSettings)
    selftest: SelftestSettings = field(default_factory=SelftestSettings)
    console: ConsoleSettings | None = None  # None: `gateway serve` serves no pages
    partners_directory: Path = Path("partners")
    inbox: Path = Path("inbox")  # default delivery: inbox/<partner>
    outbox: Path = Path("outbox")  # watched: outbox/<partner>/*
    interval: timedelta = timedelta(minutes=5)  # gateway serve
    duplicate_window: timedelta = timedelta(days=365)
    batch_size: int = 100  # messages a commit
    processes: int = 3  # that share a big batch
    attempts: int = 8  # SMTP attempts before a person is called
    metrics_file: Path | None = None
    contact: str = ""  # whom partners may ask
    alerts: tuple[AlertSettings, ...] = ()
    batch_expected: timedelta | None = None  # the longest time between two batches; None: nobody is told
    low_disk: int = 1000  # MB left below which somebody is told
    sha256: str = ""  # of gateway.toml; "" where no file was read
    written: tuple[tuple[str, str], ...] = ()  # what it says, key by key, without secrets (see written)
