"""The composition root: from a home directory to everything that works together.

Nothing below this module knows how its collaborators are made; nothing above it makes any.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine

from gateway.errors import (
    CheckpointUnwritable,
    DatabaseUnavailable,
    GatewayError,
    LedgerBehind,
    MigrationsBehind,
    SecretMissing,
    SecretUnreadable,
)
from gateway.flow import checkpoint
from gateway.flow.context import Context
from gateway.flow.handover import Handover, handover_for
from gateway.flow.keyring import Keyring
from gateway.flow.reporter import Reporter, Tally
from gateway.flow.retain import encrypting
from gateway.flow.seal import origin
from gateway.jobs.lock import HomeLock
from gateway.jobs.queue import defer, is_installed
from gateway.ledger import key_life
from gateway.ledger.database import check, open_engine, settle
from gateway.ledger.keys import Keys
from gateway.ledger.leases import ALONE, Leases, SharedLeases
from gateway.ledger.moved_file import opened
from gateway.ledger.moved_lost import refuse_lost
from gateway.ledger.payload_keys import Vault
from gateway.ledger.recording import Ledger, Wake
from gateway.ledger.seals import SealKey, new_key, private_key
from gateway.ledger.seals import public_key as seal_public_key
from gateway.ledger.secrets import Secrets, derived_key
from gateway.mail.imap import ImapMailbox
from gateway.mail.maildir import MaildirMailbox
from gateway.mail.model import Credentials, Mailbox, Transport
from gateway.mail.pop3 import Pop3Mailbox
from gateway.mail.smtp import SmtpTransport
from gateway.mail.txt_records import DnsTxtRecords
from gateway.mail.verp import Tokens
from gateway.settings import MailboxSettings, Settings, SmtpSettings, read_settings
from gateway.settings.database import with_password
from partners.certificate_store import CertificateStore
from partners.directory import Directory
from partners.model import Delivery, Identity
from partners.store import PartnerStore

if TYPE_CHECKING:
    from gateway.mail.oauth import TokenSource

KEY_FILE = "secret.key"
# What keeps every batch from its ledger, so that no alert can be raised in it.
_WITHOUT_LEDGER = (DatabaseUnavailable, MigrationsBehind, LedgerBehind, CheckpointUnwritable)


def milliseconds() -> int:
    """Now, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass
