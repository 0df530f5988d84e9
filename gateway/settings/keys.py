"""Every key that gateway.toml may hold: how it is read and what it means.

The reader, the reference page and the check for misspelt keys all work from these tables.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from gateway.settings import alerts, console, retention, tariff, values
from gateway.settings.values import Reader

_SECOND, _DAY = timedelta(seconds=1), timedelta(days=1)


class Key(Struct, frozen=True):
    """One key. ``field`` is the settings' field where it has another name; ``default`` is what the reference says."""

    name: str
    read: Reader
    kind: str
    default: str  # as people read it; "required" where there is none
    meaning: str
    field: str = ""


def _whole(name: str, least: int, most: int, default: str, meaning: str) -> Key:
    return Key(name, values.whole(least, most), f"whole number, {least} to {most}", default, meaning)


def _span(name: str, least: timedelta, most: timedelta, default: str, meaning: str) -> Key:
    kind = f"time span, {values.say_duration(least)} to {values.say_duration(most)}"
    return Key(name, values.duration(least, most), kind, default, meaning)


def _choice(name: str, allowed: tuple[str, ...], default: str, meaning: str) -> Key:
    return Key(name, values.choice(*allowed), " or ".join(f"`{each}`" for each in allowed), default, meaning)


def _flag(name: str, meaning: str) -> Key:
    return Key(name, values.boolean, "`true` or `false`", "`false`", meaning)


def _text(name: str, default: str, meaning: str) -> Key:
    return Key(name, values.text, "text", default, meaning)


def _path(name: str, default: str, meaning: str, field: str = "") -> Key:
    return Key(name, values.text, "path", default, meaning, field)


TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
_MECHANISMS = ("plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer")

GATEWAY = (
    _text("name", "required", "Our company, as partners and people read it."),
    Key("domain", values.domain, "domain name", "required", "The right side of the Message-IDs that we make."),
    Key("identities", values.identities, "list of `QUALIFIER:ID`", "required", "Our EDI identities; the first is used where an agreement names none."),  # noqa: E501
    _text("contact", "none", "Whom partners may ask: a name, an address, a telephone number; stands in their specification."),  # noqa: E501
    _span("interval", _SECOND, _DAY, "`5m`", "How often `gateway serve` runs a batch."),
    _span("duplicate_window", _DAY, 36_500 * _DAY, "`365d`", "How long a partner's interchange control number may not be used again for other content."),  # noqa: E501
    _whole("batch_size", 1, 10_000, "`100`", "How many messages are recorded in one commit."),
    _whole("processes", 1, 3, "`3`", "How many processes share a big batch: with 2, one delivers and sends what is done; with 3, another opens what comes next."),  # noqa: E501
    _whole("attempts", 1, 100, "`8`", "How often a mail is offered to the SMTP host before a person is called."),
    _path("inbox", "`inbox`", "Where accepted documents are delivered, in one directory for each partner."),
    _path("outbox", "`outbox`", "The watched directory: files in `outbox/<partner>` are submitted."),
    _path("partners", "`partners`", "Where the partner profiles lie.", "partners_directory"),
    _path("metrics_file", "none", "A file that every batch writes its counts to (Prometheus text format)."),
    _span("batch_expected", timedelta(minutes=1), 60 * _DAY, "none", "The longest time there should be from one batch to the next; a longer one raises an alert when the next begins."),  # noqa: E501
    _whole("low_disk", 0, 10_000_000, "`1000`", "Megabytes: with less space left in the home an alert is raised."),
)  # fmt: skip

DATABASE = (
    _text("url", "`sqlite:///ledger.db`", "The ledger's database (SQLite or PostgreSQL). `{password}` in it is filled with the secret `database`."),  # noqa: E501
)  # fmt: skip

