"""Everything works the same over HTTP, and survives what can happen to a connection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.http_front import HttpFront
from tests.streams.clickhouse.window_columns import window_columns
from tests.waiting import wait_until
from understudy.streams.clickhouse.comparison_rows import comparison_columns
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.tables import COMPARISONS, WINDOWS, block

pytestmark = pytest.mark.embedded

QUICK = LoadPolicy(batch_age_s=0.01, first_pause_s=0.001, longest_pause_s=0.05)


@pytest.fixture
def front(clickhouse_url: str) -> Iterator[HttpFront]:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    with HttpFront(clickhouse_url.removeprefix("chdb://")) as front:
        yield front


@pytest.fixture
def database(front: HttpFront) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    client = connect(front.url, database=name)
    migrate(client)
    yield name
    front.open.set()
    client.command(f"DROP DATABASE {name}")
    client.close()


def comparisons(n: int, first: int = 0) -> Block:
    rng = np.random.default_rng(first)
    identity = samples.identity(rng, n, first=first)
    return block(COMPARISONS, comparison_columns(identity, stable=samples.side_measures(rng, n)))


def count(front: HttpFront, database: str, table: str) -> int:
    client = connect(front.url, database=database)
    try:
        return int(client.query(f"SELECT count() FROM {table} FINAL").result_rows[0][0])
    finally:
        client.close()


def loader(front: HttpFront, database: str, timeout_s: int = 10) -> Loader:
    def open_client() -> Client:
        return connect(front.url, database=database, timeout_s=timeout_s)

    return Loader(open_client, QUICK)


def test_migrated_and_loaded(front: HttpFront, database: str) -> None:
    row = samples.window_row(np.random.default_rng(1))
    with loader(front, database) as loading:
        loading.put([comparisons(300), block(WINDOWS, window_columns([row]))], {0: 300})
        assert loading.flush(10.0)
        assert loading.flushed(0) == 300
    assert count(front, database, COMPARISONS) == 300
    assert count(front, database, "slices") == 1
    inserts = [p for statement, p in front.requests if "INSERT INTO comparisons" in statement]
    assert inserts[0]["database"] == database
    assert inserts[0]["async_insert"] == "0"
    assert inserts[0]["optimize_on_insert"] == "0"
    assert all("session_id" not in parameters for _, parameters in front.requests)


@pytest.mark.parametrize("refusal", [(503, 0), (500, 252), (500, 241), (502, 0)])
def test_a_busy_server_is_tried_again(
    front: HttpFront, database: str, refusal: tuple[int, int]
) -> None:
    with loader(front, database) as loading:
        front.refuse_inserts_with = refusal
        loading.put([comparisons(20)], {0: 20})
        assert not loading.flush(0.3)
        wait_until(lambda: not loading.healthy, "the refusal to be noticed")
        front.refuse_inserts_with = None
        assert loading.flush(10.0)
        assert loading.healthy
    assert count(front, database, COMPARISONS) == 20


def test_a_wrong_insert_stops_the_loading(front: HttpFront, database: str) -> None:
    loading = loader(front, database).start()
    front.refuse_inserts_with = (404, 60)
    loading.put([comparisons(1)], {0: 1})
    with pytest.raises(SinkBroken, match="refused"):
        loading.flush(10.0)
    with pytest.raises(SinkBroken, match="refused"):
        loading.close(1.0)


def test_an_answer_that_is_lost_stores_nothing_twice(front: HttpFront, database: str) -> None:
    front.cut_inserts = 5
    with loader(front, database) as loading:
        loading.put([comparisons(50)], {0: 50})
        assert loading.flush(10.0)
        assert loading.counters.failures > 0
    assert count(front, database, COMPARISONS) == 50


def test_a_hanging_server_times_out_and_is_tried_again(front: HttpFront, database: str) -> None:
    with loader(front, database, timeout_s=1) as loading:
        loading.put([comparisons(1)], {0: 1})
        assert loading.flush(10.0)
        front.open.clear()
        loading.put([comparisons(10, 10)], {0: 20})
        assert not loading.flush(2.0)
        assert not loading.healthy
        assert loading.flushed(0) == 1
        front.open.set()
        assert loading.flush(10.0)
        assert loading.flushed(0) == 20
    assert count(front, database, COMPARISONS) == 11


def test_a_server_that_does_not_answer_at_all(front: HttpFront) -> None:
    front.open.clear()
    started = time.monotonic()
    with pytest.raises(SinkBusy, match="cannot be reached") as told:
        connect(front.url, timeout_s=1)
    assert time.monotonic() - started < 5.0
    assert "secret" not in str(told.value)
