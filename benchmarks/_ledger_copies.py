"""How each table of a ledger is copied many times over: what differs in its columns, and the SQL of all copies.

Columns are taken from the tables as they are. A foreign key or a unique column that nobody has said how to copy is an
error, not a guess.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from _ledger_fresh import TEXT
from _ledger_world import HOUR
from sqlalchemy import BigInteger, Column, Table, UniqueConstraint

_REPLY = 4 * HOUR  # in the middle of the eight hours in which partners answer
_CAME = (
    "t.{} IN (SELECT id FROM answered) AND {{last}} - c.k > {{waiting}}"  # an acknowledgment, after the original's end
)

# How a column differs from copy to copy: SQL over ``t``, a row of the original, and ``c.k``, the copy from 0 on.
RULES: dict[tuple[str, str], str] = {
    **{
        (table, "sha256"): "fresh_hash(t.sha256, c.k)"
        for table in ("content", "content_key", "content_piece", "message", "payload", "put_away", "sighting")
    },
    ("exchange", "sha256"): "fresh_hash(t.sha256, c.k)",
    ("interchange_key", "key"): "fresh_hash(t.key, c.k)",
    ("exchange", "idempotency_key"): "fresh_hashes(t.idempotency_key, c.k)",
    **{(table, "uid"): "fresh_uid(t.uid, c.k)" for table in ("sighting", "not_taken")},
    **{(table, "control_number"): "counted(t.control_number, c.k)" for table in ("exchange", "functional_group")},
    ("received_number", "number"): "counted(t.number, c.k)",
    ("number_gap", "first"): "counted(t.first, c.k)",
    ("number_gap", "last"): "counted(t.last, c.k)",
    ("acknowledgment", "names"): "CASE WHEN t.transaction_set IS NULL THEN named(t.names, c.k) ELSE t.names END",
    ("exchange", "state"): f"CASE WHEN {_CAME.format('id')} THEN 'acknowledged' ELSE t.state END",
    ("exchange", "verdict"): f"CASE WHEN {_CAME.format('id')} THEN 'accepted' ELSE t.verdict END",
    ("exchange", "acknowledged_at"): "c.k * {shift}"
    f" + CASE WHEN {_CAME.format('id')} THEN t.updated_at + {_REPLY} ELSE t.acknowledged_at END",
}  # fmt: skip
# Texts with a number that differs, and SQL for the control number that may stand in them; None: Message-IDs.
TEXTS: dict[tuple[str, str], str | None] = {
    ("business_key", "value"): "''",
    ("exchange", "subject"): "control_number",
    ("exchange", "file_name"): "control_number",
    ("exchange", "message_id"): None,
    ("message", "subject"): "coalesce((SELECT control_number FROM original.exchange WHERE message = t.id), '')",
    ("message", "message_id"): None,
    ("message", "in_reply_to"): None,
    ("payload", "file_name"): "coalesce((SELECT control_number FROM original.exchange WHERE message = t.message), '')",
    ("receipt", "original_message_id"): None,
}
# Copied once; a counter has come so many times as far.
ONCE = frozenset(
    (
        *("api_token", "batch", "console_session", "console_user", "control_number", "hold", "moved_archive"),
        *("number_epoch", "own_key", "partner_certificate", "payload_key", "profile_revision", "retention_mark"),
        *("saved_query", "secret", "sign_in_pause"),
    )
)
ONCE_RULES: dict[tuple[str, str], str] = {
    ("control_number", "next"): "counted(t.next, 0)",
    ("number_epoch", "first"): "counted(t.first, 0)",
    ("number_epoch", "lowest"): "counted(t.lowest, 0)",
    ("number_epoch", "highest"): "counted(t.highest, {last})",
}
# Of the moment, of the tree, or counted anew.
LEFT_OUT = frozenset(
    ("claim", "daily_count", "event_leaf", "lease", "retention_permit", "seal", "tree_head", "tree_node")
)
LEAN = frozenset({"content", "content_key", "content_piece", "interchange_key", "received_number", "sighting"})
WHICH = {  # rows that are not copied
    "expectation": f"NOT ({_CAME.format('exchange')})",
    "event": "NOT ({lean} AND t.kind = 'recorded')",
}


class NobodySaidError(Exception):
    """The tables have something that this module was not told how to copy."""


# ---------------------------------------------------------------- how tables are copied


@dataclass(frozen=True, slots=True)
class Copied:
    """How one table is copied: SQL for each column, and tables whose new ids are looked up, by alias."""

    table: Table
    columns: dict[str, str]
    lookups: dict[str, tuple[str, str]] = field(default_factory=dict)  # alias: numbered table, our column
    texts: dict[str, str] = field(default_factory=dict)  # alias: our column
    once: bool = False


def numbered(table: Table) -> str:
    """The column by which rows of a table are counted; empty where there is none."""
    keys = list(table.primary_key.columns)
    one = len(keys) == 1 and isinstance(keys[0].type, BigInteger) and not keys[0].foreign_keys
    return str(keys[0].name) if one and table.name not in ONCE | LEFT_OUT else ""


def copied(table: Table) -> Copied | None:
    """How to copy a table; None: not at all.

    Raises:
        NobodySaidError: a foreign key or a unique column without a rule.
    """
    if table.name in LEFT_OUT:
        return None
    if table.name in ONCE:
        return Copied(
            table, {each.name: ONCE_RULES.get((table.name, each.name), _plain(each)) for each in table.columns},
            once=True,
        )  # fmt: skip
    how = Copied(table, {})
    differs = {column.name for column in table.columns if _said(how, column)}
    for key in _unique(table):
        if not key & differs:
            names = ", ".join(sorted(key))
            raise NobodySaidError(f"{table.name}: {names} is unique: how does it differ from copy to copy?")
    return how


def _said(how: Copied, column: Column[Any]) -> bool:
    """Puts down how a column is copied; whether no two copies have the same there."""
    name, target, plain = column.name, target_of(column), _plain(column)
    if (how.table.name, name) in RULES:
        how.columns[name] = RULES[how.table.name, name]
        return True
    if (how.table.name, name) in TEXTS:
        alias = f"p{len(how.texts)}"
        how.texts[alias] = name
        how.columns[name] = TEXT.format(p=alias)
        return True
    if name == numbered(how.table):
        how.columns[name] = f"(b.first - 1) * {{copies}} + c.k * b.size + {plain} - b.first + 1"
        return True
    if target is not None and numbered(target):
        alias = f"f{len(how.lookups)}"
        how.lookups[alias] = (target.name, name)
        how.columns[name] = f"{alias}.base + c.k * {alias}.step"
        return True
    if target is not None and target.name not in ONCE:
        where = f"{how.table.name}.{name}"
        raise NobodySaidError(f"{where} points to {target.name}: how does it differ from copy to copy?")
    is_moment = (name == "at" or name.endswith("_at")) and isinstance(column.type, BigInteger)
    how.columns[name] = f"{plain} + c.k * {{shift}}" if is_moment else plain
    return False


def _plain(column: Column[Any]) -> str:
    return f't."{column.name}"'


def target_of(column: Column[Any]) -> Table | None:
    """The table that a column points to."""
    for key in column.foreign_keys:
        return key.column.table
    return None


def _unique(table: Table) -> Iterator[set[str]]:
    """Names of columns that are unique together."""
    yield {each.name for each in table.primary_key.columns}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield {each.name for each in constraint.columns}
    for index in table.indexes:
        if index.unique:
            yield {each.name for each in index.columns}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a copy is apart from the next: ``ranges`` are the first ids of each burst by table, the end last."""

    copies: int
    shift: int  # ms
    last: int  # the last moment of the original
    ranges: dict[str, list[int]]
    lean: bool = False

    def new(self, table: str, number: int, k: int) -> int:
        """The id that a row of the original has in a copy."""
        bounds = self.ranges[table]
        at = bisect_right(bounds, number) - 1
        first, size = bounds[at], bounds[at + 1] - bounds[at]
        return (first - 1) * self.copies + k * size + number - first + 1

    def filled(self, sql: str) -> str:
        """SQL of a rule with the values of this plan."""
        return sql.format(
            copies=self.copies, shift=self.shift, last=self.copies - 1, waiting=8 * HOUR // max(1, self.shift),
            lean=int(self.lean),
        )  # fmt: skip


