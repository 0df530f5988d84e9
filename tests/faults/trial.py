"""One trial: an evening of mail, batches that are disturbed, batches that are not, and what the checker says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from faults import checker
from faults.batches import Batch, Forks, start_command
from faults.home import Options, arguments, begin, fresh_home, make_template
from faults.injector import Injection, Injector
from faults.world import World

CALM = 3  # undisturbed batches at most until everything is at rest: collect and send, what comes back, and one more
PATIENCE = 60  # seconds that a batch may take
_IN_USE = 75  # a process that outlived its parent still has the home


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial came to. ``disturbed``: whether anything was in fact disturbed."""

    name: str
    violations: tuple[str, ...]
    disturbed: bool
    copies: int = 0  # mails that partners got twice, all of them announced
    held: int = 0  # exchanges left in doubt for a person
    exits: tuple[int, ...] = ()


@dataclass
class Bench:
    """Where trials run: one world, one template of a home, one injector; a trial after the other."""

    place: Path
    options: Options = field(default_factory=Options)
    world: World | None = None  # shared with other benches, or our own
    template: Path | None = None  # a home that mails through ``world``; made here where there is none
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self._own = self.world is None
        self.world = self.world or World()
        self.injector = Injector(self.place)
        self.template = self.template or make_template(self.place / "template", self.world, self.options)
        self.home = self.place / "home"
        self._said = self.place / "said"
        self._forks = Forks(self.options, self.injector.library, self._said)
        self.found: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.close()
        if self._own:
            self.world.__exit__()

    # ------------------------------------------------------------ batches

    def begin(self) -> None:
        """A new home, and the partners' mails."""
        begin(self.world)
        fresh_home(self.template, self.home)

    def start(self, more: Mapping[str, str] | None = None, prefix: Sequence[str] | None = None) -> Batch:
        """A batch, in a process group of its own. With a prefix it is the gateway's command, else a quick fork."""
        if prefix is None:
            return self._forks.start(arguments(self.home), more or {})
        return start_command([*prefix, *self.options.command(self.home)], more or {}, self._said)

    def batch(self, more: Mapping[str, str] | None = None, prefix: Sequence[str] | None = None) -> tuple[int, str]:
        """A whole batch: its exit code, and what it said."""
        return self.start(more, prefix).end(PATIENCE)

    def count(self, calls: tuple[str, ...] | None = None, *, batches: int = 1) -> list[str]:
        """The calls that an undisturbed batch makes: the last of ``batches``."""
        self.begin()
        for _ in range(batches):
            code, said = self.batch(
                self.injector.environment(None, calls) if calls else self.injector.environment(None)
            )
            assert code == 0, said
        return self.injector.calls()

    # ------------------------------------------------------------ trials

    def injected(self, *injections: Injection) -> Verdict:
        """Batches that go wrong at a call each, one after the other; the later ones are recoveries of the earlier."""
        fired = False

        def disturb() -> list[int]:
            nonlocal fired
            exits = []
            for each in injections:
                code, _ = self.batch(self.injector.environment(each))
                fired = fired or self.injector.fired
                exits.append(code)
                self.found += checker.at_once(self.world, self.home)
            return exits

        verdict = self.trial(", then ".join(map(str, injections)), disturb)
        return Verdict(verdict.name, verdict.violations, fired, verdict.copies, verdict.held, verdict.exits)

    def trial(self, name: str, disturb: Callable[[], list[int]]) -> Verdict:
        """Begins, disturbs, lets calm batches run, and checks."""
        self.found: list[str] = []
        self.begin()
        exits = disturb()
        self.recover()
        return self.verdict(name, exits)

    def recover(self) -> None:
        """Batches that nothing disturbs, until everything is at rest."""
        for _ in range(CALM):
            code, said = self.batch()
            until = time.monotonic() + PATIENCE
            while code == _IN_USE and time.monotonic() < until:
                time.sleep(0.05)
                code, said = self.batch()
            if code not in {0, 65} or (code == 65 and "doubt" not in said and self._held() == 0):
                self.found.append(f"R: an undisturbed batch ended with {code}: {said.strip()[-300:]}")
                return
            box = self.home / "outbox" / "acme"
            if not self.world.box and not [*box.glob("*.x12"), *box.glob(".submitting/*/*")]:
                # Whatever came back meanwhile was in the box; nothing waits, so nothing more will happen.
                with checker.ledger(self.home) as connection:
                    if not connection.execute("SELECT 1 FROM outgoing WHERE state != 'held'").fetchone():
                        return

    def verdict(self, name: str, exits: Sequence[int] = ()) -> Verdict:
        """What the checker says of the end."""
        violations = [*self.found, *checker.in_the_end(self.world, self.home)]
        copies = len(self.world.taken) - len({each.raw for each in self.world.taken})
        return Verdict(name, tuple(dict.fromkeys(violations)), True, copies, self._held(), tuple(exits))

    def _held(self) -> int:
        with checker.ledger(self.home) as connection:
            return int(connection.execute("SELECT count(*) FROM outgoing WHERE state = 'held'").fetchone()[0])
