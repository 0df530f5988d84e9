"""The migrations make exactly the schema that the code speaks of, on both databases and from every revision."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, inspect
from sqlalchemy.exc import DBAPIError

from gateway.errors import ConfigurationFault, DatabaseEmpty
from gateway.ledger import database, tables
from partners import tables as partner_tables

pytestmark = [
    pytest.mark.integration,
    # What cannot be read back (see pyproject.toml) cannot be compared.
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]


def everything() -> list[MetaData]:
    return [tables.metadata, partner_tables.metadata]


def differences(engine: Engine) -> list[Any]:
    with database.reading(engine) as connection:
        only = [engine.dialect.name, None]  # an index that one dialect alone needs says so
        here = {"include_object": lambda item, *_: getattr(item, "info", {}).get("only") in only}
        # The text index is made by hand: SQLAlchemy's tables know nothing of its kind.
        here["include_name"] = lambda name, kind, _of: kind != "table" or not name.startswith("search_text")
        context = MigrationContext.configure(connection, opts=here)
        return list(compare_metadata(context, everything()))


def shape(engine: Engine) -> dict[str, Any]:
    """Everything that the database itself says of its tables, comparable."""
    inspector = inspect(engine)
    return {
        name: {
            "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(name)],
            "primary key": inspector.get_pk_constraint(name),
            "foreign keys": sorted(inspector.get_foreign_keys(name), key=str),
            "unique": sorted(inspector.get_unique_constraints(name), key=str),
            "indexes": sorted(_index(index) for index in inspector.get_indexes(name)),
        }
        for name in inspector.get_table_names()
        if name != "alembic_version"
    }


def _index(index: Any) -> str:
    """An index as text, the condition of a partial one included."""
    conditions = sorted(str(value) for value in index.get("dialect_options", {}).values())
    return f"{index['name']} {index['column_names']} {index['unique']} {conditions}"


@pytest.fixture
def empty(ledger_url):
    engine = database.open_engine(ledger_url)
    yield engine
    engine.dispose()


def test_from_empty_the_schema_is_the_metadata(ledger_engine):
    assert differences(ledger_engine) == []
    assert database.revision(ledger_engine) == database.newest()
    database.check(ledger_engine)


def test_names_defaults_and_partial_indexes_are_those_of_the_metadata_too(ledger_engine, request, tmp_path):
    on_sqlite = ledger_engine.dialect.name == "sqlite"
    url = f"sqlite:///{tmp_path / 'other.db'}" if on_sqlite else request.getfixturevalue("postgres").fresh_database()
    other = database.open_engine(url)
    with database.writing(other) as connection:
        for metadata in everything():
            metadata.create_all(connection)
    assert shape(ledger_engine) == shape(other)
    other.dispose()


@pytest.mark.parametrize("start", database.revisions())
def test_from_each_revision_the_upgrade_reaches_the_newest(empty, start):
    database.upgrade(empty, start)
    assert database.revision(empty) == start
    database.upgrade(empty)
    assert differences(empty) == []


def test_upgrading_twice_changes_nothing(ledger_engine):
    before = shape(ledger_engine)
    database.upgrade(ledger_engine)
    assert shape(ledger_engine) == before


def test_an_empty_database_has_no_ledger_and_stays_untouched_by_the_check(empty):
    with pytest.raises(DatabaseEmpty, match="There is no ledger in the database"):
        database.check(empty)
    assert inspect(empty).get_table_names() == []


def test_a_database_of_a_newer_gateway_is_refused(ledger_engine):
    with database.writing(ledger_engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for verb in (database.check, database.upgrade):
        with pytest.raises(ConfigurationFault, match="a newer gateway wrote it"):
            verb(ledger_engine)


def test_a_migration_that_fails_leaves_nothing_behind(empty):
    with database.writing(empty) as connection:  # a stranger's table in the way of a late step
        connection.exec_driver_sql("CREATE TABLE event (x INTEGER)")
    with pytest.raises(Exception, match="event"):
        database.upgrade(empty)
    assert inspect(empty).get_table_names() == ["event"]


def test_the_history_is_one_line_whose_order_is_that_of_the_file_names():
    config = Config()
    config.set_main_option("script_location", str(database.migrations_directory()))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [database.newest()]
    assert tuple(s.revision for s in scripts.walk_revisions())[::-1] == database.revisions()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET kind = 'x'",
        "DELETE FROM event",
        "DELETE FROM content",
        "UPDATE profile_revision SET profile = 'x'",
    ],
)
def test_events_contents_and_profiles_can_be_added_but_not_changed(ledger_engine, statement):
    with database.writing(ledger_engine) as connection:
        connection.execute(tables.content.insert().values(sha256="ab", size=1, at=1, bytes=b"x"))
        connection.execute(tables.event.insert().values(at=1, kind="received"))
        revision = {"partner": "acme", "revision": 1, "at": 1, "by": "me", "sha256": "ab", "status": "live"}
        connection.execute(partner_tables.profile_revision.insert().values(profile="", **revision))
    with pytest.raises(DBAPIError, match="append-only") as caught, ledger_engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert "append-only" in str(caught.value.orig)
