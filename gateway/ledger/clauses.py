"""What of a query the text index can answer, as clauses that must all be met.

The index gives too much rather than too little: a clause stands for what every row that meets the criterion has in the
index. What the index cannot know (two letters, a sign alone) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

from msgspec import Struct
from sqlalchemy import BigInteger, BindParameter, Connection, Engine, Select, bindparam, literal_column, select
from sqlalchemy import text as sql

from gateway.ledger import bulk
from gateway.ledger.folding import folded
from gateway.ledger.key_value import WHOLE
from gateway.ledger.marks import OF_KEYS, VERSION, as_characters, coded, mark, pieces_of, runs_of
from gateway.ledger.query import Criterion, Query, identity_parts, key_parts, stored_partner

MOST_TRIGRAMS = 3  # of one piece of text, and no more than hold all of it: more narrow little, and cost much
MOST_OF_EACH = 2  # of one of several: they narrow each other
_BEGINNING = 300  # characters of a long key that stand in what is kept of it, also behind a name
Order = Literal["", "lowest", "highest"]
_ASKED = (
    "SELECT rowid FROM search_text WHERE search_text MATCH ? AND rowid > 0",
    "SELECT -rowid FROM search_text WHERE search_text MATCH ? AND rowid < 0",
)  # of exchanges, of mails
_ORDERS: Mapping[Order, str] = {"": "", "lowest": " ORDER BY rowid", "highest": " ORDER BY rowid DESC"}
_SIDES = ("search_text.id + 0 > 0", "search_text.id + 0 < 0")  # not what the primary key's index is looked up for
_WORD = re.compile(r"[a-z0-9]{3}", re.ASCII)  # of such pg_trgm makes trigrams in every locale


class Wanted(Struct, frozen=True):
    """What a row must have in the index: pieces of text, folded, and one of some marks.

    ``in_keys``: the pieces stand in a business key.
    """

    pieces: tuple[str, ...] = ()
    marks: tuple[int, ...] = ()
    in_keys: bool = False


class Clause(Struct, frozen=True):
    """One of these; ``field`` is the criterion that it comes from."""

    field: str
    alternatives: tuple[Wanted, ...]


def clauses_of_exchanges(query: Query) -> list[Clause]:
    """What the index knows of exchanges that meet the query."""
    return list(_clauses(query, _OF_EXCHANGES))


def clauses_of_mails(query: Query) -> list[Clause]:
    """What the index knows of mails that meet the query; that they are mails is one of them."""
    return [marked("mail", mark("mail", "")), *_clauses(query, _OF_BOTH)]


def marked(field: str, *marks: int) -> Clause:
    """A row with one of these marks."""
    return Clause(field, (Wanted(marks=marks),))


def _clauses(query: Query, makers: Mapping[str, Callable[[str], Wanted | None]]) -> Iterator[Clause]:
    for criterion in query.criteria():
        if criterion.negated or criterion.field not in makers:
            continue
        for part in _parts(criterion):
            found = [makers[part.field](value) for value in part.values]
            if part.field == "text" and _is_long(part.values[0]):
                found.append(_key(part.values[0]))
            if all(found):
                yield Clause(part.field, tuple(each for each in found if each))


def _parts(criterion: Criterion) -> Iterable[Criterion]:
    """Free text word by word."""
    if criterion.field != "text":
        return [criterion]
    return [Criterion("text", (term,)) for term in criterion.values[0].split() if term.strip("*")]


def _is_long(value: str) -> bool:
    """Whether it may be a business key that is not kept whole."""
    return len(value) > WHOLE and "*" not in value


def _marks(kind: str, *, fold: bool = False) -> Callable[[str], Wanted | None]:
    """Of a fact that is asked for as a whole."""

    def make(value: str) -> Wanted | None:
        return None if "*" in value else Wanted(marks=(mark(kind, folded(value) if fold else value),))

    return make


def _sender(value: str) -> Wanted | None:
    """An address, or all of a domain: ``*@acme.example``."""
    whole = folded(value)
    if "*" not in whole:
        return Wanted(marks=(mark("from", whole),))
    _, sign, domain = whole.rpartition("@")
    return Wanted(marks=(mark("domain", domain),)) if sign and domain and "*" not in domain else None


def _partner(value: str) -> Wanted | None:
    return None if "*" in value else Wanted(marks=(mark("partner", stored_partner(value)),))


def _type(value: str) -> Wanted | None:
    return None if re.search(r"[\s*]", value) else Wanted(marks=(mark("type", value),))


def _version(value: str) -> Wanted | None:
    begins = value.partition("*")[0]
    if len(begins) < VERSION or re.search(r"\s", begins):
        return None
    return Wanted(marks=(mark("version", begins[:VERSION]),))


def _identity(kind: str) -> Callable[[str], Wanted | None]:
    def make(value: str) -> Wanted | None:
        _, id_ = identity_parts(value)
        return None if "*" in id_ else Wanted(marks=(mark(kind, id_),))

    return make


def _usage(value: str) -> Wanted | None:
    return None if value == "P" else Wanted(marks=(mark("usage", value),))


def _pieces(value: str) -> Wanted | None:
    return Wanted(pieces=tuple(filter(None, folded(value).split("*"))))


def _key(value: str) -> Wanted | None:
    named = key_parts(value)
    part = named[1] if named else value
    if _is_long(value):  # whichever it is, with the name or without it, and kept whole or not: so it begins
        part = part[:_BEGINNING]
    return Wanted(pieces=tuple(filter(None, folded(part).split("*"))), in_keys=True)


_OF_BOTH: Mapping[str, Callable[[str], Wanted | None]] = {
    "partner": _partner,
    "from_address": _sender,
    "user": _marks("user", fold=True),
    "host": _marks("host", fold=True),
    "subject": _pieces,
    "file_name": _pieces,
    "text": _pieces,
}
_OF_EXCHANGES = {
    **_OF_BOTH,
    "type": _type,
    "version": _version,
    "usage": _usage,
    "sender": _identity("sender"),
    "receiver": _identity("receiver"),
    "business_key": _key,
}


# ---------------------------------------------------------------- asked of the index


class TextIndex:
    """Asks the text index of one database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"
        self._trigrams = self._sqlite or _has_trigrams(connection)

    def useful(self, clauses: Iterable[Clause]) -> list[Clause]:
        """Those that the index can answer."""
        return [each for each in clauses if all(self._answers(wanted) for wanted in each.alternatives)]

    def ids(self, clauses: Sequence[Clause], *, mails: bool = False) -> Select[Any]:
        """The statement for the ids of all that meets the clauses; those of mails as they are, not negative.

        Args:
            clauses: at least one, all ``useful``.
            mails: mails instead of exchanges.
        """
        if self._sqlite:
            number: Any = literal_column("rowid")
            of_mails: Any = literal_column("rowid < 0" if mails else "rowid > 0")
            matching = sql("search_text MATCH :expression").bindparams(expression=_expression(clauses))
            statement = select((-number if mails else number).label("id"))
            return statement.select_from(sql("search_text")).where(matching, of_mails)
        written = _Written()
        meeting = self._meeting(clauses, written).format_map({name: f":{name}" for name in written.values})
        given: list[BindParameter[Any]] = [
            bindparam(name, value, unique=True) for name, value in written.values.items()
        ]
        known: Any = literal_column("search_text.id", BigInteger())
        statement = select((-known if mails else known).label("id")).select_from(sql("search_text"))
        return statement.where(sql(_SIDES[mails]), sql(meeting).bindparams(*given))

    def some(self, clauses: Sequence[Clause], most: int, *, mails: bool = False, order: Order = "") -> list[int]:
        """The ids that ``ids`` gives, at most so many of them, asked of the driver.

        Args:
            clauses: at least one, all ``useful``.
            most: how many.
            mails: mails instead of exchanges.
            order: the lowest first or the highest, on SQLite, whose index has them so; none: as it comes.
        """
        if self._sqlite:
            asked = _ASKED[mails] + _ORDERS[order] + " LIMIT ?"
            return [number for (number,) in bulk.tuples(self._connection, asked, (_expression(clauses), most))]
        assert not order, "it would have to be sorted"
        written = _Written()
        meeting = self._meeting(clauses, written).format_map({name: f"%({name})s" for name in written.values})
        sign = "-" if mails else ""
        asked = f"SELECT {sign}search_text.id FROM search_text WHERE {_SIDES[mails]} AND {meeting} LIMIT {int(most)}"  # noqa: S608 - values are parameters
        return [number for (number,) in bulk.tuples(self._connection, asked, written.values)]

    def _answers(self, wanted: Wanted) -> bool:
        if self._sqlite:
            return bool(wanted.marks or any(_parts_of(piece, in_keys=False) for piece in wanted.pieces))
        known = any(runs_of(piece) or (self._trigrams and _WORD.search(piece)) for piece in wanted.pieces)
        return bool(wanted.marks or known)

    def _meeting(self, clauses: Sequence[Clause], written: _Written) -> str:
        """What a row of PostgreSQL's index must be to meet the clauses, in SQL."""
        most = _most(clauses)
        return " AND ".join(self._condition(each, most, written) for each in clauses)

    def _condition(self, clause: Clause, most: int, written: _Written) -> str:
        # Marks alone need no OR, which the index would answer one by one.
        if all(not wanted.pieces for wanted in clause.alternatives):
            return written.has_any([each for wanted in clause.alternatives for each in wanted.marks])
        return _any_of([self._one(wanted, most, written) for wanted in clause.alternatives])

    def _one(self, wanted: Wanted, most: int, written: _Written) -> str:
        found = [written.has_any(wanted.marks)] if wanted.marks else []
        for piece in wanted.pieces:
            runs = runs_of(piece)
            found += [written.has_run(run, in_keys=wanted.in_keys) for run in runs]
            known = [] if runs or not self._trigrams else [each for each in _trigrams(piece) if _WORD.fullmatch(each)]
            found += [f"search_text.text LIKE {written.value(f'%{each}%')}" for each in _some(known, most)]
            if runs or known:  # few rows have them: the rest is compared there, all trigrams would be read in vain
                pattern = "%" + re.sub(r"[%_\\]", r"\\\g<0>", piece) + "%"
                found.append(f"search_text.text || '' LIKE {written.value(pattern)}")
        return " AND ".join(found) if found else "TRUE"