MAILBOX = (
    _choice("protocol", ("pop3", "imap", "maildir"), "`pop3`", "How messages are collected."),
    Key("host", values.host, "host name or address", "required for pop3 and imap", "The POP3 or IMAP server."),
    _whole("port", 0, 65_535, "`0`", "The server's port; 0 stands for 995 (pop3) or 993 (imap) with `tls`, else 110 or 143."),  # noqa: E501
    _choice("security", ("tls", "starttls", "none"), "`tls`", "TLS from the start, TLS by STLS or STARTTLS (RFC 2595), or none."),  # noqa: E501
    _text("user", "required for pop3 and imap", "The account we log in with."),
    Key("secret", values.name, "name of a secret", "`mailbox.NAME`", "The secret that holds the account's password."),
    Key("oauth", values.name, "name of an `[oauth.NAME]`", "none", "Log in with access tokens of this table, never with a password."),  # noqa: E501
    _choice("auth", ("auto", "user", *_MECHANISMS, "apop"), "`auto`", "The one way to log in; `auto` takes the best that the server offers. Without TLS `scram-*`, `cram-md5` and `apop` need no `plaintext_password`: they keep the password here."),  # noqa: E501
    _choice("tls_minimum", TLS_VERSIONS, "`1.2`", "The oldest TLS version that is spoken. 1.0 and 1.1 are broken: for servers that have nothing better."),  # noqa: E501
    _path("ca_file", "the system's", "Certificates of the authorities that we trust for this server (PEM)."),
    _path("path", "required for maildir", "The Maildir directory."),
    _text("folder", "`INBOX`", "imap: the folder that is collected. In the names of folders `/` stands for the server's separator."),  # noqa: E501
    _text("done_folder", "none", "imap: the folder that collected messages are moved to, made where it is missing; without it they are deleted."),  # noqa: E501
    _text("failed_folder", "none", "imap: the folder that messages are moved to that are too large or that the server does not give; without it they stay."),  # noqa: E501
    _flag("idle", "imap: `gateway serve` runs a batch as soon as new mail comes (IDLE, RFC 2177)."),
    _flag("keep_on_server", "Leave messages on the server; each is still taken once only."),
    _span("keep_for", _SECOND, 36_500 * _DAY, "for ever", "How long messages are left on the server, from when they were first seen; implies `keep_on_server`."),  # noqa: E501
    _flag("plaintext_password", "Allow the password on a connection without TLS (loopback, laboratories)."),
    _span("timeout", _SECOND, timedelta(hours=1), "`1m`", "How long one answer of the server may take."),
)  # fmt: skip

SMTP = (
    Key("host", values.host, "host name or address", "required", "The server that we send through."),
    _whole("port", 0, 65_535, "`0`", "The server's port; 0 stands for 465 with `tls`, 587 with `starttls`, else 25."),
    _choice("security", ("tls", "starttls", "none"), "`starttls`", "TLS from the start, by STARTTLS (RFC 3207), or none."),  # noqa: E501
    _text("user", "none", "The account for AUTH; without it no login is made."),
    Key("secret", values.name, "name of a secret", "`smtp`", "The secret that holds the account's password."),
    Key("oauth", values.name, "name of an `[oauth.NAME]`", "none", "Log in with access tokens of this table, never with a password."),  # noqa: E501
    _choice("auth", ("auto", *_MECHANISMS), "`auto`", "The one way to log in; `auto` takes the best that the host offers. Without TLS `scram-*` and `cram-md5` need no `plaintext_password`: they keep the password here."),  # noqa: E501
    _choice("tls_minimum", TLS_VERSIONS, "`1.2`", "The oldest TLS version that is spoken. 1.0 and 1.1 are broken: for hosts that have nothing better."),  # noqa: E501
    Key("sender", values.address, "email address", "the user, where it is an address", "Our address in From and in the envelope."),  # noqa: E501
    _text("sender_name", "the gateway's name", "Our name in From."),
    _path("ca_file", "the system's", "Certificates of the authorities that we trust for this server (PEM)."),
    _flag("plaintext_password", "Allow the password on a connection without TLS (loopback, laboratories)."),
    Key("helo", values.domain, "domain name", "the gateway's domain", "The name that we give in EHLO."),
    _span("timeout", _SECOND, timedelta(hours=1), "`1m`", "How long one answer of the server may take."),
    _whole("connections", 1, 64, "`4`", "How many connections at once; a partner's mails go through one of them, in order. Microsoft 365 takes 3."),  # noqa: E501
    _whole("per_connection", 0, 1_000_000, "`500`", "How many mails go through one connection before it is renewed; 0 for any number."),  # noqa: E501
    _whole("rate", 0, 1_000_000, "`0`", "How many mails a minute at most; 0 for any number. Microsoft 365 takes 30."),
    _flag("verp", "Send each mail from an address of its own (`edi+b…@`), so that a bounce cannot be forged or lost. The host must let us, and mail to such addresses must reach a mailbox of ours."),  # noqa: E501
)  # fmt: skip

