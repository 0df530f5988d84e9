"""Turns to write: one process at a time, and one thread of it."""

from __future__ import annotations

import os
import time
from threading import Thread

import pytest
from sqlalchemy import create_engine

from gateway.ledger.turns import take_turns, turn


@pytest.fixture
def engine(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield engine
    engine.dispose()


def test_a_process_waits_while_another_writes(engine, tmp_path):
    order = tmp_path / "order"

    def write(who: str) -> None:
        with order.open("a") as file:
            file.write(who)

    with take_turns(engine):
        child = os.fork()
        if not child:
            while not order.exists():
                time.sleep(0.001)
            with turn(engine):
                write("child")
            os._exit(0)
        with turn(engine):
            write("parent ")
            time.sleep(0.2)
            write("parent ")
        os.waitpid(child, 0)
    assert order.read_text() == "parent parent child"


def test_threads_of_one_process_exclude_each_other(engine):
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            with turn(engine):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.remove(number)

    with take_turns(engine):
        threads = [Thread(target=work, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert most == [1] * 80


def test_nobody_waits_where_no_turns_are_taken(engine):
    with turn(engine), turn(engine):
        pass
