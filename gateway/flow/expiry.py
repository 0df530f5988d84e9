"""What will stop to work with time: the certificates of partners and our own keys, spoken of before they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import Side
from gateway.ledger.attention import Attention
from gateway.ledger.keys import ACTIVE, OwnKey
from gateway.words import count
from partners.certificates import WARN_DAYS, days_left, describe, trusted
from partners.model import Partner, Status

_TRADING = {Status.TESTING, Status.LIVE}


class Ending(Struct, frozen=True):
    """The last certificate or key for a use that ends soon, or ended. ``not_after`` is ms since 1970 UTC."""

    name: str  # the partner's key, or the name of a key of ours
    ours: bool
    use: str  # sign, encrypt
    fingerprint: str
    not_after: int
    days: int

    @property
    def what(self) -> str:
        """What ends, for people."""
        return f"our key {self.name}" if self.ours else f"the certificate of {self.name}"

    @property
    def state(self) -> str:
        """How near the end is: ended, or within which of the times that people are warned ahead."""
        if self.days < 0:
            return "ended"
        return f"ends within {next(each for each in WARN_DAYS if self.days <= each)} days"

    @property
    def sentence(self) -> str:
        """When it ends, and what then stops."""
        when = f"{datetime.fromtimestamp(self.not_after / 1000, UTC):%Y-%m-%d}"
        said = f"ended on {when}" if self.days < 0 else f"ends on {when}, in {count(self.days, 'day')}"
        return f"{self.what[0].upper()}{self.what[1:]} {said}, and no other can {self.use}."

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.ours:
            return "Make another with `gateway key generate` and send partners its certificate in good time."
        return f"Ask {self.name} for its next certificate: `gateway partner certificate add {self.name} FILE`."


def endings(partners: Iterable[Partner], keys: Sequence[OwnKey], now: int) -> list[Ending]:
    """What ends within the longest time that people are warned ahead, the soonest first. ``now``: ms since 1970 UTC.

    A certificate that another one replaces, valid for longer and for the same use, is not spoken of.
    """
    found = [each for partner in partners if partner.status in _TRADING for each in _of_partner(partner, now)]
    found += _of_ours(keys, now)
    return sorted(found, key=lambda each: (each.not_after, each.name, each.use))


def attention_for(partners: Iterable[Partner], keys: Sequence[OwnKey], now: int) -> list[Attention]:
    """The same as things that need a person."""
    return [
        Attention(
            reference=each.name,
            state=each.state,
            at=now,
            partner="" if each.ours else each.name,
            what=each.what,
            reason=each.sentence,
            next_command="gateway key generate" if each.ours else f"gateway partner certificate add {each.name} FILE",
            side=Side.OURS.value if each.ours else Side.PARTNER.value,
        )
        for each in endings(partners, keys, now)
    ]


def lasting_of_partner(partner: Partner) -> dict[str, tuple[int, str]]:
    """Until when a partner has a trusted certificate to sign and to encrypt, and the last one's fingerprint."""
    lasting: dict[str, tuple[int, str]] = {}
    for each in trusted(partner):
        found = describe(each.der)
        for use, can in (("sign", found.proves), ("encrypt", found.encrypts)):
            if can:
                lasting[use] = max(lasting.get(use, (0, "")), (each.not_after, each.fingerprint))
    return lasting


def lasting_of_ours(keys: Sequence[OwnKey]) -> dict[str, tuple[int, str]]:
    """The same of our own active keys."""
    lasting: dict[str, tuple[int, str]] = {}
    for key in keys:
        if key.state != ACTIVE:
            continue
        for use in ("sign", "encrypt") if describe(key.certificate).encrypts else ("sign",):
            lasting[use] = max(lasting.get(use, (0, "")), (key.not_after, key.fingerprint))
    return lasting


def _of_partner(partner: Partner, now: int) -> list[Ending]:
    return _soon(partner.key, lasting_of_partner(partner), now, ours=False)


def _of_ours(keys: Sequence[OwnKey], now: int) -> list[Ending]:
    names = {key.fingerprint: key.name for key in keys if key.state == ACTIVE}
    lasting = lasting_of_ours(keys)
    return [replace(each, name=names[each.fingerprint]) for each in _soon("", lasting, now, ours=True)]


def _soon(name: str, lasting: dict[str, tuple[int, str]], now: int, *, ours: bool) -> list[Ending]:
    """One ending for what ends soon; uses that end together are told together."""
    by_certificate: dict[tuple[int, str], list[str]] = {}
    for use, last in lasting.items():
        by_certificate.setdefault(last, []).append(use)
    return [
        Ending(name, ours, " or ".join(uses), fingerprint, not_after, days_left(not_after, now))
        for (not_after, fingerprint), uses in by_certificate.items()
        if days_left(not_after, now) <= max(WARN_DAYS)
    ]