OAUTH = (
    _choice("provider", ("microsoft", "google", "custom"), "`custom`", "Whose endpoints and scopes are filled in where this table names none."),  # noqa: E501
    _choice("grant", ("client-credentials", "refresh-token", "service-account"), "`refresh-token`", "How tokens are got: as an application of its own (Microsoft 365 app-only), with the permission that a person gave (`gateway mailbox authorize`), or as a Google service account that acts for `subject`."),  # noqa: E501
    _text("client_id", "required", "The application's id at the provider; for a service account its email address."),
    _choice("client_authentication", ("post", "basic", "certificate", "none"), "`post`; `none` for Microsoft's refresh tokens where no `secret` is named", "How the application proves itself: with its secret in the request or in the `Authorization` header, by a signature with the key of its certificate (RFC 7523), or not at all."),  # noqa: E501
    Key("secret", values.name, "name of a secret", "`oauth.NAME`", "The secret that holds the client secret, or the private key (and certificate) in PEM."),  # noqa: E501
    Key("secret_expires", values.day, "date", "none", "The day on which the client secret or certificate ends; people are warned 60, 30 and 7 days ahead."),  # noqa: E501
    _text("tenant", "`organizations`", "Microsoft: the directory (tenant) id or domain; required for `client-credentials`."),  # noqa: E501
    Key("scope", values.words, "text or list", "the provider's for mail", "The permissions that are asked for."),
    _text("subject", "none", "The account that a service account acts for."),
    Key("token_url", values.web_address, "https address", "the provider's", "The token endpoint (RFC 6749)."),
    Key("device_url", values.web_address, "https address", "the provider's", "The device authorization endpoint (RFC 8628). Google's gives no access to mail."),  # noqa: E501
    Key("authorize_url", values.web_address, "https address", "the provider's", "The authorization endpoint, for `gateway mailbox authorize --browser`."),  # noqa: E501
    _path("ca_file", "the system's", "Certificates of the authorities that we trust for these endpoints (PEM)."),
    _span("timeout", _SECOND, timedelta(minutes=5), "`30s`", "How long one answer of the provider may take."),
)  # fmt: skip

LIMITS = (
    _whole("message_size", 1_000, 2_000_000_000, "`100000000`", "Bytes of one message; known before it is downloaded."),
    _whole("header_block", 1_000, 10_000_000, "`256000`", "Bytes of all header fields of one message."),
    _whole("headers", 10, 100_000, "`1000`", "Header fields of one message."),
    _whole("header_line", 998, 1_000_000, "`64000`", "Bytes of one header line."),
    _whole("boundary", 1, 1_000, "`70`", "Characters of a multipart boundary (RFC 2046 section 5.1.1 allows 70)."),
    _whole("parts", 1, 10_000, "`200`", "Parts of one message."),
    _whole("depth", 1, 100, "`10`", "Levels of parts in parts."),
    _whole("decompressed", 1_000, 100_000_000_000, "`1000000000`", "Bytes of all files of one archive when they are decompressed."),  # noqa: E501
    _whole("decompression_ratio", 1, 10_000, "`100`", "How many times larger the files may be than their archive; the first megabyte is always allowed."),  # noqa: E501
    _whole("archive_files", 1, 10_000, "`200`", "Files in one archive (zip, gzip, winmail.dat)."),
    _whole("received", 2, 1_000, "`50`", "`Received` fields of one message; with more, it runs in circles."),
    _whole("processor_time", 1, 86_400, "`300`", "Seconds of processor time that opening and judging one message may take."),  # noqa: E501
)  # fmt: skip

