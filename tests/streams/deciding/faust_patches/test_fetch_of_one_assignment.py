"""Records are taken under the assignment under which the fetch began, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.fetch_of_one_assignment import FetchOfOneAssignment

WINDOWS = TP("understudy.windows", 0)
TIMEOUT_S = 0.2


class Fetcher:
    """aiokafka's, whose records come while somebody waits."""

    _closed = False

    def __init__(self, subscriptions: Any) -> None:
        self._subscriptions = subscriptions
        self.records: dict[TP, list[str]] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self.refusal: Exception | None = None

    def _create_fetch_waiter(self) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()

        def arrive() -> None:
            self.meanwhile()
            self.records[WINDOWS] = ["a record"]
            if self.refusal is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(self.refusal)

        loop.call_soon(arrive)
        return waiter

    async def fetched_records(self, partitions: Any, timeout: float, max_records: int) -> Any:
        assert timeout == 0, "it would wait for another assignment"
        taken, self.records = self.records, {}
        return taken


class Subscriptions:
    reassignment_in_progress = False

    def fetch_context(self) -> Any:
        return nullcontext()


class Thread(FetchOfOneAssignment):
    """Calls run in the thread that makes them."""

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        return await fun(*args, **kwargs)


def thread() -> tuple[Any, Fetcher]:
    subscriptions = Subscriptions()
    fetcher = Fetcher(subscriptions)
    kafka = SimpleNamespace(
        _fetcher=fetcher, _closed=False, _max_poll_records=500, _subscription=subscriptions
    )
    one = bare(
        Thread,
        app=SimpleNamespace(rebalancing_count=3, consumer_generation_id=7),
        consumer=SimpleNamespace(flow_active=True),
        _consumer=kafka,
    )
    return one, fetcher


def fetch(one: Any) -> Any:
    return asyncio.run(one.getmany({WINDOWS}, TIMEOUT_S))


def revoke(one: Any) -> None:
    one.app.rebalancing_count += 1


def assign(one: Any) -> None:
    one.app.consumer_generation_id += 1


def begin_reassignment(one: Any) -> None:
    one._consumer._subscription.reassignment_in_progress = True


def stop_flow(one: Any) -> None:
    one.consumer.flow_active = False


def test_records_that_come_while_it_waits_are_taken() -> None:
    one, _ = thread()
    assert fetch(one) == {WINDOWS: ["a record"]}


@pytest.mark.parametrize("rebalance", [revoke, assign, begin_reassignment, stop_flow])
def test_records_of_a_later_assignment_stay_where_they_are(
    rebalance: Callable[[Any], None],
) -> None:
    one, fetcher = thread()
    fetcher.meanwhile = lambda: rebalance(one)
    assert fetch(one) == {}
    assert fetcher.records == {WINDOWS: ["a record"]}


def test_without_records_it_ends_in_time() -> None:
    one, fetcher = thread()
    fetcher._create_fetch_waiter = lambda: asyncio.get_running_loop().create_future()  # type: ignore[method-assign]
    assert fetch(one) == {}


def test_a_refusal_is_raised() -> None:
    one, fetcher = thread()
    fetcher.refusal = TopicAuthorizationFailedError("understudy.windows")
    with pytest.raises(TopicAuthorizationFailedError):
        fetch(one)
