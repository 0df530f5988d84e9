"""The console's pages over a big ledger: server time of each, as a browser waits for it, without the network.

Each page is asked for through the application itself, with a session's user, again and again; p50 and p95 are of those
calls. Beside them a page that asks nothing of the ledger (the form for a new partner), in the same run.

    python benchmarks/console.py [--exchanges 20000] [--quick] [--json]
    python benchmarks/console.py --ledger FILE  # over the ledger (SQLite) of benchmarks/ledger.py --keep
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

import _ledger_store as store  # noqa: E402
import ledger as loading  # noqa: E402
from _ledger_questions import percentile  # noqa: E402
from _ledger_world import partner, trader  # noqa: E402
from sqlalchemy import func, select  # noqa: E402
from starlette.testclient import TestClient  # noqa: E402

from gateway.app import KEY_FILE, open_app  # noqa: E402
from gateway.console.build import build  # noqa: E402
from gateway.console.pages import PAGES  # noqa: E402
from gateway.console.people import Role, Somebody, User  # noqa: E402
from gateway.console.site import Site  # noqa: E402
from gateway.console.warm import warm  # noqa: E402
from gateway.ledger import tables  # noqa: E402
from gateway.ledger.database import open_engine, reading, upgrade  # noqa: E402
from gateway.ledger.secrets import make_key  # noqa: E402
from partners.profile_writer import write_profile  # noqa: E402

QUICK, PARTNERS = 5_000, 500
SETTINGS = """
[gateway]
name = "Example Co"
domain = "gateway.example"
identities = ["ZZ:EXAMPLECO"]
[mailbox.orders]
protocol = "maildir"
path = "mail"
[database]
url = "{url}"
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanges", type=int, default=20_000)
    parser.add_argument("--ledger", default="", help="a filled SQLite ledger; it is migrated, and partners are added")
    parser.add_argument("--repeats", type=int, default=20, help="calls of each page")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} exchanges: under 50 seconds")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="console") as scratch:
        url = f"sqlite:///{Path(words.ledger).resolve()}" if words.ledger else ""
        if url:
            found = measure(Path(scratch), url, words.repeats)
        else:
            count = QUICK if words.quick else words.exchanges
            with store.database("sqlite", Path(scratch), reuse=False, keep=False) as made:
                load = Namespace(exchanges=count, group=100, payload=0, seed=1, processes=1, keep=False, reuse=False)
                loading.load(made, Path(scratch) / "sqlite", load)
                found = measure(Path(scratch), made, words.repeats)
    if words.json:
        print(json.dumps(found))
        return
    print(f"{found['exchanges']:,} exchanges, {found['partners']} partners")
    for name, each in found["pages"].items():
        print(f"{each['p50_ms']:>9} ms p50 {each['p95_ms']:>9} ms p95 {each['ratio']:>7} × {each['kb']:>6} kB  {name}")


def measure(home: Path, url: str, repeats: int) -> dict[str, Any]:
    """The pages over one ledger."""
    now = _prepare(home, url)
    site = Site(home, clock=lambda: now)
    people = Somebody(User("ada", Role.ADMINISTRATOR))
    with site.app.ledger.reading() as connection:
        count = connection.execute(select(func.count()).select_from(tables.exchange)).scalar_one()
        paths = _paths(connection, now)
    pages: dict[str, Any] = {}
    application = build(site, people, PAGES)
    warm(site)
    with TestClient(application) as browser:
        for name, path in paths.items():
            pages[name] = _asked(browser, path, repeats)
    bare = pages["a form"]["p50_ms"]
    for each in pages.values():
        each["ratio"] = round(each["p50_ms"] / bare, 1)
    site.close()
    return {
        "exchanges": count,
        "partners": PARTNERS,
        "slowest_p95_ms": max(e["p95_ms"] for e in pages.values()),
        "pages": pages,
    }


def _prepare(home: Path, url: str) -> int:
    """A home around the ledger; gives the moment at which the ledger ends."""
    (home / "gateway.toml").write_text(SETTINGS.format(url=url))
    (home / "mail").mkdir(exist_ok=True)
    make_key(home / KEY_FILE)
    engine = open_engine(url)
    upgrade(engine)
    with reading(engine) as connection:
        now = int(connection.execute(select(func.max(tables.event.c.at))).scalar_one())
    engine.dispose()
    with open_app(home) as app:
        profiles = [(each, write_profile(each), "bench.toml") for each in map(partner, map(trader, range(PARTNERS)))]
        app.partners.apply(profiles, by="bench", at=now)
    return now


def _paths(connection: Any, now: int) -> dict[str, str]:
    """The pages, each with what there is to see on it."""
    x, k = tables.exchange.c, tables.business_key.c
    newest = connection.execute(select(x.id, x.partner).where(x.direction == "in").order_by(x.id.desc()).limit(1)).one()
    key = connection.execute(select(k.value).where(k.name == "po").order_by(k.exchange.desc()).limit(1)).scalar_one()
    return {
        "a form": "/partners/new",
        "today": "/",
        "exchanges": "/exchanges",
        "exchanges of a partner": f"/exchanges?q=partner%3D{newest.partner}",
        "exchanges, overdue": "/exchanges?q=overdue",
        "exchanges, a number": f"/exchanges?q={key}",
        "exchanges, part of a number": f"/exchanges?q=po%3D*{key[2:8]}*",
        "exchange": f"/exchanges/{newest.id}",
        "exchange, segments": f"/exchanges/{newest.id}/segments",
        "exchange, acknowledgment": f"/exchanges/{newest.id}/answers",
        "documents": f"/documents?q={key}",
        "acknowledgments": "/acknowledgments",
        "quarantine": "/quarantine",
        "partners": "/partners",
        "partner": f"/partners/{newest.partner}",
        "partner, traffic": f"/partners/{newest.partner}/traffic",
        "partner, numbers": f"/partners/{newest.partner}/numbers",
        "nights": "/nights",
        "alerts": "/alerts",
        "ledger": "/ledger",
        "ledger, changes": "/ledger/changes",
        "reports": "/reports",
    }


def _asked(browser: TestClient, path: str, repeats: int) -> dict[str, Any]:
    """One page, again and again."""
    took, kilobytes = [], 0.0
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        answer = browser.get(path)
        took.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        kilobytes = len(answer.content) / 1000
    first = took.pop(0)  # its template is read then, and nothing is in any cache
    return {
        "first_ms": round(first, 1),
        "p50_ms": round(statistics.median(took), 1),
        "p95_ms": round(percentile(sorted(took), 0.95), 1),
        "kb": round(kilobytes, 1),
    }


if __name__ == "__main__":
    main()
