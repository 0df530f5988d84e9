"""Writing raw bytes encrypted, within one transaction (see ``payload_keys``), where somebody wants them so."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, case, delete, select

from gateway.errors import ContentErased, PayloadKeyUnreadable
from gateway.ledger import bulk, payload_keys, tree
from gateway.ledger.archive import encrypted_piece, insert, raw, slices
from gateway.ledger.payload_keys import CIPHER, HOME, PARTNER, TRANSIT, PayloadKey, Vault, vault_of
from gateway.ledger.story_values import sentences
from gateway.ledger.tables import content, content_key, content_piece, payload_key

_MARK = "encrypted:"  # before a short text that is encrypted: encrypted:<payload key>:<base64>
_NONCE = 12
_CHUNK = 500  # names in one question

Content = dict[str, Any]
Touched = Callable[[int], None]


def begin(connection: Connection, now: int, touched: Touched) -> AtRest | None:
    """What encrypts in this transaction; None where nothing ever was encrypted.

    Args:
        connection: within a writing transaction.
        now: ms since 1970 UTC.
        touched: told the number of each payload key that is made.

    Raises:
        PayloadKeyUnreadable: bytes are to be encrypted, and the home's key is not at hand.
    """
    k = payload_key.c
    if not list(bulk.tuples(connection, "SELECT id FROM payload_key LIMIT 1")):
        return None
    newest = case((k.scope == TRANSIT, case((k.token.is_not(None), 1), else_=0)), else_=0).desc()
    row = connection.execute(select(payload_key).order_by(newest, k.id.desc()).limit(1)).one()
    vault = vault_of(connection)
    if vault is None:
        raise PayloadKeyUnreadable(key=row.id, reason="this command knows no home's key")
    is_on = row.scope == TRANSIT and row.token is not None and bool(vault.encrypting())
    return AtRest(connection, now, vault, vault.opened(row) if is_on else None, touched)


class AtRest:
    """The encryption of one transaction.

    Args:
        connection, now, touched: see ``begin``.
        vault: opens and makes payload keys.
        transit: for bytes whose partner is not known yet; None where nothing is encrypted any more.
    """

    def __init__(
        self, connection: Connection, now: int, vault: Vault, transit: PayloadKey | None, touched: Touched
    ) -> None:
        self._connection = connection
        self._now = now
        self._vault = vault
        self._transit = transit
        self._touched = touched
        self._keys: dict[tuple[str, str], PayloadKey] = {}
        self._wanting = frozenset(vault.encrypting()) if transit is not None else frozenset[str]()

    # ------------------------------------------------------------ keys

    def wants(self, owner: str | None) -> bool:
        """Whether what belongs to a partner (None: to whom is not known yet) is to be encrypted."""
        return self._transit is not None and (owner is None or owner in self._wanting)

    def key(self, owner: str | None) -> PayloadKey:
        """The payload key for what belongs to a partner: its own of this month, the home's, or the one in transit."""
        if owner is None and self._transit is not None:
            return self._transit
        if owner and self.wants(owner):
            return self.of(PARTNER, owner, self._now)
        return self.of(HOME, "", self._now)

    def of(self, scope: str, partner: str, at: int) -> PayloadKey:
        """The key of a scope for the period of a moment; it is made where there is none, or none any more."""
        period = payload_keys.period_of(scope, at)
        found = self._keys.get((partner, period))
        if found is None:
            row = payload_keys.live(self._connection, scope, partner, period)
            if row is None:
                found = payload_keys.make(self._connection, self._vault, scope, partner, at)
                self._touched(found.id)
            else:
                found = self._vault.opened(row)
            self._keys[partner, period] = found
        return found

    # ------------------------------------------------------------ raw bytes

    def write(self, rows: Sequence[Content], owners: Mapping[str, str | None]) -> None:
        """Writes rows of ``content``, each encrypted where its owner wants that, and unless it is there already.

        Args:
            rows: whole contents, not in pieces.
            owners: by SHA-256 the partner, or "" for nobody, or None where it is not known yet.
        """
        known = self._kept([row["sha256"] for row in rows])
        fresh = [row for row in rows if row["sha256"] not in known]
        refused = self._insert(fresh, owners)  # others wrote them meanwhile
        known |= self._kept(refused)
        for row in rows:
            name = row["sha256"]
            if name in known and not self._share(known[name], owners.get(name)):
                self.replace(name, [row["bytes"]], row, owners.get(name))

    def pieces(self, name: str, pieces: Iterable[bytes], owner: str | None) -> tuple[str, Iterator[bytes]]:
        """How big content that is not there yet is written: its cipher, and its pieces as they go to the database."""
        if not self.wants(owner):
            return "", iter(pieces)
        secret = os.urandom(32)
        self._wrap(name, secret, self.key(owner))
        return CIPHER, (encrypted_piece(secret, name, n, each) for n, each in enumerate(pieces))

    def again(self, name: str, owner: str | None) -> bool:
        """Big content is offered that is there already; whether it can stay as it is."""
        return self._share(self._kept([name])[name], owner)

    def clear(self, name: str) -> None:
        """Takes content away that is about to be written anew."""
        with tree.permit(self._connection, "written anew"):
            self._connection.execute(delete(content_piece).where(content_piece.c.sha256 == name))
            self._connection.execute(delete(content).where(content.c.sha256 == name))
        self._connection.execute(delete(content_key).where(content_key.c.sha256 == name))

    def replace(self, name: str, data: Sequence[bytes], row: Content, owner: str | None) -> None:
        """Writes content anew: it lay in clear and is to be encrypted, or was erased and has come again."""
        self.clear(name)
        self._insert([row | {"bytes": data[0]}], {name: owner})

    def encrypt(self, name: str, key: PayloadKey) -> None:
        """Writes content that is kept in clear anew, encrypted under a key."""
        row = self._connection.execute(select(content).where(content.c.sha256 == name)).one()
        data = raw(self._connection, row)
        self.clear(name)
        secret = os.urandom(32)
        self._wrap(name, secret, key)
        kept = {"sha256": name, "size": row.size, "at": row.at, "pieces": row.pieces, "cipher": CIPHER}
        kept["bytes"] = b"" if row.pieces else encrypted_piece(secret, name, 0, bytes(data))
        self._connection.execute(insert(self._connection, content), kept)
        for ordinal, piece in enumerate(slices(data) if row.pieces else ()):
            written = {"sha256": name, "ordinal": ordinal, "bytes": encrypted_piece(secret, name, ordinal, piece)}
            self._connection.execute(insert(self._connection, content_piece), written)

    def share(self, name: str, owner: str) -> None:
        """Content that is encrypted can be read by the key of one owner more."""
        self._wrap(name, self._vault.secret_of(self._connection, name), self.key(owner))

    def _kept(self, names: Sequence[str]) -> dict[str, Row[Any]]:
        found: dict[str, Row[Any]] = {}
        for start in range(0, len(names), _CHUNK):
            wanted = select(content.c.sha256, content.c.cipher).where(
                content.c.sha256.in_(names[start : start + _CHUNK])
            )
            found |= {row.sha256: row for row in self._connection.execute(wanted)}
        return found

    def _insert(self, rows: Sequence[Content], owners: Mapping[str, str | None]) -> list[str]:
        """Writes what is new; returns the names of those that were there after all."""
        if not rows:
            return []
        secrets = {row["sha256"]: os.urandom(32) for row in rows if self.wants(owners.get(row["sha256"]))}
        written = [
            row | {"cipher": CIPHER, "bytes": encrypted_piece(secrets[row["sha256"]], row["sha256"], 0, row["bytes"])}
            if row["sha256"] in secrets
            else row | {"cipher": ""}
            for row in rows
        ]
        offer = insert(self._connection, content).on_conflict_do_nothing().returning(content.c.sha256)
        taken = set(self._connection.execute(offer, written).scalars())
        for name, secret in secrets.items():
            if name in taken:
                self._wrap(name, secret, self.key(owners.get(name)))
        return [row["sha256"] for row in rows if row["sha256"] not in taken]

    def _share(self, kept: Row[Any], owner: str | None) -> bool:
        """Content that is there gets one owner more; false where it must be written anew."""
        if not kept.cipher:
            return not self.wants(owner)
        try:
            secret = self._vault.secret_of(self._connection, kept.sha256)
        except ContentErased:
            return False
        self._wrap(kept.sha256, secret, self.key(owner))
        return True

    def _wrap(self, name: str, secret: bytes, key: PayloadKey) -> None:
        row = {"sha256": name, "key": key.id, "wrapped": key.wrap(name, secret)}
        self._connection.execute(insert(self._connection, content_key).on_conflict_do_nothing(), row)

    def entrust(self, name: str, owner: str) -> None:
        """Bytes in transit belong to a partner from now on ("": to nobody), as do those under the home's key."""
        k = content_key.c
        left = (TRANSIT, HOME) if self.wants(owner) else (TRANSIT,)
        rows = self._connection.execute(
            select(k.key)
            .join(payload_key, payload_key.c.id == k.key)
            .where(k.sha256 == name, payload_key.c.scope.in_(left))
        )
        keys = list(rows.scalars())
        if not keys:
            return
        self._wrap(name, self._vault.secret_of(self._connection, name), self.key(owner))
        self._connection.execute(delete(content_key).where(k.sha256 == name, k.key.in_(keys)))

    # ------------------------------------------------------------ short texts

    def text(self, owner: str, value: str) -> str:
        """A short text of a partner's document, encrypted where the partner wants that."""
        if not value or not owner or not self.wants(owner):
            return value
        return encrypted_text(value, self.key(owner))


