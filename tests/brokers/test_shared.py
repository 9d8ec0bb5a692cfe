"""Processes of one run share a broker: one starts it, and ends it after the last one is done."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.brokers import shared
from tests.brokers.contract import NoBroker
from tests.brokers.existing import ExistingBroker
from tests.waiting import DEADLINE_S, stays_true, wait_until


class CountedBroker(ExistingBroker):
    """Pretends to run, and notes its end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"127.0.0.1:{number}", f"broker {number}")
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[CountedBroker]:
    """All brokers that were started."""
    brokers: list[CountedBroker] = []

    def start() -> CountedBroker:
        brokers.append(CountedBroker(len(brokers)))
        return brokers[-1]

    monkeypatch.setattr(shared, "start_shared_broker", start)
    return brokers


def test_the_second_takes_what_the_first_started(
    started: list[CountedBroker], tmp_path: Path
) -> None:
    with shared.broker_of_run(tmp_path) as first, shared.broker_of_run(tmp_path) as second:
        assert first is started[0]
        assert second.bootstrap_servers == first.bootstrap_servers
        assert second.describe() == first.describe()
    assert len(started) == 1


def test_the_first_ends_it_after_the_last_one(started: list[CountedBroker], tmp_path: Path) -> None:
    is_first_done = threading.Event()

    def first() -> None:
        with shared.broker_of_run(tmp_path):
            is_first_done.wait(DEADLINE_S)

    thread = threading.Thread(target=first)
    thread.start()
    wait_until((tmp_path / "kafka-broker").exists, "the first has started it")
    with shared.broker_of_run(tmp_path):
        is_first_done.set()
        stays_true(lambda: not started[0].is_closed, "the broker runs", for_s=0.2)
    thread.join(DEADLINE_S)
    assert started[0].is_closed


def test_one_that_comes_after_the_end_starts_another(
    started: list[CountedBroker], tmp_path: Path
) -> None:
    for _ in range(2):
        with shared.broker_of_run(tmp_path):
            pass
    assert [broker.is_closed for broker in started] == [True, True]


def test_everyone_is_told_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def start() -> CountedBroker:
        raise NoBroker("no Java")

    monkeypatch.setattr(shared, "start_shared_broker", start)
    for _ in range(2):
        with pytest.raises(NoBroker, match="no Java"), shared.broker_of_run(tmp_path):
            pass
