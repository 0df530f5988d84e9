"""Importing many partners: every good row becomes a draft, and what is wrong with the others is told."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import UsageFault
from gateway.flow.configuration import apply_profiles
from gateway.flow.context import Context
from gateway.values import asdict
from partners.learning_bots import BotsExport, BotsPartner, bots_channels, bots_partners
from partners.learning_bots_index import LARGEST, read_index, read_syntax
from partners.learning_table import CellProblem, Progress, Row, read_table
from partners.model import Partner, Status
from partners.profile import read_profile
from partners.store import UNCHANGED, PartnerStore, Profile

_INDEXES = ("botsindex.json", "botsindex.py", "index.json", "index.py")  # the one that Bots takes first
_SYNTAX = "partners/x12/"
_FILES = 50_000  # in a plugin


class Imported(Struct, frozen=True):
    """What became of one row: added, unchanged, left out or wrong; ``place`` says where it stands."""

    place: str
    key: str
    change: str
    problems: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """For ``--json`` and the console."""
        return asdict(self)


class Import(Struct, frozen=True):
    """An import: its rows, the texts of the profiles by key, and what else was found in an export of Bots."""

    rows: tuple[Imported, ...]
    profiles: dict[str, str]
    channels: str = ""  # tables for gateway.toml
    starts: str = ""  # CSV for `gateway partner start --last-used`

    @property
    def wrong(self) -> list[Imported]:
        """The rows that were not imported because something is wrong with them."""
        return [each for each in self.rows if each.change == "wrong"]


def import_table(
    context: Context,
    store: PartnerStore,
    text: str,
    name: str,
    *,
    actor: str,
    dry_run: bool = False,
    progress: Progress = list,
) -> Import:
    """Imports the partners of a CSV file as drafts; a bad row does not stop the others.

    Raises:
        UsageFault: it is no table of partners.
        DatabaseUnavailable: nothing was stored.
    """
    rows = [_candidate(each) for each in read_table(text, progress)]
    return _imported(context, store, rows, name, actor=actor, dry_run=dry_run)


def import_bots(context: Context, store: PartnerStore, path: Path, *, actor: str, dry_run: bool = False) -> Import:
    """Imports the partners of an export of Bots as drafts: a plugin (zip), an index file, a CSV, or ``usersys``.

    Raises:
        UsageFault: it is none of these.
        DatabaseUnavailable: nothing was stored.
    """
    export = read_bots(path)
    found = bots_partners(export, context.directory.our_identities)
    if not found and not export.of("channel"):
        raise UsageFault(reason=f"{path.name} holds neither partners nor channels.")
    done = _imported(context, store, [_bots(each) for each in found], path.name, actor=actor, dry_run=dry_run)
    taken = {each.key for each in done.rows if each.change in {"added", UNCHANGED}}
    return replace(done, channels=bots_channels(export), starts=_starts(each for each in found if each.key in taken))


def _starts(found: Iterator[BotsPartner]) -> str:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("partner", "interchange"))
    rows.writerows((each.key, each.last_isa) for each in found if each.last_isa)
    return out.getvalue() if out.getvalue().count("\n") > 1 else ""


# ---------------------------------------------------------------- rows


class _Candidate(Struct, frozen=True):
    place: str
    key: str
    text: str
    problems: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    left_out: str = ""


def _candidate(row: Row) -> _Candidate:
    return _Candidate(f"line {row.line}", row.key, row.text, tuple(map(_said, row.problems)))


def _said(problem: CellProblem) -> str:
    return f"column {problem.column}: {problem.reason}" if problem.column else problem.reason


def _bots(found: BotsPartner) -> _Candidate:
    return _Candidate(f"partner {found.idpartner}", found.key, found.text, (), found.checks, found.problem)


class _Claims:
    """Who has which address, identity and key: we, the partners there are, and the rows before."""

    def __init__(self, context: Context) -> None:
        self.there = {each.key: each for each in context.directory}
        self.good: dict[str, tuple[_Candidate, Partner]] = {}
        self._owners = {str(each): "ours (gateway.toml)" for each in context.directory.our_identities}
        for partner in context.directory:
            if partner.status is not Status.ENDED:
                self._claim(partner, f"that of {partner.key}")

    def take(self, row: _Candidate) -> list[str]:
        """Takes a row whose cells are in order, or says what speaks against it."""
        partner = read_profile(row.text)
        if row.key in self.good:
            return [f"column key: {row.key} stands in {self.good[row.key][0].place} already"]
        known = self.there.get(row.key)
        if known is not None and not _says_the_same(partner, known):
            return [f"column key: {row.key} is there already and is not changed; edit its profile instead"]
        taken = [] if known is not None else list(self._taken(partner))
        if not taken:
            self.good[row.key] = (row, partner)
            self._claim(partner, f"that of {row.key} ({row.place})")
        return taken

    def _taken(self, partner: Partner) -> Iterator[str]:
        for column, values in (("identities", partner.identities), ("addresses", partner.addresses)):
            for each in values:
                owner = self._owners.get(str(each).lower() if column == "addresses" else str(each))
                if owner is not None:
                    yield f"column {column}: {each} is {owner} already"

    def _claim(self, partner: Partner, who: str) -> None:
        for each in (*map(str, partner.identities), *(each.lower() for each in partner.addresses)):
            self._owners.setdefault(each, who)


def _imported(
    context: Context, store: PartnerStore, rows: Sequence[_Candidate], name: str, *, actor: str, dry_run: bool
) -> Import:
    """Applies what is good in one transaction, and tells of each row."""
    claims = _Claims(context)
    found = [_judged(claims, row) for row in rows]
    profiles: list[Profile] = [
        (partner, row.text, name) for key, (row, partner) in claims.good.items() if key not in claims.there
    ]
    if profiles:
        apply_profiles(context.ledger, store, profiles, actor=actor, dry_run=dry_run)
    return Import(tuple(found), {key: row.text for key, (row, _) in claims.good.items()})


def _judged(claims: _Claims, row: _Candidate) -> Imported:
    if row.left_out:
        return Imported(row.place, row.key, "left out", (row.left_out,))
    problems = row.problems or tuple(claims.take(row))
    if problems:
        return Imported(row.place, row.key, "wrong", problems)
    return Imported(row.place, row.key, UNCHANGED if row.key in claims.there else "added", (), row.checks)


def _says_the_same(new: Partner, old: Partner) -> bool:
    """Whether a profile differs from the one that is there by nothing but what is kept or decided beside it."""
    return replace(new, status=Status.DRAFT, certificates=()) == replace(
        old, status=Status.DRAFT, certificates=(), guidelines=new.guidelines
    )


# ---------------------------------------------------------------- an export of Bots


def read_bots(path: Path) -> BotsExport:
    """The entries of an export; nothing of it is run.

    Raises:
        UsageFault: it cannot be read.
    """
    try:
        files = dict(_files(path))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as problem:
        raise UsageFault(reason=f"{path.name} cannot be read: {problem}") from None
    index = next((each for wanted in _INDEXES for each in files if each.rpartition("/")[2] == wanted), None)
    if index is None and len(files) == 1:
        index = next(iter(files))
    if index is None:
        raise UsageFault(reason=f"{path.name} holds no index of Bots ({', '.join(_INDEXES)}).")
    text = files[index]
    entries = _csv_entries(text) if index.lower().endswith(".csv") else read_index(text, index)
    syntaxes = {
        name.rpartition("/")[2].removesuffix(".py"): read_syntax(body)
        for name, body in files.items()
        if _SYNTAX in name and name.endswith(".py")
    }
    return BotsExport(tuple(entries), syntaxes)


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """The texts that matter, by name: the index, and the syntax files of partners."""
    if path.is_dir():
        for each in sorted(path.rglob("*")):
            name = each.relative_to(path).as_posix()
            if each.is_file() and _matters(name) and each.stat().st_size <= LARGEST:
                yield name, each.read_text("utf-8", "replace")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            left = LARGEST * 2
            for info in archive.infolist()[:_FILES]:
                if _matters(info.filename) and info.file_size <= min(LARGEST, left):
                    left -= info.file_size
                    with archive.open(info) as file:
                        yield info.filename, file.read(LARGEST).decode("utf-8", "replace")
    elif path.stat().st_size > LARGEST:
        raise UsageFault(reason=f"{path.name} has more than {LARGEST} bytes.")
    else:
        yield path.name, path.read_text("utf-8-sig", "replace")


def _matters(name: str) -> bool:
    return name.rpartition("/")[2] in _INDEXES or (_SYNTAX in name and name.endswith(".py"))


def _csv_entries(text: str) -> list[dict[str, object]]:
    """A table of Bots as CSV: partners where it has idpartner, channels where it has idchannel."""
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    names = {str(each).strip().lower() for each in rows.fieldnames or ()}
    kind = "channel" if "idchannel" in names else "partner" if "idpartner" in names else ""
    if not kind:
        raise UsageFault(reason="The first line names neither idpartner nor idchannel.")
    flags = {"true": True, "false": False, "1": True, "0": False}
    found = []
    for row in rows:
        values = {str(key).strip().lower(): value for key, value in row.items() if key and not isinstance(value, list)}
        for flag in ("active", "isgroup", "remove"):
            if flag in values:
                values[flag] = flags.get(str(values[flag]).strip().lower(), False)
        found.append({"plugintype": kind, **values})
    return found