PROOF = (
    Key("authserv_ids", values.names, "list of names", "none", 'How our own mail exchangers call themselves in `Authentication-Results`; only their word proves a sender (`evidence = "mx"`).'),  # noqa: E501
    _flag("unnamed", "Let a statement without such a name count too, as Microsoft 365 writes it."),
    _whole("received_above", 0, 20, "`0`", "How many `Received` fields may stand above the statement: those that our own servers add after it."),  # noqa: E501
    _choice("dkim", ("needed", "always", "never"), "`needed`", "When the gateway verifies DKIM signatures itself: where a profile asks for proof, for every partner, or never."),  # noqa: E501
    _span("timeout", _SECOND, timedelta(minutes=1), "`5s`", "How long one answer of the DNS may take."),
    _span("retry", _SECOND, 30 * _DAY, "`3d`", "How long a message that waits for an answer of the DNS is tried again by itself."),  # noqa: E501
)  # fmt: skip

ALERT = (
    Key("name", values.name, "name", "required", "The rule's name, for `gateway alert test` and the ledger."),
    Key("kinds", alerts.kinds, "list of kinds, or `*`", "`*`", "What it tells of ([the kinds](../alerts.md#kinds))."),
    Key("partners", alerts.partners, "list of partners' keys, or `*`", "`*`", "Whom it tells of. Only `*` tells of what belongs to no partner: mailboxes, hosts, the disk."),  # noqa: E501
    Key("to", alerts.addresses, "list of addresses", "none", "Tells by mail, through the host of `[smtp]`. A rule has one of `to`, `webhook` and `command`."),  # noqa: E501
    Key("webhook", values.web_address, "https address", "none", "Tells by an HTTP POST of JSON."),
    Key("secret", values.name, "name", "none", "The name of the webhook's secret."),
    _choice("signature", ("bearer", "hmac"), "`bearer`", "How the webhook's secret is used: sent as a bearer token, or to sign the body (HMAC with SHA-256)."),  # noqa: E501
    _text("command", "none", "Tells by a program, which gets JSON on its standard input; no shell is involved."),
    _span("every", _SECOND, 30 * _DAY, "`1h`", "At most one telling in this time; what happens meanwhile is told together."),  # noqa: E501
    _span("repeat", timedelta(minutes=1), 365 * _DAY, "none", "What is still open is told again after this time."),
    Key("quiet", alerts.hours, "hours, such as `22:00-06:00`", "none", "Local hours in which nothing is told; it is told after them."),  # noqa: E501
    _flag("include_testing", "Tell of partners in testing and of test interchanges (ISA15 `T`) too."),
    _span("timeout", _SECOND, timedelta(minutes=10), "`30s`", "How long the command, or a step of the webhook's connection, may take."),  # noqa: E501
)  # fmt: skip

WORKER = (
    _whole("concurrency", 1, 64, "`4`", "How many jobs one `gateway worker` does at once."),
    _span("lease", _SECOND, timedelta(hours=1), "`1m`", "How long a worker's work stays its own without a sign of life. What a dead worker had in hand waits so long."),  # noqa: E501
    _span("sweep", _SECOND, timedelta(hours=1), "`15s`", "How often the workers ask the ledger for what is due and has no job."),  # noqa: E501
)  # fmt: skip

