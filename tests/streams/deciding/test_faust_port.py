"""Faust's side of the ports, with stand-ins for what Faust does not let one make alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, RequestTimedOutError
from faust.exceptions import ConsumerNotStarted, ProducerSendError
from faust.types import TP

from understudy.schemas.topics import understudy_topics
from understudy.streams.deciding.faust_patches.unreadable_batches import UnreadableValue
from understudy.streams.deciding.faust_port import FaustMessage, FaustPort
from understudy.streams.deciding.ports import RetriableSendError
from understudy.streams.kafka.partitioner import partition_of
from understudy.streams.kafka.unreadable import UnreadableBatch

NAMES = understudy_topics("")
WINDOWS = NAMES.windows.name
PARTITIONS = 16


class Topic:
    """A topic whose broker takes a message or fails, as Faust reports it."""

    def __init__(self, name: str, failure: BaseException | None = None) -> None:
        self.name, self.failure = name, failure
        self.sent: list[dict[str, Any]] = []

    def get_topic_name(self) -> str:
        return self.name

    async def send(self, **message: Any) -> asyncio.Future[None]:
        delivered = asyncio.get_running_loop().create_future()
        if self.failure is None:
            self.sent.append(message)
            delivered.set_result(None)
        else:
            error = ProducerSendError("not sent")
            error.__cause__ = self.failure
            delivered.set_exception(error)
        return delivered


class Consumer:
    """A consumer that holds two partitions of windows."""

    def __init__(self) -> None:
        self.is_away = False
        self.partitions: int | None = PARTITIONS
        self.unacked: set[Any] = set()
        self._committed_offset = {TP(WINDOWS, 0): 4, TP(NAMES.rollouts.name, 1): 2}

    def assignment(self) -> set[TP]:
        return {TP(WINDOWS, 0), TP(WINDOWS, 1), TP(NAMES.rollouts.name, 0)}

    async def highwaters(self, *places: TP) -> dict[TP, int | None]:
        if self.is_away:
            raise ConnectionError
        return {place: 10 if place.partition < 2 else 3 for place in places}

    def topic_partitions(self, topic: str) -> int | None:
        return self.partitions

    async def earliest_offsets(self, *places: TP) -> dict[TP, int | None]:
        return dict.fromkeys(places, 3)


class App:
    """As much of a Faust app as the port asks for."""

    def __init__(self) -> None:
        self.consumer = Consumer()
        self.topics: dict[str, Topic] = {}

    def topic(self, name: str, **_: Any) -> Topic:
        return self.topics.setdefault(name, Topic(name))


def make() -> tuple[App, FaustPort, Any]:
    app = App()
    table = SimpleNamespace(changelog_topic=Topic("changelog"), data={})
    return app, FaustPort(app, NAMES, table), table  # type: ignore[arg-type]


def test_a_failure_that_may_pass_differs_from_a_refusal() -> None:
    app, port, _ = make()
    topic = app.topics[NAMES.decisions.name]
    topic.failure = RequestTimedOutError()
    with pytest.raises(RetriableSendError, match=topic.name):
        asyncio.run(port.emit(b"helpdesk", b"{}"))
    topic.failure = MessageSizeTooLargeError()
    with pytest.raises(ProducerSendError):
        asyncio.run(port.emit(b"helpdesk", b"{}"))
    topic.failure = None
    asyncio.run(port.emit(b"helpdesk", b"{}"))
    assert topic.sent == [{"key": b"helpdesk", "value": b"{}"}]


def test_a_snapshot_is_in_the_table_only_when_the_changelog_has_it() -> None:
    _, port, table = make()
    table.changelog_topic.failure = RequestTimedOutError()
    with pytest.raises(RetriableSendError):
        asyncio.run(port.save(3, {b"helpdesk/0": b"part", b"helpdesk/1": b"part"}))
    assert table.data == {}
    table.changelog_topic.failure = None
    asyncio.run(port.save(3, {b"helpdesk": b"snapshot", b"helpdesk/0": b"part"}))
    assert table.data == {b"helpdesk": b"snapshot", b"helpdesk/0": b"part"}
    asyncio.run(port.save(3, {b"helpdesk": None}))
    assert table.data == {b"helpdesk/0": b"part"}
    assert [(one["partition"], one["value"]) for one in table.changelog_topic.sent] == [
        (3, b"snapshot"), (3, b"part"), (3, None),
    ]  # fmt: skip


def test_messages_as_the_processor_sees_them() -> None:
    app, port, _ = make()
    acknowledged: list[bool] = []
    message = SimpleNamespace(topic=WINDOWS, partition=1, offset=5, timestamp=1_772_366_400.123)
    event = SimpleNamespace(
        app=app, message=message, key=b"helpdesk", value=b"{",
        ack=lambda: acknowledged.append(True),
    )  # fmt: skip
    app.consumer.unacked = _Identities([message])
    seen = FaustMessage(event)
    assert (seen.topic, seen.partition, seen.offset) == (WINDOWS, 1, 5)
    assert seen.home == partition_of(b"helpdesk", PARTITIONS) != 1
    app.consumer.partitions = None
    assert FaustMessage(event).home == 1, "nobody is accused before the number is known"
    assert seen.timestamp_ms == 1_772_366_400_123
    seen.acknowledge()
    assert acknowledged == [True]
    seen.abandon()
    assert app.consumer.unacked == set()
    asyncio.run(port.write_dead_letter(seen, "invalid_windows", "no JSON"))
    (letter,) = app.topics[NAMES.dead_letters.name].sent
    assert (letter["key"], letter["value"]) == (b"helpdesk", b"{")
    assert ("offset", b"5") in letter["headers"]


def test_a_batch_that_cannot_be_unpacked_has_no_value_and_the_place_of_its_first_record() -> None:
    app, port, _ = make()
    message = SimpleNamespace(topic=WINDOWS, partition=1, offset=8, timestamp=1_772_366_400.123)
    batch = UnreadableBatch(5, 9, "too large")
    event = SimpleNamespace(app=app, message=message, key=None, value=UnreadableValue.of(batch))
    seen = FaustMessage(event)
    assert (seen.value, seen.unreadable, seen.offset) == (None, batch, 8)
    asyncio.run(port.write_dead_letter(seen, "unreadable", "offsets 5 to 8"))
    (letter,) = app.topics[NAMES.dead_letters.name].sent
    assert (letter["key"], letter["value"]) == (b"", None)
    assert ("offset", b"5") in letter["headers"]


class _Identities(set[Any]):
    """A set of things without a hash."""

    def __init__(self, things: list[Any]) -> None:
        super().__init__(map(id, things))

    def discard(self, thing: Any) -> None:
        super().discard(id(thing))


def test_offsets_of_records() -> None:
    _, port, _ = make()
    assert asyncio.run(port.end_offset(0)) == 10
    assert asyncio.run(port.end_offset(2)) == 0
    assert port.committed_offset(1) == 2
    assert port.committed_offset(7) == 0


def test_lags_count_what_is_neither_applied_nor_committed_nor_deleted() -> None:
    app, port, _ = make()
    assert asyncio.run(port.window_lags({})) == {0: 6, 1: 7}
    assert asyncio.run(port.window_lags({(WINDOWS, 1): 9})) == {0: 6, 1: 1}
    app.consumer.is_away = True
    assert asyncio.run(port.window_lags({})) is None


def test_lags_are_unknown_before_the_consumer_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches over deciding would end with an error, and nobody would see it."""

    def refuse(_: Consumer) -> set[TP]:
        raise ConsumerNotStarted

    monkeypatch.setattr(Consumer, "assignment", refuse)
    _, port, _ = make()
    assert asyncio.run(port.window_lags({})) is None