class App:
    """One opened home. Attributes are made when they are first asked for; ``close`` lets go of them."""

    settings: Settings
    actor: str
    clock: Callable[[], int] = milliseconds
    stopping: Callable[[], bool] = bool  # whether the work is to end soon
    _wanting: frozenset[str] | None = None  # the partners whose bytes are encrypted, as the profiles were last read

    @property
    def home(self) -> Path:
        """The directory with gateway.toml."""
        return self.settings.home

    def now(self) -> int:
        """Milliseconds since 1970 UTC, by this home's clock."""
        return self.clock()

    @cached_property
    def secrets(self) -> Secrets:
        """Passwords: environment, credentials directory, then the encrypted table."""
        named = os.environ.get("CREDENTIALS_DIRECTORY")
        directory = Path(named) if named else None
        return Secrets(lambda: self.home_engine, self.home / KEY_FILE, os.environ, directory)

    @cached_property
    def engine(self) -> Engine:
        """The database of the ledger; or an archive, where one is looked into (see ``open_app``)."""
        return self.home_engine

    @cached_property
    def home_engine(self) -> Engine:
        """The database of this home: its ledger, profiles, keys and secrets."""
        url = self.settings.database_url
        if "{password}" in url:
            # The database's own password cannot be kept in the database.
            url = with_password(url, self.secrets.outside("database"))
        engine = open_engine(url)
        self.vault.attach(engine)
        return engine

    @cached_property
    def vault(self) -> Vault:
        """Opens what lies encrypted; whoever reads or writes raw bytes finds it with the engine."""
        return Vault(self.home / KEY_FILE, self._encrypting)

    @cached_property
    def ledger(self) -> Ledger:
        """What happened, for good."""
        shared = self.engine.dialect.name == "postgresql"
        return Ledger(self.engine, self.clock, self.actor, self._wake if shared else None)

    @cached_property
    def leases(self) -> Leases:
        """Who may work on what, where others share the ledger; on SQLite the home's lock says it for all."""
        if self.engine.dialect.name != "postgresql":
            return ALONE
        return SharedLeases(self.engine, int(self.settings.worker.lease.total_seconds() * 1000))

    @cached_property
    def partners(self) -> PartnerStore:
        """The profiles, every revision kept."""
        return PartnerStore(self.home_engine)

    @cached_property
    def certificates(self) -> CertificateStore:
        """The certificates of partners."""
        return CertificateStore(self.home_engine)

    @cached_property
    def keys(self) -> Keys:
        """Our own keys for S/MIME."""
        return Keys(lambda: self.home_engine, self.home / KEY_FILE)

    @cached_property
    def access_tokens(self) -> dict[str, TokenSource]:
        """Where access tokens come from, by the name of their [oauth.NAME]; nothing is asked for yet."""
        if not self.settings.oauth:
            return {}
        from gateway.access import token_source  # noqa: PLC0415 - the libraries take a third of a second to load

        return {
            each.name: token_source(each, self.secrets, self.home, self.actor, self.clock)
            for each in self.settings.oauth
        }

    @cached_property
    def mailboxes(self) -> list[Mailbox]:
        """The accounts we collect from; none is connected yet."""
        return [self._mailbox(each) for each in self.settings.mailboxes]

    @cached_property
    def transport(self) -> Transport | None:
        """The SMTP host, not connected yet; None where gateway.toml names none."""
        return self._transport(self.settings.smtp) if self.settings.smtp else None

    @cached_property
    def tokens(self) -> Tokens | None:
        """Names for mails that bounces bring back; None where the home has no key."""
        file = self.home / KEY_FILE
        return Tokens(cache(partial(derived_key, file, "bounce tokens"))) if file.exists() else None

    @property
    def txt(self) -> DnsTxtRecords:
        """Asks the DNS; made anew each time, so that a batch asks once and the next one again."""
        return DnsTxtRecords(self.settings.proof.timeout.total_seconds())

    def directory(self) -> Directory:
        """Who has which address and identity, as the profiles stand now."""
        ours = [Identity.of(qualifier, id_) for qualifier, id_ in self.settings.identities]
        return Directory(self.partners.current(), ours)

    def context(self, reporter: Reporter | None = None) -> Context:
        """What the steps of the flow are given, with the profiles as they stand now."""
        directory = self.directory()
        self._wanting = encrypting(directory)
        if self.engine is self.home_engine:
            key_life.ready(self.ledger, self._wanting)
        return Context(
            settings=self.settings,
            ledger=self.ledger,
            directory=directory,
            mailboxes=tuple(self.mailboxes),
            transport=self.transport,
            handover=self._handover,
            reporter=reporter or Tally(),
            clock=self.clock,
            limits=self.settings.limits,
            alongside=self.settings.processes > 1,
            tokens=self.tokens,
            keys=Keyring.of(self.keys),
            txt=self.txt,
            secrets=self.secrets.get,
            seal_key=self.seal_key,
            leases=self.leases,
            stopping=self.stopping,
        )

    def seal_key(self) -> bytes:
        """The private key that signs the seals of this ledger: the secret ``seal``, made when first asked for.

        Raises:
            SecretUnreadable, ConfigurationFault: it cannot be read, or not be kept.
        """
        try:
            return private_key(self.secrets.get("seal"))
        except SecretMissing:
            made = new_key().hex()
        if self.secrets.begin("seal", made, by=self.actor, at=self.now()):
            self.record("secret-set", name="seal")
        return private_key(self.secrets.get("seal"))  # another process may have made it meanwhile

    def seal_key_known(self) -> SealKey | None:
        """The public half of the key that signs seals; None where none was made yet.

        Raises:
            SecretUnreadable, ConfigurationFault: it cannot be read.
        """
        try:
            return seal_public_key(origin(self.settings.domain), private_key(self.secrets.get("seal")))
        except SecretMissing:
            return None

    def seal_key_to_verify(self) -> SealKey | None:
        """The same for a verification; None also where the secret cannot be decrypted.

        Else whoever spoils it in the database would keep everything else from being looked at. That the seals cannot be
        checked is a difference.

        Raises:
            ConfigurationFault: it comes from outside, and is none.
        """
        try:
            return self.seal_key_known()
        except SecretUnreadable:
            return None

    def record(self, kind: str, /, *, partner: str = "", **body: Any) -> None:
        """One event about the configuration, in the name of ``actor``."""
        Ledger(self.home_engine, self.clock, self.actor).record(kind, partner=partner, **body)

    def close(self) -> None:
        """Lets go of the database."""
        if isinstance(leases := self.__dict__.get("leases"), SharedLeases):
            leases.close()
        if "home_engine" in self.__dict__:
            self.home_engine.dispose()

    @cached_property
    def _has_jobs(self) -> bool:
        return is_installed(self.engine)

    def _wake(self, connection: Connection, wakes: Iterable[Wake]) -> None:
        """Puts jobs in for the workers, where there are any."""
        if self._has_jobs:
            defer(connection, wakes)

    def _encrypting(self) -> frozenset[str]:
        if self._wanting is None:
            self._wanting = encrypting(self.directory())
        return self._wanting

    def _handover(self, delivery: Delivery, partner: str) -> Handover:
        return handover_for(
            delivery.kind,
            delivery.target,
            timeout=delivery.timeout.total_seconds(),
            token=self.secrets.get(delivery.secret) if delivery.secret else "",
            home=self.home,
            default_directory=self.settings.inbox / partner,
        )

    def _mailbox(self, box: MailboxSettings) -> Mailbox:
        if box.protocol == "maildir":
            return MaildirMailbox(
                box.name, self.home / box.path, max_size=self.settings.limits.message_size, spool=self.home
            )
        if box.protocol == "imap":
            return self._imap(box)
        return Pop3Mailbox(
            name=box.name,
            host=box.host,
            port=box.real_port,
            security=box.security,
            credentials=self._credentials(box, box.secret or f"mailbox.{box.name}"),
            tls_minimum=box.tls_minimum,
            ca_file=self._file(box.ca_file),
            plaintext_password=box.plaintext_password,
            timeout=box.timeout.total_seconds(),
            max_size=self.settings.limits.message_size,
            spool=self.home,
        )

    def _imap(self, box: MailboxSettings) -> ImapMailbox:
        return ImapMailbox(
            name=box.name,
            host=box.host,
            port=box.real_port,
            security=box.security,
            credentials=self._credentials(box, box.secret or f"mailbox.{box.name}"),
            tls_minimum=box.tls_minimum,
            folder=box.folder,
            done_folder=box.done_folder,
            failed_folder=box.failed_folder,
            ca_file=self._file(box.ca_file),
            plaintext_password=box.plaintext_password,
            timeout=box.timeout.total_seconds(),
            max_size=self.settings.limits.message_size,
            spool=self.home,
        )

    def _transport(self, smtp: SmtpSettings) -> Transport:
        ports = {"tls": 465, "starttls": 587, "none": 25}
        return SmtpTransport(
            host=smtp.host,
            port=smtp.port or ports[smtp.security],
            security=smtp.security,
            credentials=self._credentials(smtp, smtp.secret or "smtp") if smtp.user else None,
            tls_minimum=smtp.tls_minimum,
            ca_file=self._file(smtp.ca_file),
            plaintext_password=smtp.plaintext_password,
            helo=smtp.helo or self.settings.domain,
            timeout=smtp.timeout.total_seconds(),
            mails_per_connection=smtp.per_connection,
        )

    def _credentials(self, account: MailboxSettings | SmtpSettings, secret: str) -> Credentials:
        mechanism = "" if account.auth == "auto" else account.auth.upper()
        if account.oauth:
            source = self.access_tokens[account.oauth]
            return Credentials(account.user, token=source, renew=source.renew, mechanism=mechanism)
        return Credentials(
            account.user,
            partial(self.secrets.get, secret),
            mechanism=mechanism,
            advice=partial(self.secrets.advice, secret),
        )

    def _file(self, name: str) -> str:
        return str(self.home / name) if name else ""


