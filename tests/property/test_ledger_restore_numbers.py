"""Whatever is backed up, lost and put back, and in whatever order: no control number is given out twice."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from builders.stage import ACME, OURS, Stage
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from gateway.flow import checkpoint
from gateway.flow.restore import Wish, restore
from gateway.flow.restore_evidence import Outcome
from gateway.ledger import counters
from gateway.ledger.backup import Order, back_up
from gateway.ledger.backup_files import Nobody
from gateway.ledger.database import open_engine
from gateway.ledger.recording import Ledger
from partners.numbering import LAST, next_number

PAIR = ("acme", OURS, "ZZ:ACMERETAIL", "interchange")
MINUTE = 60_000


class Numbers(RuleBasedStateMachine):
    """A home that takes numbers, is backed up, loses its ledger in some way, and gets a backup back."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="numbers"))
        (self.home / "home").mkdir()
        self.stage = Stage(self.home / "home", profiles=[ACME])
        self.used: list[int] = []
        self.backups: list[tuple[Path, int]] = []

    @initialize(first=st.sampled_from([1, 7, LAST - 4]))
    def begin(self, first: int) -> None:
        """The count of a partner begins somewhere, perhaps just before it wraps."""
        with self.stage.ledger.transaction() as recorder:
            count = counters.locked(recorder.connection, *PAIR[:3])[PAIR[3]]
            counters.put(recorder.connection, replace(count, next=first))
            recorder.event("numbers-started", partner="acme", next=first)
        checkpoint.keep(self.stage.directory, self.stage.ledger)

    @rule(count=st.integers(1, 30), said=st.booleans())
    def take(self, count: int, said: bool) -> None:
        """Numbers are used; ``said``: a command ended, or sent something, so that the checkpoint knows of them."""
        for _ in range(count):
            with self.stage.ledger.transaction() as recorder:
                self.used.append(recorder.take_number(*PAIR, next_number))
                recorder.event("numbered", partner="acme", control_number=self.used[-1])
        self.stage.now += MINUTE
        if said:
            checkpoint.keep(self.stage.directory, self.stage.ledger)

    @precondition(lambda self: len(self.backups) < 4)
    @rule()
    def back_up(self) -> None:
        """A backup is made."""
        target = self.home / f"backup{len(self.backups)}"
        back_up(self.stage.engine, Order(target, self.stage.directory, self.stage.now), Nobody())
        self.backups.append((target, len(self.used)))

    @precondition(lambda self: self.backups)
    @rule(which=st.integers(0, 3), lost=st.sampled_from(["nothing", "ledger", "damaged"]), witness=st.booleans())
    def restore(self, which: int, lost: str, witness: bool) -> None:
        """The ledger is lost, or not, perhaps with its checkpoint, and one of the backups is put back."""
        backup, _ = self.backups[which % len(self.backups)]
        self.stage.engine.dispose()
        ledger = self.stage.directory / "ledger.db"
        if lost == "ledger":
            for file in self.stage.directory.glob("ledger.db*"):
                file.unlink()
        elif lost == "damaged":
            data = ledger.read_bytes()
            ledger.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
        if not witness:
            (self.stage.directory / checkpoint.FILE_NAME).unlink(missing_ok=True)
        wish = Wish(backup, "ann", "a trial", replace=True)
        url = f"sqlite:///{ledger}"
        done = restore(self.stage.settings, url, wish, self.opened, Nobody())
        if lost != "nothing" or not witness:
            assert done.outcome is Outcome.UNKNOWN
        for file in self.stage.directory.glob("*replaced*"):
            file.unlink()

    @contextmanager
    def opened(self, url: str):
        """A context upon the staged ledger."""
        engine = open_engine(url)
        try:
            yield replace(self.stage.context(), ledger=Ledger(engine, lambda: self.stage.now))
        finally:
            engine.dispose()

    @invariant()
    def no_number_twice(self) -> None:
        """What partners saw once they never see again."""
        assert len(set(self.used)) == len(self.used)

    @invariant()
    def the_next_one_is_new(self) -> None:
        """Nor will they."""
        rows = [row for row in self.stage.rows("control_number") if row["level"] == "interchange"]
        assert not {row["next"] for row in rows} & set(self.used)

    def teardown(self) -> None:
        """Nothing stays open or on the disk."""
        self.stage.engine.dispose()
        if self.stage.engine in Stage.opened:
            Stage.opened.remove(self.stage.engine)
        shutil.rmtree(self.home, ignore_errors=True)


Numbers.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # making a failure shorter would take minutes
)
test_no_number_is_given_out_twice = Numbers.TestCase


def test_backups_that_are_restored_again_and_again_jump_past_what_was_used_in_between():
    """Everything but the backups is lost twice within minutes: what is noted beside them is all that is known."""
    home = Numbers()
    try:
        home.begin(7)
        home.back_up()
        home.take(10, said=False)
        home.restore(which=0, lost="damaged", witness=False)
        home.restore(which=0, lost="nothing", witness=False)
        home.take(9, said=False)
        home.restore(which=0, lost="nothing", witness=False)
        home.restore(which=0, lost="ledger", witness=False)
        home.the_next_one_is_new()
        home.back_up()
        home.restore(which=1, lost="damaged", witness=False)
        home.the_next_one_is_new()
        home.take(30, said=False)
        home.no_number_twice()
    finally:
        home.teardown()
