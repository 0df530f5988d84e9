"""Configuration: what people change about the gateway itself is history, told by the transaction that changes it.

gateway.toml is a file that anybody with an editor changes. So a batch, a worker and whatever else begins to act by it
compares it first with what was recorded last for this home, and tells what is different. The same is done for profiles
that came into the database by another way than through this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from gateway import __version__
from gateway.flow.former_outbox import place_of
from gateway.ledger.changes import SETTINGS, count_told, last_of, told_revisions
from gateway.ledger.keys import Keys, OwnKey
from gateway.ledger.mailboxes import forget_not_taken, not_giving
from gateway.ledger.recording import Ledger, Recorder
from gateway.ledger.secrets import Secrets
from gateway.settings import FILE_NAME, Settings
from partners.certificate_store import CertificateStore
from partners.certificates import Description
from partners.model import CertificateState, Status
from partners.store import UNCHANGED, Applied, PartnerStore, Profile
from partners.tables import profile_revision

_LOOKED_AT = 200  # records of settings among which the last one of this home is looked for
_PROGRAM = "(gateway)"  # the version of the program, among what gateway.toml says


# ---------------------------------------------------------------- profiles


def apply_profiles(
    ledger: Ledger,
    store: PartnerStore,
    profiles: Sequence[Profile],
    *,
    actor: str,
    dry_run: bool = False,
    reason: str = "",
    begun: Mapping[str, int] | None = None,
) -> list[Applied]:
    """Stores profiles and tells of each new revision, and why, all of it in one transaction or nothing.

    Raises:
        RevisionDiffers, ProfileOverlap, DatabaseUnavailable: as ``PartnerStore.apply``; nothing was stored.
    """
    if dry_run:
        return store.apply(profiles, by=actor, at=ledger.clock(), dry_run=True, begun=begun)
    with ledger.transaction(actor) as recorder:
        done = store.apply(profiles, by=actor, at=recorder.now, within=recorder.connection, begun=begun)
        for applied, (_, _, file) in zip(done, profiles, strict=True):
            if applied.change != UNCHANGED:
                facts = _facts(applied) | _why(reason)
                recorder.event("profile-applied", partner=applied.key, change=applied.change, file=file, **facts)
    return done


def set_status(
    ledger: Ledger,
    store: PartnerStore,
    key: str,
    status: Status,
    *,
    actor: str,
    dry_run: bool = False,
    reason: str = "",
    missing: Sequence[str] = (),
) -> Applied:
    """Gives a partner another status and tells it, why, and what its checklist still asks for, in one transaction.

    Raises:
        UnknownPartner, ProfileOverlap, DatabaseUnavailable: nothing was stored.
    """
    if dry_run:
        return store.set_status(key, status, by=actor, at=ledger.clock(), dry_run=True)
    with ledger.transaction(actor) as recorder:
        before = recorder.connection.execute(
            select(profile_revision.c.status)
            .where(profile_revision.c.partner == key)
            .order_by(profile_revision.c.revision.desc())
            .limit(1)
        ).scalar()
        done = store.set_status(key, status, by=actor, at=recorder.now, within=recorder.connection)
        if done.change != UNCHANGED:
            more = _why(reason) | ({"missing": ", ".join(missing)} if missing else {})
            recorder.event("partner-status", partner=key, before=before, **_facts(done), **more)
    return done


def _why(reason: str) -> dict[str, Any]:
    return {"reason": reason} if reason else {}


def _facts(applied: Applied) -> dict[str, Any]:
    """What of the stored revision the ledger holds: enough to see later whether somebody changed it."""
    facts: dict[str, Any] = {"revision": applied.revision, "sha256": applied.sha256, "status": applied.status}
    if applied.guidelines:
        texts = dict(applied.guidelines)
        facts["guidelines"] = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    return facts


# ---------------------------------------------------------------- certificates, keys and secrets


def add_certificate(
    ledger: Ledger, store: CertificateStore, partner: str, found: Description, *, source: str, actor: str
) -> bool:
    """Keeps a partner's certificate as pending and tells it; false where it was there before."""
    with ledger.transaction(actor) as recorder:
        new = store.add(partner, found, source=source, by=actor, at=recorder.now, within=recorder.connection)
        if new:
            recorder.event("certificate-added", partner=partner, fingerprint=found.fingerprint, source=source)
    return new


def decide_certificate(
    ledger: Ledger,
    store: CertificateStore,
    partner: str,
    fingerprint: str,
    state: CertificateState,
    *,
    actor: str,
    reason: str = "",
) -> None:
    """Trusts or retires a partner's certificate and tells it; ``reason`` says for example who confirmed it, and how."""
    kind = "certificate-trusted" if state is CertificateState.TRUSTED else "certificate-retired"
    with ledger.transaction(actor) as recorder:
        store.decide(partner, fingerprint, state, by=actor, at=recorder.now, within=recorder.connection)
        recorder.event(kind, partner=partner, fingerprint=fingerprint, **_why(reason))


def add_key(
    ledger: Ledger,
    keys: Keys,
    name: str,
    certificate: bytes,
    private: bytes,
    *,
    not_before: int,
    not_after: int,
    how: str,
    actor: str,
) -> OwnKey:
    """Keeps a key of ours and tells it: its name, its certificate's fingerprint and how we came by it."""
    with ledger.transaction(actor) as recorder:
        added = keys.add(
            name,
            certificate,
            private,
            not_before=not_before,
            not_after=not_after,
            by=actor,
            at=recorder.now,
            within=recorder.connection,
        )
        recorder.event("key-added", name=name, fingerprint=added.fingerprint, how=how)
    return added


