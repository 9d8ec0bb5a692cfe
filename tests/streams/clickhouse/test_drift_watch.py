"""What the watch finds and says, and that nothing ends it."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.analyzers.drift.traffic import FIRST, traffic, window_rows
from tests.streams.clickhouse.window_columns import window_columns
from tests.waiting import wait_until
from understudy.analyzers.drift.periods import HOURS_OF_DAY
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.drift_watch import DriftWatch
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.clickhouse.tables import WINDOWS, block

DAYS = 15


@pytest.fixture
def connection(clickhouse_url: str, clickhouse_database: str) -> Iterator[ReadConnection]:
    """Traffic up to now of a rollout whose candidate changed, and an old one."""
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    now_h = int(dt.datetime.now(dt.UTC).timestamp()) // 3_600
    later = dt.timedelta(hours=now_h - FIRST - DAYS * HOURS_OF_DAY)
    longer = traffic(np.random.default_rng(6), DAYS, longer=1.8)
    rows = [
        *window_rows(traffic(np.random.default_rng(5), DAYS), "stable"),
        *window_rows(longer, "candidate", partition=1),
    ]
    recent = [msgspec.structs.replace(row, window_start=row.window_start + later) for row in rows]
    old = window_rows(longer, "candidate", "old")
    made = block(WINDOWS, window_columns([*recent, *old]))
    client.raw_insert(made.table, made.columns, made.payload, fmt="Native")
    roll_up(client)
    client.close()
    made_connection = ReadConnection(f"{clickhouse_url}?database={clickhouse_database}")
    yield made_connection
    made_connection.close()


def test_what_begins_and_ends_is_logged_once(connection: ReadConnection) -> None:
    watch = DriftWatch()
    with capture_logs() as logs:
        watch.look(connection)
        watch.look(connection)
    assert watch.looks.keys() == {("checkout", "stable"), ("checkout", "candidate")}
    assert not watch.looks["checkout", "stable"].alerts
    (said,) = logs
    assert (said["event"], said["rollout_id"], said["side"]) == (
        "drift.found", "checkout", "candidate",
    )  # fmt: skip
    assert said["metrics"] == ["answer_length"]
    client = connect(connection._url, create=False)
    client.command("TRUNCATE TABLE rollup_1h")
    client.close()
    with capture_logs() as logs:
        watch.look(connection)
    assert [(one["event"], one["side"]) for one in logs] == [("drift.ended", "candidate")]
    assert watch.looks == {}


class Away:
    """A ClickHouse that does not answer the first time, and knows no rollout the second."""

    def __init__(self) -> None:
        self.asked = 0

    def rows(self, sql: str, parameters: Any) -> list[Any]:
        self.asked += 1
        if self.asked == 1:
            raise SinkBusy("away")
        return []

    def close(self) -> None:
        """Nothing is held."""


def test_a_look_that_fails_is_tried_again() -> None:
    away, watch, stop = Away(), DriftWatch(), threading.Event()
    looking = threading.Thread(target=watch.run, args=(lambda: away, 0.01, stop))
    with capture_logs() as logs:
        looking.start()
        wait_until(lambda: watch.looked_at_s is not None, "a second look")
        stop.set()
        looking.join()
    assert logs[0] == {"event": "drift.failed", "error": "away", "log_level": "warning"}
