"""The loader inserts everything once that counts, holds what it cannot, and says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.failing import FailingClient
from tests.streams.clickhouse.window_columns import window_columns
from tests.waiting import stays_true, wait_until
from understudy.streams.clickhouse.comparison_rows import comparison_columns, unmatched_columns
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.tables import COMPARISONS, UNMATCHED, WINDOWS, block

QUICK = LoadPolicy(batch_age_s=0.01, first_pause_s=0.001, longest_pause_s=0.01)
AWAY = OperationalError("connection refused")
NO_TABLE = DatabaseError("no such table", code=60)


def comparisons(n: int, first: int = 0) -> Block:
    rng = np.random.default_rng(first)
    identity = samples.identity(rng, n, first=first)
    return block(COMPARISONS, comparison_columns(identity, stable=samples.side_measures(rng, n)))


def windows(version: int) -> Block:
    row = samples.window_row(np.random.default_rng(version), version=version)
    return block(WINDOWS, window_columns([row]))


def unmatched(n: int) -> Block:
    rng = np.random.default_rng(n)
    return block(UNMATCHED, unmatched_columns(samples.unmatched_sides(rng, n)))


def rows(client: Client, table: str) -> int:
    return int(client.query(f"SELECT count() FROM {table} FINAL").result_rows[0][0])


def eventually(condition: Callable[[], bool]) -> None:
    wait_until(condition, "the loader has got so far", poll_s=0.002)


@contextmanager
def running(failing: FailingClient, policy: LoadPolicy = QUICK) -> Iterator[Loader]:
    loader = Loader(failing.as_client, policy).start()
    try:
        yield loader
    finally:
        failing.gate.set()
        failing.down = None
        try:
            loader.close(10.0)
        except SinkBroken:
            assert not loader.healthy


@pytest.fixture
def failing(client: Client) -> FailingClient:
    return FailingClient(client)


def test_everything_put_arrives(client: Client, failing: FailingClient) -> None:
    with running(failing) as loader:
        for first in range(0, 300, 100):
            loader.put([comparisons(100, first), windows(first)], {0: first + 100})
        loader.put([unmatched(5)], {1: 5})
        assert loader.flush(10.0)
        assert (loader.flushed(0), loader.flushed(1), loader.flushed(2)) == (300, 5, -1)
        assert loader.counters.rows == 308
        assert loader.buffered_bytes == 0
    assert (rows(client, COMPARISONS), rows(client, UNMATCHED), rows(client, WINDOWS)) == (
        300,
        5,
        1,
    )
    assert failing.closed == 1


def test_age_alone_brings_rows_in(client: Client, failing: FailingClient) -> None:
    with running(failing) as loader:
        loader.put([comparisons(3)], {0: 3})
        eventually(lambda: loader.flushed(0) == 3)
    assert rows(client, COMPARISONS) == 3


def test_rows_wait_for_company(failing: FailingClient) -> None:
    with running(failing, LoadPolicy(batch_age_s=3_600.0, batch_rows=100)) as loader:
        for first in range(0, 90, 30):
            loader.put([comparisons(30, first)], {0: first + 30})
        stays_true(lambda: loader.counters.batches == 0, "rows wait", for_s=0.05)
        loader.put([comparisons(30, 90)], {0: 120})
        eventually(lambda: loader.flushed(0) == 120)
        assert loader.counters.batches == 1


def test_a_failed_insert_is_tried_again(client: Client, failing: FailingClient) -> None:
    failing.failures = [AWAY, DatabaseError("too many parts", code=252), TimeoutError("slow")]
    with running(failing) as loader:
        loader.put([comparisons(10)], {0: 10})
        assert loader.flush(10.0)
        assert loader.flushed(0) == 10
        assert loader.healthy
        assert (loader.counters.failures, loader.counters.retries) == (3, 3)
    assert rows(client, COMPARISONS) == 10


def test_an_insert_that_failed_after_all_is_there_once(
    client: Client, failing: FailingClient
) -> None:
    failing.fails_after_inserting = True
    failing.failures = [TimeoutError("the answer was lost")] * 2
    with running(failing) as loader:
        loader.put([comparisons(10), windows(4), unmatched(3)], {0: 10})
        assert loader.flush(10.0)
    assert (rows(client, COMPARISONS), rows(client, WINDOWS), rows(client, UNMATCHED)) == (10, 1, 3)


@pytest.mark.slow
def test_clickhouse_down_for_longer_than_the_buffer(client: Client, failing: FailingClient) -> None:
    """What did not fit is read again; meanwhile positions stay and memory is bounded."""
    failing.down = AWAY
    bound = 20 * len(comparisons(10).payload)
    policy = LoadPolicy(
        batch_age_s=0.01, first_pause_s=0.001, longest_pause_s=0.01, buffer_bytes=bound
    )
    with running(failing, policy) as loader:
        refused_at = None
        for first in range(0, 1000, 10):
            try:
                loader.put([comparisons(10, first)], {0: first + 10})
            except SinkBusy:
                refused_at = first if refused_at is None else refused_at
            assert loader.buffered_bytes <= bound
        assert refused_at is not None
        eventually(lambda: not loader.healthy)
        assert loader.flushed(0) == -1
        assert not loader.flush(0.05)
        failing.down = None
        eventually(lambda: loader.healthy and loader.buffered_bytes == 0)
        loader.clear(0)
        assert loader.flushed(0) == -1
        for first in range(0, 1000, 10):
            loader.put([comparisons(10, first)], {0: first + 10})
            loader.flush(10.0)
        assert loader.flushed(0) == 1000
        assert loader.counters.refused > 0
    assert rows(client, COMPARISONS) == 1000


def test_a_hanging_insert_does_not_hold_the_caller(failing: FailingClient) -> None:
    with running(failing) as loader:
        failing.gate.clear()
        loader.put([comparisons(10)], {0: 10})
        started = time.monotonic()
        loader.put([comparisons(10, 10)], {0: 20})
        assert not loader.flush(0.05)
        assert loader.flushed(0) == -1
        assert time.monotonic() - started < 5.0
        failing.gate.set()
        assert loader.flush(10.0)
        assert loader.flushed(0) == 20


def test_closing_keeps_its_deadline(failing: FailingClient) -> None:
    loader = Loader(failing.as_client, QUICK).start()
    failing.down = AWAY
    loader.put([comparisons(1)], {0: 1})
    started = time.monotonic()
    assert not loader.close(0.1)
    assert time.monotonic() - started < 2.0
    eventually(lambda: failing.closed == 1)
    assert loader.flushed(0) == -1


def test_a_broken_sink_stops_everything(failing: FailingClient) -> None:
    with running(failing) as loader:
        failing.failures = [AWAY, NO_TABLE]
        loader.put([comparisons(1)], {0: 1})
        eventually(lambda: not loader.healthy and loader.counters.failures == 2)
        with pytest.raises(SinkBroken, match="no such table"):
            loader.flush(10.0)
        with pytest.raises(SinkBroken, match="no such table"):
            loader.put([comparisons(1)], {0: 2})
        assert loader.flushed(0) == -1


def test_what_clickhouse_refuses_is_broken_not_retried(client: Client) -> None:
    some = comparisons(1)
    loader = Loader(lambda: client, QUICK)
    loader.put([Block("nowhere", some.columns, some.rows, some.payload)], {})
    with pytest.raises(SinkBroken, match="nowhere"):
        loader.flush(10.0)
    assert loader.counters.failures == 1


def test_a_column_that_the_table_lacks_is_broken_not_left_out(client: Client) -> None:
    some = comparisons(1)
    payload = some.payload.replace(b"stable_attempts", b"stable_reprises")
    loader = Loader(lambda: client, QUICK)
    loader.put([Block(some.table, some.columns, some.rows, payload)], {})
    with pytest.raises(SinkBroken, match="stable_reprises"):
        loader.flush(10.0)


def test_it_starts_while_clickhouse_is_away(client: Client, failing: FailingClient) -> None:
    attempts = []

    def open_client() -> Client:
        attempts.append(1)
        if len(attempts) < 4:
            raise SinkBusy("away")
        return failing.as_client()

    with Loader(open_client, QUICK) as loader:
        loader.put([comparisons(5)], {0: 5})
        assert loader.flush(10.0)
    assert len(attempts) == 4
    assert rows(client, COMPARISONS) == 5


def test_pauses_double_up_to_a_limit_and_vary(failing: FailingClient) -> None:
    pauses: list[float] = []
    failing.failures = [AWAY] * 12
    policy = LoadPolicy(first_pause_s=0.5, longest_pause_s=8.0, retry_timeout_s=1e9)
    loader = Loader(failing.as_client, policy, sleep=pauses.append)
    loader.put([comparisons(1)], {0: 1})
    loader.flush(10.0)
    full = [min(0.5 * 2**i, 8.0) for i in range(12)]
    assert all(f / 2 <= pause <= f for pause, f in zip(pauses, full, strict=True))
    assert len(set(pauses[-6:])) == 6


def test_without_a_thread_it_inserts_as_batches_fall_due(
    client: Client, failing: FailingClient
) -> None:
    now_s = 0.0
    loader = Loader(failing.as_client, LoadPolicy(batch_rows=100), clock=lambda: now_s)
    loader.put([comparisons(60)], {0: 60})
    assert loader.counters.batches == 0
    loader.put([comparisons(60, 60)], {0: 120})
    assert loader.flushed(0) == 120
    loader.put([windows(1)], {0: 121})
    now_s = 2.0
    loader.put([], {0: 122})
    assert loader.flushed(0) == 122
    loader.put([unmatched(2)], {0: 123})
    assert loader.close(1.0)
    assert loader.flushed(0) == 123
    assert failing.closed == 1
    assert rows(client, COMPARISONS) == 120


def test_without_a_thread_retries_end(failing: FailingClient) -> None:
    now_s = 0.0

    def sleep(pause_s: float) -> None:
        nonlocal now_s
        now_s += pause_s

    failing.down = AWAY
    loader = Loader(failing.as_client, LoadPolicy(), clock=lambda: now_s, sleep=sleep)
    loader.put([comparisons(1)], {0: 1})
    with pytest.raises(SinkBusy, match="in 60 s"):
        loader.flush(10.0)
    assert 60 < now_s < 90


def test_an_error_inside_the_block_closes_without_waiting(failing: FailingClient) -> None:
    def fail_elsewhere() -> None:
        with Loader(failing.as_client, QUICK) as loader:
            loader.put([comparisons(1)], {0: 1})
            raise RuntimeError("elsewhere")

    failing.down = AWAY
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="elsewhere"):
        fail_elsewhere()
    assert time.monotonic() - started < 2.0