def retire_key(ledger: Ledger, keys: Keys, key: OwnKey, *, actor: str) -> None:
    """Ends the active life of a key and tells it."""
    with ledger.transaction(actor) as recorder:
        keys.retire(key.name, within=recorder.connection)
        recorder.event("key-retired", name=key.name, fingerprint=key.fingerprint)


def set_secret(ledger: Ledger, secrets: Secrets, name: str, value: str, *, actor: str) -> None:
    """Stores a secret and tells that, never what it is."""
    with ledger.transaction(actor) as recorder:
        secrets.set(name, value, actor, recorder.now, within=recorder.connection)
        recorder.event("secret-set", name=name)


def remove_secret(ledger: Ledger, secrets: Secrets, name: str, *, actor: str) -> None:
    """Removes a secret and tells it."""
    with ledger.transaction(actor) as recorder:
        secrets.remove(name, within=recorder.connection)
        recorder.event("secret-removed", name=name)


# ---------------------------------------------------------------- what changed beside the ledger


def note(ledger: Ledger, settings: Settings) -> None:
    """Tells what changed since the last time: gateway.toml, this program, profiles that nobody told of.

    What a mailbox did not give that is named no more is put to rest: nobody will look there again.

    Asks by an index, and writes only where something is to be told.

    Raises:
        DatabaseUnavailable: with the reason.
    """
    with ledger.reading() as connection:
        settings_new = bool(settings.sha256) and _changed(connection, settings) is not None
        profiles_new = _may_be_untold(connection)
        gone = _gone(connection, settings)
    if settings_new or profiles_new or gone:
        ledger.write(lambda recorder: _tell(recorder, settings))


def _tell(recorder: Recorder, settings: Settings) -> None:
    body = _changed(recorder.connection, settings) if settings.sha256 else None
    if body is not None:
        recorder.event("settings-changed" if "changes" in body else "settings-seen", **body)
    for each in untold_profiles(recorder.connection):
        recorder.event("profile-noticed", **each)
    for mailbox in _gone(recorder.connection, settings):
        forget_not_taken(recorder, mailbox)


def _changed(connection: Connection, settings: Settings) -> dict[str, Any] | None:
    """What is to be told of gateway.toml; None where it was told before.

    Several machines that share a ledger have a home each. A home that is new tells nothing where another one has the
    same settings: a container has a new name every time.
    """
    place = place_of(settings)
    now = {**dict(settings.written), _PROGRAM: __version__}
    newest = _newest(connection)
    known = newest.get(place)
    if any(_is_same(each, settings.sha256, now) for each in ([known] if known is not None else newest.values())):
        return None
    body: dict[str, Any] = {"place": place, "sha256": settings.sha256, "settings": now, **_file(settings.home)}
    if known is None:
        return body
    before: Mapping[str, str] = known.get("settings", {})
    names = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    changes = {name: [before.get(name), now.get(name)] for name in names}
    return body | {"before": known.get("sha256"), "changes": changes}


def _newest(connection: Connection) -> dict[str, Mapping[str, Any]]:
    """What was recorded last of the gateway.toml of each place."""
    newest: dict[str, Mapping[str, Any]] = {}
    for each in last_of(connection, SETTINGS, _LOOKED_AT):
        newest.setdefault(str(each.get("place")), each)
    return newest


def _gone(connection: Connection, settings: Settings) -> list[str]:
    """Mailboxes that did not give something and are named no more.

    Where machines share a ledger their settings are the same, but for directories (Maildir) that only one of them has.
    """
    named = {each.name for each in settings.mailboxes}
    gone = not_giving(connection) - named if settings.sha256 else set()
    if gone and connection.dialect.name == "postgresql":
        here = place_of(settings)
        others = [each.get("settings", {}) for place, each in _newest(connection).items() if place != here]
        gone = {each for each in gone if not any(one.get(f"mailbox.{each}.protocol") == "maildir" for one in others)}
    return sorted(gone)


def _is_same(known: Mapping[str, Any], sha256: str, now: Mapping[str, str]) -> bool:
    return known.get("sha256") == sha256 and known.get("settings") == now


def _file(home: Path) -> dict[str, Any]:
    """When the file was last changed, and whose it is: a hint at who did, no proof."""
    try:
        found = (home / FILE_NAME).stat()
        return {"modified_at": int(found.st_mtime * 1000), "owner": (home / FILE_NAME).owner()}
    except (OSError, KeyError):  # gone meanwhile, or an owner without a name
        return {}


def _may_be_untold(connection: Connection) -> bool:
    """Whether there are other numbers of revisions and of what was told of them."""
    there = connection.execute(select(func.count()).select_from(profile_revision)).scalar_one()
    return there != count_told(connection)


def untold_profiles(connection: Connection) -> list[dict[str, Any]]:
    """Revisions of profiles that no event tells of, as bodies of one; ``by`` is who the table says applied them."""
    told = told_revisions(connection)
    rows = connection.execute(
        select(profile_revision).order_by(profile_revision.c.partner, profile_revision.c.revision)
    )
    return [_as_body(row) for row in rows.mappings() if (row["partner"], row["revision"]) not in told]


def _as_body(row: RowMapping) -> dict[str, Any]:
    names: Iterable[str] = ("partner", "revision", "at", "by", "file", "sha256", "status")
    return {("applied_at" if name == "at" else name): row[name] for name in names}