@contextmanager
def open_app(
    home: Path,
    *,
    lock: bool = False,
    verify: bool = True,
    actor: str | None = None,
    clock: Callable[[], int] = milliseconds,
    archive: Path | None = None,
) -> Iterator[App]:
    """Opens a home and closes it again.

    Args:
        home: the directory with gateway.toml.
        lock: nobody else may work on this home meanwhile (everything that collects, sends or settles).
        verify: the database must be there, at the newest migration.
        actor: who acts; the login name by default.
        clock: gives milliseconds since 1970 UTC.
        archive: look into this archive, which was moved out, in place of the ledger; nothing can be written then.

    Raises:
        HomeMissing, SettingsInvalid, HomeInUse, MigrationsBehind, DatabaseUnavailable
        MovedArchiveUnreadable, MovedArchiveLost: with ``archive``
        LedgerBehind, CheckpointUnwritable: with ``lock`` and ``verify``
    """
    with ExitStack() as stack:
        settings = read_settings(home)
        if lock:
            stack.enter_context(HomeLock(home))
        app = App(settings, actor or login_name(), clock)
        stack.callback(app.close)
        if verify:
            check(app.engine)
        if archive is not None:
            refuse_lost(app.home_engine, archive)
            app.engine = stack.enter_context(opened(archive, app.vault.elsewhere(app.home_engine)))
        if not (lock and verify):
            yield app
            return
        settle(app.engine)
        checkpoint.verify(home, app.ledger)
        yield app
        checkpoint.keep(home, app.ledger)


@contextmanager
def telling_without_ledger(home: Path) -> Iterator[None]:
    """Where the database of a batch cannot be used, the rules that want to know are told without it.

    Raises:
        DatabaseUnavailable, MigrationsBehind, LedgerBehind, CheckpointUnwritable: as it came.
    """
    try:
        yield
    except _WITHOUT_LEDGER as fault:
        tell_that_it_is_away(home, fault)
        raise


def tell_that_it_is_away(home: Path, fault: GatewayError) -> None:
    """Tells the rules that want to know that the database cannot be used, each at most once in its interval."""
    # It loads all that sends: no command need wait for that otherwise.
    from gateway.flow.unrecorded import tell_without_ledger  # noqa: PLC0415

    # What cannot be told either changes nothing of the fault that is told on the screen and in the log.
    with suppress(GatewayError), closing(App(read_settings(home), login_name())) as app:
        tell_without_ledger(app.settings, fault, app.transport, app.secrets.get, app.now())


def login_name() -> str:
    """Who sits at the keyboard, as the system knows them; behind sudo, who called it."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid {os.getuid()}"