_KEPT = "time span, 1d to 100y (a year `y` is 366 days)"

RETENTION = (
    Key("ledger", retention.kept, _KEPT, "`10y`", "How long exchanges and mails are kept, with all that was recorded of them; at least as long as `duplicate_window`."),  # noqa: E501
    Key("payload", retention.kept, _KEPT, "`10y`", "How long their raw bytes are kept."),
    Key("types", retention.types, "table of tables", "none", 'What differs for a transaction set, such as `837 = { payload = "2y" }`. A profile goes before it.'),  # noqa: E501
    _flag("nightly", "Put away what is over its time by itself, with the first batch of a day; else `gateway ledger retain --apply` does."),  # noqa: E501
    _path("move_to", "none", "A directory: what goes is first written into an archive there, whole months at a time."),
)  # fmt: skip

BACKUP = (
    _path("directory", "required", "Where backups are kept, one in a directory of its own; best on another disk or machine."),  # noqa: E501
    _span("every", timedelta(minutes=1), 365 * _DAY, "`24h`", "How often a batch makes one."),
    _whole("keep", 1, 10_000, "`7`", "How many are kept; older ones go once a new one is made and checked."),
    _flag("with_home", "Put gateway.toml, profiles and guidelines in too; never the key file."),
)  # fmt: skip

_EVERY = values.duration(timedelta(minutes=1), 365 * _DAY)


def _every_or_never(value: object) -> timedelta | None:
    return None if value == "never" else _EVERY(value)


SEAL = (
    _path("file", "`seals.txt` in the home", "The file that seals of the ledger are appended to; best where whoever may write to the database may not."),  # noqa: E501
    Key("to", alerts.addresses, "list of addresses", "none", "Who gets every seal by mail: an auditor."),
    Key("every", _every_or_never, "time span, 1m to 365d, or `never`", "`24h`", "How often a batch seals; `never`: only `gateway ledger seal` does."),  # noqa: E501
)  # fmt: skip

LOG = (
    _choice("format", ("text", "json"), "`text`", "One line for each thing: words for people, or a JSON object for machines."),  # noqa: E501
    _choice("level", ("debug", "info", "warning", "error"), "`info`", "From which level on lines are written: what happened to each exchange is `info`, what did not work is `warning` or `error`."),  # noqa: E501
    _path("file", "standard error", "A file that lines are appended to; it may be moved away (logrotate) at any time."),
)  # fmt: skip

REPORT = (
    Key("to", alerts.addresses, "list of addresses", "none", "Who gets a mail after a batch of `gateway night`, through the host of `[smtp]`."),  # noqa: E501
    _choice("when", ("always", "trouble"), "`trouble`", "After every batch, or only where something did not work or needs a person."),  # noqa: E501
)  # fmt: skip

SELFTEST = (
    Key("address", values.address, "email address", "none", "Where partners mail a file to have it judged and nothing else; without it there is no self-test. Its mail must come into a mailbox of ours."),  # noqa: E501
    _whole("per_hour", 1, 1_000, "`10`", "How many reports a partner gets in an hour; what comes beyond is noted, and not answered."),  # noqa: E501
)  # fmt: skip