class _Written:
    """SQL for PostgreSQL in the making: ``{name}`` stands for the value of that name in ``values``."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def value(self, value: Any) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"{{{name}}}"

    def has_any(self, marks: Sequence[int]) -> str:
        """One of the marks."""
        return f"search_text.marks {'@>' if len(marks) == 1 else '&&'} {self._numbers(marks)}"

    def has_run(self, run: str, *, in_keys: bool) -> str:
        """A run of digits stands in a business key, or anywhere."""
        digits = [int(piece) for piece in pieces_of(run)]
        of_key = f"search_text.marks @> {self._numbers([OF_KEYS + each for each in digits])}"
        return of_key if in_keys else _any_of([of_key, f"search_text.marks @> {self._numbers(digits)}"])

    def _numbers(self, values: Sequence[int]) -> str:
        return f"CAST({self.value(list(values))} AS integer[])"


def _any_of(found: Sequence[str]) -> str:
    return found[0] if len(found) == 1 else "(" + " OR ".join(f"({each})" for each in found) + ")"


def _expression(clauses: Sequence[Clause]) -> str:
    """The clauses in the language of FTS5, in which everything is quoted."""
    most = _most(clauses)
    return " AND ".join(_either(_all(wanted, most) for wanted in each.alternatives) for each in clauses)


def _most(clauses: Sequence[Clause]) -> int:
    """How many trigrams of each piece of text are looked for."""
    several = sum(any(wanted.pieces for wanted in each.alternatives) for each in clauses) > 1
    return MOST_OF_EACH if several else MOST_TRIGRAMS


def _trigrams(piece: str) -> list[str]:
    return list(dict.fromkeys(piece[at : at + 3] for at in range(len(piece) - 2)))


def _some(trigrams: Sequence[str], most: int) -> list[str]:
    """No more of them than hold all of a piece, and at most so many, from its beginning to its end."""
    enough = min(most, -(-(len(trigrams) + 2) // 3))
    if len(trigrams) <= enough:
        return list(trigrams)
    step = (len(trigrams) - 1) / (enough - 1)
    return [trigrams[round(number * step)] for number in range(enough)]


def _either(parts: Iterable[str]) -> str:
    found = list(dict.fromkeys(parts))
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"


def _all(wanted: Wanted, most: int) -> str:
    found = [_either(f'"{as_characters(each)}"' for each in wanted.marks)] if wanted.marks else []
    for piece in wanted.pieces:
        found += _parts_of(piece, most, in_keys=wanted.in_keys)
    return _every(found)


def _every(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"


def _parts_of(piece: str, most: int = MOST_TRIGRAMS, *, in_keys: bool) -> list[str]:
    """What a piece of text is looked for by: its numbers, five digits each, and some trigrams of the rest."""
    runs = runs_of(piece)
    found = [
        _either(_trigrams_of(coded(run, of_key=key)) for key in ((True,) if in_keys else (True, False))) for run in runs
    ]
    certain = [each for each in _trigrams(piece) if _is_certain(each) and not (runs and each.isdigit())]
    return found + ['"' + each.replace('"', '""') + '"' for each in _some(certain, most)]


def _trigrams_of(code: str) -> str:
    return _every([f'"{code[at : at + 3]}"' for at in range(len(code) - 2)])


def _is_certain(trigram: str) -> bool:
    """Whether every version of FTS5 takes these for three characters (a combining mark may be none)."""
    return all(each.isprintable() if each.isascii() else each.isalnum() for each in trigram)


_known: WeakKeyDictionary[Engine, bool] = WeakKeyDictionary()


def forget_trigrams(engine: Engine) -> None:
    """The index was made anew: what it knows is asked again."""
    _known.pop(engine, None)


def _has_trigrams(connection: Connection) -> bool:
    """Whether the index on PostgreSQL knows trigrams; asked once."""
    if connection.engine not in _known:
        statement = sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_search_text'")
        _known[connection.engine] = "gin_trgm_ops" in str(connection.execute(statement).scalar())
    return _known[connection.engine]
