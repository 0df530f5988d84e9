"""Long looks at a home that no page waits for: each in a thread, one of a name at a time, telling how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from msgspec import Struct
from msgspec.structs import replace

from gateway.app import App, open_app
from gateway.console.site import Site
from gateway.errors import GatewayError, unexpected

Progress = Callable[[str, int, int], None]
"""Told what is being read, how far it has come, and of how many."""
Work = Callable[[App, Progress], object]


class Task(Struct):
    """One long look. Times are ms since 1970 UTC; ``result`` or ``fault`` is there once it has ended."""

    name: str
    by: str
    began_at: int
    what: str = ""
    done: int = 0
    total: int = 0
    ended_at: int | None = None
    result: object = None
    fault: GatewayError | None = None

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.ended_at is None

    @property
    def percent(self) -> int | None:
        """How far it is in what it reads now; None where nobody knows."""
        return min(100, 100 * self.done // self.total) if self.total else None


class Tasks:
    """The long looks of one home, the newest of each name.

    Args:
        site: the home.
    """

    def __init__(self, site: Site) -> None:
        self._home, self._clock = site.home, site.clock
        self._guard = threading.Lock()
        self._known: dict[str, Task] = {}

    def get(self, name: str) -> Task | None:
        """How the newest of that name stands; None where nobody asked for one since the console began."""
        task = self._known.get(name)
        if task is None:
            return None
        ended_at = task.ended_at  # first: once it stands there, so does the result
        return replace(task, ended_at=ended_at)

    def start(self, name: str, by: str, work: Work) -> bool:
        """Begins one; false where one of that name goes on.

        Args:
            name: what it is.
            by: who wants it.
            work: what is done, with a home of its own that is opened for it, and with what it tells its progress to.
        """
        with self._guard:
            before = self._known.get(name)
            if before is not None and before.is_running:
                return False
            task = self._known[name] = Task(name, by, self._clock())
        # A daemon: it only reads, so that nothing is lost when the console ends.
        threading.Thread(target=self._run, args=(task, work), name=f"look {name}", daemon=True).start()
        return True

    def _run(self, task: Task, work: Work) -> None:
        def told(what: str, done: int, total: int) -> None:
            task.what, task.done, task.total = what, done, total

        try:
            with open_app(self._home, actor=task.by, clock=self._clock) as app:
                task.result = work(app, told)
        except GatewayError as fault:
            task.fault = fault
        except Exception as problem:  # noqa: BLE001 - whoever asked for it reads of it on the page
            task.fault = unexpected(task.name, problem)
        finally:
            task.ended_at = self._clock()


_guard = threading.Lock()
_of_site: WeakKeyDictionary[Site, Tasks] = WeakKeyDictionary()


def tasks(site: Site) -> Tasks:
    """The long looks of that home."""
    with _guard:
        if site not in _of_site:
            _of_site[site] = Tasks(site)
        return _of_site[site]