TARIFF = (
    Key("currency", tariff.currency, "three letters (ISO 4217)", "required", "What the amounts are in, such as `USD`."),
    Key("per_kilocharacter_in", tariff.amount, "amount", "`0`", "The price of a kilocharacter that we receive."),
    Key("per_kilocharacter_out", tariff.amount, "amount", "`0`", "The price of a kilocharacter that we send."),
    _whole("kilocharacter", 1_000, 1_024, "`1000`", "How many characters a kilocharacter has; a character is a byte."),
    _choice("rounding", ("interchange", "document", "none"), "`interchange`", "What is rounded up to whole kilocharacters: each interchange, each transaction set, or nothing."),  # noqa: E501
    _whole("minimum", 0, 1_000_000, "`0`", 'How many kilocharacters each interchange (with `rounding = "document"` each transaction set) counts as at least.'),  # noqa: E501
    Key("monthly_fee", tariff.amount, "amount", "`0`", "What the account costs a month."),
    Key("mailbox_fee", tariff.amount, "amount", "`0`", "What each partner with traffic in a month costs for it."),
    _flag("free_acknowledgments", "Count no interchanges that hold nothing but TA1, 997 and 999."),
    _flag("free_test", "Count no test interchanges (ISA15 `T`)."),
    Key("tiers", tariff.tiers, "list of `{ from = N, in = amount, out = amount }`", "none", "Other prices for what a month has above `from` kilocharacters, all partners and both directions together."),  # noqa: E501
    _whole("decimals", 0, 4, "`2`", "How many places after the point amounts are rounded to."),
)  # fmt: skip

CONSOLE = (
    Key("listen", console.listen, "address and port", "`127.0.0.1:8025`", "Where the console is served. Beyond this machine only with `certificate` and `key`, or with the https `public_url` of a proxy in front."),  # noqa: E501
    Key("public_url", console.base_url, "https address", "as `listen` says", "The address that people type, where it is another; no other host name is answered."),  # noqa: E501
    _path("certificate", "none", "Our certificate and its chain (PEM), for https without a proxy."),
    _path("key", "none", "Its private key (PEM), readable by the gateway's user alone."),
    Key("trusted_proxies", console.proxies, "list of addresses or networks", "none", "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; of others nothing is."),  # noqa: E501
    _span("session", console.SESSION_LEAST, console.SESSION_MOST, "`30m`", "How long a sign-in counts without use."),
    _span("session_longest", console.SESSION_LEAST, console.SESSION_MOST, "`12h`", "How long a sign-in counts at most."),  # noqa: E501
    _whole("api_rate", 1, 100_000, "`600`", "How many requests a minute one token may make."),
)  # fmt: skip

CONSOLE_OIDC = (
    Key("issuer", values.web_address, "https address", "required", "The provider, as it calls itself; its description is read from `/.well-known/openid-configuration` below."),  # noqa: E501
    _text("client_id", "required", "What the provider calls this gateway."),
    Key("secret", values.name, "name of a secret", "`console.oidc`", "The secret that holds the client secret."),
    Key("scope", values.words, "text or list", "`openid profile email`", "What is asked for; `openid` belongs to it."),
    _text("name_claim", "`preferred_username`", "The claim that names a user here and in the ledger, such as `email`."),
    _text("role_claim", "`groups`", "The claim whose values `roles` translates; a dot goes into a table (`realm_access.roles`)."),  # noqa: E501
    Key("roles", console.roles, "table of roles", "required", 'What the provider says and the role that it stands for, such as `{ "edi-operators" = "operator" }`; of several the highest counts, without any nobody comes in.'),  # noqa: E501
    _text("label", "`your company's sign-in`", "What the button on the sign-in page says after “Sign in with”."),
    _path("ca_file", "the system's", "Certificates of the authorities that we trust for the provider (PEM)."),
    _span("timeout", _SECOND, timedelta(minutes=1), "`10s`", "How long one answer of the provider may take."),
)  # fmt: skip

TABLES: dict[str, tuple[Key, ...]] = {
    "gateway": GATEWAY,
    "database": DATABASE,
    "mailbox": MAILBOX,
    "smtp": SMTP,
    "oauth": OAUTH,
    "limits": LIMITS,
    "proof": PROOF,
    "worker": WORKER,
    "alert": ALERT,
    "retention": RETENTION,
    "backup": BACKUP,
    "seal": SEAL,
    "selftest": SELFTEST,
    "log": LOG,
    "report": REPORT,
    "tariff": TARIFF,
    "console": CONSOLE,
    "console.oidc": CONSOLE_OIDC,
}
