"""Learn: profiles proposed from files and mails, and the numbers with which we go on for each partner."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import select

from gateway.errors import ConfigurationFault, NotAllowedNow, NotFound, UsageFault
from gateway.flow.configuration import add_certificate, apply_profiles
from gateway.flow.context import Context
from gateway.flow.learn_sources import Seen, files_in, read_bytes, read_file
from gateway.flow.operate import Reference
from gateway.ledger import tables
from gateway.mail.smime.certificates import KeyPair
from partners.certificate_store import CertificateStore
from partners.certificates import describe
from partners.directory import overlaps
from partners.learning import Known, Proposal, learn
from partners.model import Identity, Status
from partners.profile import read_profile, with_status
from partners.store import PartnerStore, Profile

_REFERENCE = re.compile(r"m?\d+")
_COLUMNS = ("partner", "interchange", "group", "ours", "theirs")


class Learned(Struct, frozen=True):
    """What was learned. ``skipped`` are files that gave nothing, with the reason; ``odd`` is of no partner."""

    proposals: tuple[Proposal, ...]
    files: int
    interchanges: int
    skipped: tuple[tuple[str, str], ...]
    odd: tuple[str, ...]
    certificates: dict[str, bytes]

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        return {
            "partners": [each.as_dict() for each in self.proposals],
            "files": self.files,
            "interchanges": self.interchanges,
            "skipped": [{"file": name, "reason": reason} for name, reason in self.skipped],
            "odd": list(self.odd),
            "certificates": sorted(self.certificates),
        }


def learn_from(
    context: Context,
    sources: Sequence[str],
    *,
    key: str = "",
    address: str = "",
    ours: Sequence[Identity] = (),
    progress: Callable[[int], object] = lambda _: None,
) -> Learned:
    """Reads sources and proposes a profile for each partner in them.

    Args:
        context: our identities, the partners there are, the ledger and our keys.
        sources: files, directories, or mails of the ledger, quarantined ones too: by their number (``m17``) or that of
            an exchange that came in one (``34``), as `gateway quarantine list` names it.
        key: what to call the partner, where it is only one.
        address: where its mail comes from, where no mail tells.
        ours: identities that we have, or had, beside those in gateway.toml.
        progress: called with 1 after each file.

    Raises:
        NotFound: a file or mail that is not there.
        UsageFault: nothing in the sources tells of a partner.
        ProfileInvalid: an identity that no profile may have.
    """
    keys = _keys(context)
    seen = Seen()
    for source in sources:
        if _REFERENCE.fullmatch(source) and not Path(source).exists():
            number, mail = _mail(context, source)
            read_bytes(seen, mail, f"mail m{number}", context.limits, keys)
            seen.files += 1
            continue
        if not Path(source).exists():
            raise NotFound(what="file, directory or mail", key=source)
        for path, label in files_in([Path(source)]):
            read_file(seen, path, label, context.limits, keys)
            progress(1)
    proposals, odd = learn(seen.interchanges, seen.mails, _known(context, ours), key=key, address=address)
    if key and len(proposals) > 1:
        raise UsageFault(reason=f"--key names one partner, and these are {len(proposals)}.")
    if not proposals:
        raise UsageFault(reason=_nothing(seen, odd))
    skipped = tuple(seen.skipped)
    return Learned(proposals, seen.files, len(seen.interchanges), skipped, odd, seen.certificates)


def _nothing(seen: Seen, odd: Sequence[str]) -> str:
    whys = [f"{name}: {reason}" for name, reason in seen.skipped] + list(odd)
    more = f" (and {len(whys) - 3} more)" if len(whys) > 3 else ""
    return f"Nothing here tells of a partner. {' '.join(whys[:3])}{more}".strip()


def _known(context: Context, ours: Sequence[Identity]) -> Known:
    owners: dict[str, str] = {}
    for partner in context.directory:
        if partner.status is not Status.ENDED:
            owners |= {str(each): partner.key for each in partner.identities}
            owners |= {each.lower(): partner.key for each in partner.addresses}
    named = context.directory.our_identities
    mine = tuple(dict.fromkeys((*named, *ours)))
    unsaid = frozenset(mine) - frozenset(named)
    return Known(mine, owners, frozenset(each.key for each in context.directory), unsaid)


def _keys(context: Context) -> tuple[KeyPair, ...]:
    with suppress(ConfigurationFault):
        return context.keys.opening()
    return ()


def _mail(context: Context, reference: str) -> tuple[int, bytes]:
    """A mail that came, with its number."""
    named = Reference.parse(reference)
    mail, exchange = tables.message, tables.exchange
    which = mail.c.id == named.message
    if named.message is None:
        which = mail.c.id == select(exchange.c.message).where(exchange.c.id == named.exchange).scalar_subquery()
    with context.ledger.reading() as connection:
        found = connection.execute(select(mail.c.id, mail.c.sha256).where(which, mail.c.direction == "in")).first()
    if found is None:
        raise NotFound(what="received mail", key=reference)
    return found.id, context.ledger.content(found.sha256)


# ---------------------------------------------------------------- what is done with it


def start_csv(proposals: Iterable[Proposal]) -> str:
    """The last numbers of ours as the CSV that ``gateway partner start --file … --last-used`` takes."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for proposal in proposals:
        for each in proposal.numbers:
            if each.direction == "out":
                numbers = (each.interchange or "", each.group or "")
                rows.writerow((proposal.known_as or proposal.key, *numbers, each.ours, each.theirs))
    return out.getvalue()


def apply_draft(
    context: Context,
    store: PartnerStore,
    certificates: CertificateStore,
    learned: Learned,
    *,
    actor: str,
    dry_run: bool = False,
) -> list[str]:
    """Applies proposals as drafts, and keeps the certificates of their mails as pending; gives the keys.

    All of the new ones, or none. A partner that is there is never changed: its proposal is left out.

    Raises:
        NotAllowedNow: every one of them is there already.
        ProfileOverlap, DatabaseUnavailable: nothing was stored.
    """
    new = [each for each in learned.proposals if not _owner(context, each)]
    if not new:
        first = learned.proposals[0]
        reason = "learning never changes a partner that is there; compare the proposal with `gateway partner export`"
        raise NotAllowedNow(what="the partner", key=_owner(context, first), state="there already", reason=reason)
    profiles = [_draft(each) for each in new]
    for overlap in overlaps([each for each, _, _ in profiles], context.directory.our_identities):
        raise overlap
    apply_profiles(context.ledger, store, profiles, actor=actor, dry_run=dry_run)
    for proposal in new if not dry_run else ():
        for print_ in proposal.certificates:
            found = describe(learned.certificates[print_])
            if not found.problem:
                add_certificate(context.ledger, certificates, proposal.key, found, source="learned", actor=actor)
    return [each.key for each in new]


def _owner(context: Context, proposal: Proposal) -> str:
    """The partner that is there already with an identity, an address or the key of the proposal; "" for none."""
    return proposal.known_as or (proposal.key if proposal.key in context.directory else "")


def _draft(proposal: Proposal) -> Profile:
    text = with_status(proposal.text, Status.DRAFT)
    return replace(read_profile(text, f"{proposal.key}.toml"), status=Status.DRAFT), text, f"{proposal.key}.toml"