def encrypted_text(value: str, key: PayloadKey) -> str:
    """A short text, encrypted under a key."""
    nonce = os.urandom(_NONCE)
    encrypted = nonce + AESGCM(key.secret).encrypt(nonce, value.encode("utf-8", "surrogatepass"), _bound(key.id))
    return f"{_MARK}{key.id}:{base64.b64encode(encrypted).decode('ascii')}"


def looks_encrypted(value: str) -> bool:
    """Whether a short text is encrypted, or happens to look so."""
    return value.startswith(_MARK)


def opened_row(connection: Connection, row: Mapping[str, Any]) -> dict[str, Any]:
    """A finding, of which value and sentence may be encrypted, as it was (see ``opened_text``)."""
    told = {name: opened_text(connection, row[name]) for name in ("value", "message")}
    return {**row, **told}


def opened_sentences(connection: Connection, stored: str) -> tuple[str, ...]:
    """What a partner said of a document of ours: a list of sentences in JSON that may be encrypted."""
    return sentences(opened_text(connection, stored))


def opened_text(connection: Connection, value: str) -> str:
    """A short text as it was before ``AtRest.text``; "(erased)" where its key was forgotten.

    What a document happened to hold and only looks encrypted stays as it is.
    """
    mark, _, rest = value.partition(":")
    number, _, coded = rest.partition(":")
    if f"{mark}:" != _MARK or not number.isascii() or not number.isdigit() or len(number) > 18:
        return value
    vault = vault_of(connection)
    if vault is None:
        return value
    for row in vault.rows(connection, [int(number)]):
        try:
            encrypted = base64.b64decode(coded, validate=True)
            if row.token is None:
                return "(erased)"
            plain = AESGCM(vault.opened(row).secret).decrypt(encrypted[:_NONCE], encrypted[_NONCE:], _bound(row.id))
            return plain.decode("utf-8", "surrogatepass")
        except (InvalidTag, binascii.Error, ValueError):
            break
    return value


def _bound(key: int) -> bytes:
    return f"text\0{key}".encode()
