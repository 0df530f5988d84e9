"""Ledgers for tests, once on SQLite and once on PostgreSQL; what many tests begin with is made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.ledger import database
from servers.postgres import Postgres


def empty(_engine: Engine) -> None:
    """What a migrated ledger is filled with that has nothing in it."""


@dataclass
class Ledgers:
    """Migrated ledgers of one run, each made once: with nothing, or with what a function wrote."""

    directory: Path
    server: Callable[[], Postgres]
    _files: dict[Callable[[Engine], None], Path] = field(default_factory=dict)
    _templates: dict[Callable[[Engine], None], str] = field(default_factory=dict)

    def file(self, fill: Callable[[Engine], None] = empty) -> Path:
        """A ledger on SQLite, to be copied."""
        if fill not in self._files:
            path = self.directory / f"{fill.__module__}-{fill.__name__}.db"
            if fill is not empty:
                shutil.copy(self.file(), path)
            _make(f"sqlite:///{path}", fill)
            assert not path.with_name(f"{path.name}-wal").exists()
            self._files[fill] = path
        return self._files[fill]

    def template(self, fill: Callable[[Engine], None] = empty) -> str:
        """The name of a ledger on PostgreSQL, to be copied."""
        if fill not in self._templates:
            url = self.server().fresh_database(*([] if fill is empty else [self.template()]))
            _make(url, fill)
            self._templates[fill] = url.rpartition("/")[2]
        return self._templates[fill]


def _make(url: str, fill: Callable[[Engine], None]) -> None:
    engine = database.open_engine(url)
    try:
        if fill is empty:
            database.upgrade(engine)
        fill(engine)
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def ledgers(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Ledgers:
    """The ledgers that tests copy."""
    return Ledgers(tmp_path_factory.mktemp("ledgers"), lambda: request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def migrated_file(ledgers: Ledgers) -> Path:
    """An empty ledger on SQLite; tests copy it."""
    return ledgers.file()


@pytest.fixture(scope="session")
def migrated_template(ledgers: Ledgers) -> str:
    """The name of an empty ledger on PostgreSQL; tests copy it."""
    return ledgers.template()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The url of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.fresh_database()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_with(
    request: pytest.FixtureRequest, tmp_path: Path, ledgers: Ledgers
) -> Iterator[Callable[[Callable[[Engine], None]], Engine]]:
    """A migrated ledger, once on SQLite and once on PostgreSQL, with what a function writes that is called once a run.

    Each test has a copy of its own. The function is one of a module: it is known again by itself.
    """
    server: Postgres | None = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    opened: list[tuple[Engine, str]] = []

    def copied(fill: Callable[[Engine], None]) -> Engine:
        assert not opened, "a test has one ledger"
        if server is None:
            shutil.copy(ledgers.file(fill), tmp_path / "ledger.db")
            url = f"sqlite:///{tmp_path / 'ledger.db'}"
        else:
            url = server.fresh_database(ledgers.template(fill))
        opened.append((database.open_engine(url), url))
        return opened[0][0]

    yield copied
    for engine, url in opened:
        engine.dispose()
        if server is not None:
            server.drop(url)


@pytest.fixture
def ledger_engine(ledger_with: Callable[[Callable[[Engine], None]], Engine]) -> Engine:
    """A migrated ledger with nothing in it, once on SQLite and once on PostgreSQL."""
    return ledger_with(empty)
