"""Partner profiles in the database: applied in one transaction, read back cheaply, every revision kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Column, Connection, Engine, Row, Select, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.errors import (
    DatabaseUnavailable,
    NotFound,
    ProfileInvalid,
    ProfileOverlap,
    RevisionDiffers,
    UnknownPartner,
)
from partners.certificate_store import certificates_by_partner
from partners.directory import overlaps
from partners.model import Partner, Status
from partners.profile import read_profile, says_status, with_status
from partners.tables import profile_revision as table
from partners.tables import reads

ADDED, CHANGED, UNCHANGED = "added", "changed", "unchanged"

_ABOUT = [each for each in table.c if each is not table.c.profile]  # the partner's key first
_FEW = 500  # parameters in one query

Profile = tuple[Partner, str, str]  # the partner, the text it was read from, the file's name


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one profile: its revision now, and whether it was added, changed or unchanged.

    ``sha256`` is that of the text as it is stored, "" where nothing was; ``status`` and ``guidelines`` what it says.
    """

    key: str
    revision: int
    change: str
    sha256: str = field(default="", compare=False)
    status: str = field(default="", compare=False)
    guidelines: tuple[tuple[str, str], ...] = field(default=(), compare=False)  # the text of each guideline, by path


class Revision(Struct, frozen=True):
    """One revision of a profile. ``at`` is ms since 1970 UTC; ``file`` a label, empty where no file was applied."""

    key: str
    revision: int
    at: int
    by: str
    file: str
    sha256: str
    status: Status