def statement(how: Copied, made: Plan, *, ordered: bool = False) -> str:
    """The rows of all copies of a table in the order of their new ids; ``ordered``: others in that of their key."""
    table, own = how.table, numbered(how.table)
    columns = ", ".join(made.filled(each) for each in how.columns.values())
    if how.once:
        return f"SELECT {columns} FROM original.{table.name} t"
    source, where = f"copies c CROSS JOIN original.{table.name} t", []
    if own:
        source = f"bursts_{table.name} b CROSS JOIN {source}"
        where.append(f"t.{own} BETWEEN b.first AND b.first + b.size - 1")
    for alias, (target, column) in how.lookups.items():
        met = f'{alias}.id = t."{column}"'
        if table.c[column].nullable:
            source += f" LEFT JOIN new_{target} {alias} ON {met}"
        else:  # SQLite then keeps the order of the loops
            source += f" CROSS JOIN new_{target} {alias}"
            where.append(met)
    for alias, column in how.texts.items():
        source += f" CROSS JOIN texts_{table.name}_{column} {alias}"
        where.append(f"{alias}.id = t.{own or column}")
    if table.name in WHICH:
        where.append(made.filled(WHICH[table.name]))
    names = list(how.columns)
    keys = [str(names.index(each.name) + 1) for each in table.primary_key.columns]
    order = f" ORDER BY {', '.join(keys)}" if ordered and not own else ""
    return f"SELECT {columns} FROM {source}" + (f" WHERE {' AND '.join(where)}" if where else "") + order