class PartnerStore:
    """The profiles of one database. Safe to share between threads as far as its engine is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._read: dict[str, Partner] = {}  # by the SHA-256 of the text: a text never changes its meaning

    def apply(
        self,
        profiles: Sequence[Profile],
        *,
        by: str,
        at: int,
        dry_run: bool = False,
        within: Connection | None = None,
        begun: Mapping[str, int] | None = None,
    ) -> list[Applied]:
        """Stores what is new: all of the profiles, or none.

        A profile that says the same as the current revision, in whatever words and order, makes no revision.
        A text without a status leaves the status as it stands (a new partner is a draft); its stored text
        then says so. With ``dry_run`` nothing is stored. ``within`` is the transaction to do it in; by default one of
        its own. It must be undone when this raises. ``begun`` says, by key, the revision that a change was made from,
        0 for a partner that is to be new.

        Raises:
            RevisionDiffers: somebody else changed a profile meanwhile.
            ProfileOverlap: an address or identity would lead to two partners, or two profiles have one key.
            DatabaseUnavailable: nothing was stored.
        """
        _refuse_same_key(profiles)
        with self._writing(within) as connection:
            _refuse_overtaken(connection, begun or {})
            return self._apply(connection, profiles, by=by, at=at, dry_run=dry_run)

    def current(self) -> list[Partner]:
        """All partners as they are now, by key, with their certificates. Costs two queries where nothing changed."""
        with self._reading() as connection:
            return list(_certified(connection, self._partners(connection)).values())

    def get(self, key: str) -> Partner:
        """One partner as it is now, with its certificates.

        Raises:
            UnknownPartner
        """
        with self._reading() as connection:
            found = _certified(connection, self._partners(connection, key))
        if key not in found:
            raise UnknownPartner(partner=key)
        return found[key]

    def text(self, key: str, revision: int | None = None) -> str:
        """The TOML text of a profile, now or as it was in ``revision``.

        Raises:
            UnknownPartner
            NotFound: when the partner has no such revision.
        """
        with self._reading() as connection:
            wanted = select(table.c.revision, table.c.profile).where(table.c.partner == key)
            texts: dict[int, str] = {row.revision: row.profile for row in connection.execute(wanted)}
        if not texts:
            raise UnknownPartner(partner=key)
        wanted_revision = max(texts) if revision is None else revision
        if wanted_revision not in texts:
            raise NotFound(what=f"revision of {key} numbered", key=revision)
        return texts[wanted_revision]

    def revisions(self, key: str) -> list[Revision]:
        """All revisions of a profile, oldest first.

        Raises:
            UnknownPartner
            ProfileInvalid: somebody wrote a status into the table that is none.
        """
        with self._reading() as connection:
            rows = connection.execute(select(*_ABOUT).where(table.c.partner == key).order_by(table.c.revision)).all()
        if not rows:
            raise UnknownPartner(partner=key)
        return [_revision(row) for row in rows]

    def heads(self) -> list[Revision]:
        """The current revision of every partner, by key.

        Raises:
            ProfileInvalid: somebody wrote a status into the table that is none.
        """
        with self._reading() as connection:
            return [_revision(row) for row in connection.execute(_heads(*_ABOUT[1:]))]

    def set_status(
        self, key: str, status: Status, *, by: str, at: int, dry_run: bool = False, within: Connection | None = None
    ) -> Applied:
        """Gives a partner another status: a new revision of the same text with another status line.

        ``within`` is the transaction to do it in; by default one of its own.

        Raises:
            UnknownPartner
            ProfileOverlap: an ended partner cannot come back where another took over its address or identity.
        """
        with self._writing(within) as connection:
            head = connection.execute(_heads(table.c.profile).where(table.c.partner == key)).first()
            if head is None:
                raise UnknownPartner(partner=key)
            profile = with_status(head.profile, status)
            partner = read_profile(profile, key)
            return self._apply(connection, [(partner, profile, "")], by=by, at=at, dry_run=dry_run)[0]

    def _apply(
        self, connection: Connection, profiles: Sequence[Profile], *, by: str, at: int, dry_run: bool = False
    ) -> list[Applied]:
        revisions = {row.partner: row.revision for row in connection.execute(_heads(table.c.revision))}
        current = self._partners(connection)
        settled = [_settled(each, current) for each in profiles]
        _refuse_overlaps(current, settled)
        applied = []
        for partner, profile, file in settled:
            revision = revisions.get(partner.key, 0)
            if current.get(partner.key) == partner:
                applied.append(Applied(partner.key, revision, UNCHANGED))
                continue
            sha256 = hashlib.sha256(profile.encode()).hexdigest()
            change = CHANGED if revision else ADDED
            facts = (sha256, partner.status.value, partner.guidelines)
            applied.append(Applied(partner.key, revision + 1, change, *facts))
            if not dry_run:
                values = {
                    "partner": partner.key,
                    "revision": revision + 1,
                    "at": at,
                    "by": by,
                    "file": file,
                    "sha256": sha256,
                    "status": partner.status.value,
                    "profile": profile,
                }
                connection.execute(insert(table).values(values))
        return applied

    def _partners(self, connection: Connection, key: str | None = None) -> dict[str, Partner]:
        """The current partners by key; only texts that were never read before are fetched and parsed."""
        heads = _heads(table.c.sha256)
        if key is not None:
            heads = heads.where(table.c.partner == key)
        rows = connection.execute(heads).all()
        new = {row.sha256 for row in rows} - self._read.keys()
        if new:
            texts = _heads(table.c.sha256, table.c.profile)
            if len(new) <= _FEW:
                texts = texts.where(table.c.sha256.in_(new))
            for row in connection.execute(texts):
                if row.sha256 not in self._read:
                    self._read[row.sha256] = read_profile(row.profile, f"stored profile of {row.partner}")
        return {row.partner: self._read[row.sha256] for row in rows}

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _faults(), self._engine.connect().execution_options(**reads(self._engine)) as connection:
            yield connection

    @contextmanager
    def _writing(self, within: Connection | None) -> Iterator[Connection]:
        """A transaction in which nobody else applies profiles: overlaps are judged on what is really there."""
        with _faults(), self._engine.begin() if within is None else nullcontext(within) as connection:
            if connection.dialect.name == "postgresql":  # SQLite's transactions begin IMMEDIATE
                connection.execute(text("LOCK TABLE profile_revision IN SHARE ROW EXCLUSIVE MODE"))
            yield connection


def _certified(connection: Connection, partners: dict[str, Partner]) -> dict[str, Partner]:
    """The partners with the certificates that are kept of them."""
    kept = certificates_by_partner(connection, partners if len(partners) == 1 else None)
    return {key: replace(each, certificates=kept[key]) if key in kept else each for key, each in partners.items()}


def _heads(*columns: Column[Any]) -> Select[Any]:
    """The highest revision of each partner: its key and ``columns``, by key."""
    head = (
        select(table.c.partner, func.max(table.c.revision).label("revision")).group_by(table.c.partner).subquery("head")
    )
    same = (head.c.partner == table.c.partner) & (head.c.revision == table.c.revision)
    return select(table.c.partner, *columns).join(head, same).order_by(table.c.partner)


def _settled(profile: Profile, current: dict[str, Partner]) -> Profile:
    """The profile with the status it will have: its own, or the one that the partner has."""
    partner, source, file = profile
    known = current.get(partner.key)
    if known is None or known.status is partner.status or says_status(source):
        return profile
    return replace(partner, status=known.status), with_status(source, known.status), file


def _refuse_overtaken(connection: Connection, begun: Mapping[str, int]) -> None:
    for key, revision in begun.items():
        wanted = select(func.max(table.c.revision)).where(table.c.partner == key)
        found = connection.execute(wanted).scalar() or 0
        if found != revision:
            raise RevisionDiffers(partner=key, found=found or "none", asked=revision or "none")


def _refuse_same_key(profiles: Sequence[Profile]) -> None:
    files: dict[str, str] = {}
    for partner, _, file in profiles:
        if partner.key in files:
            raise ProfileOverlap(what=f"The key {partner.key}", first=files[partner.key], second=file)
        files[partner.key] = file


def _refuse_overlaps(current: dict[str, Partner], settled: Sequence[Profile]) -> None:
    after = current | {partner.key: partner for partner, _, _ in settled}
    names = {partner.key: f"{partner.key} ({file})" for partner, _, file in settled if file}
    for overlap in overlaps(after.values(), names=names):
        raise overlap


def _revision(row: Row[Any]) -> Revision:
    try:
        status = Status(row.status)
    except ValueError:  # nothing of ours wrote it
        file = f"revision {row.revision} of the stored profile of {row.partner}"
        raise ProfileInvalid(file=file, line=1, key="status", reason=f"{row.status!r} is no status") from None
    return Revision(row.partner, row.revision, row.at, row.by, row.file, row.sha256, status)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except DBAPIError as problem:
        raise DatabaseUnavailable(reason=str(problem.orig)) from problem
