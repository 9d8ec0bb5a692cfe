"""Roll-ups say what the windows say, whatever happens to the rows and to those who add them up."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from clickhouse_connect.driver.binding import bind_query
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import OperationalError

from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.samples import NOON, window_row
from tests.streams.clickhouse.window_columns import window_columns
from tests.waiting import wait_until
from understudy.schemas.clickhouse.relations import RELATIONS
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse import rollups
from understudy.streams.clickhouse.rollups import RollupRun, keep_rolled_up, roll_up
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.clickhouse.tables import TABLES, WINDOWS, block

pytestmark = pytest.mark.slow
VIEWS = {"slices_1m": 60, "slices_5m": 300, "slices_1h": 3600}
SUMMED = [
    name
    for name, type_ in RELATIONS["slices"].types.items()
    if type_ in ("UInt64", "Int64", "UInt128", "Float64")
]
FEW = ["events_paired", "stable_requests", "pair_pairs", "candidate_cost_usd_sum"]
"""What most tests look at: half a thousand sums take ClickHouse a second to compile."""
MAPS = [name for name, type_ in RELATIONS["slices"].types.items() if type_.startswith("Map")]
EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def row(rng: np.random.Generator, at_s: int, version: int = 9, **changes: Any) -> WindowRow:
    made = window_row(rng, version=version)
    start = NOON + dt.timedelta(seconds=at_s)
    return msgspec.structs.replace(made, window_start=start, **changes)


@pytest.fixture
def rows() -> list[WindowRow]:
    """Twenty minutes around the change of an hour, in slices, partitions and sources."""
    rng = np.random.default_rng(3)
    return [
        row(rng, at_s, language=language, partition=partition, source=source)
        for at_s in range(-600, 600, 50)
        for language in ("ja", "en")
        for partition, source in ((0, "events"), (1, "events"), (0, "feedback"))
    ]


def store(client: Client, rows: Sequence[WindowRow]) -> None:
    insert(client, block(WINDOWS, window_columns(rows)))


def sums(
    client: Client, view: str, length_s: int, *, of_all: bool = False
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What a view adds up, by slice and interval of this length."""
    names, maps = (SUMMED, MAPS) if of_all else (FEW, MAPS[-1:])
    values = [f"sum({name})" for name in names] + [f"sumMap({name})" for name in maps]
    start = f"toUnixTimestamp(toStartOfInterval(window_start, toIntervalSecond({length_s})))"
    sql = (
        f"SELECT {start} AS at, language, min(closed), {', '.join(values)} FROM {view} "
        "GROUP BY at, language ORDER BY at, language"
    )
    return {
        tuple(key): dict(zip(("closed", *names, *maps), found, strict=True))
        for *key, found in ((*one[:2], one[2:]) for one in client.query(sql).result_rows)
    }


def assert_agree(client: Client, *, of_all: bool = False) -> None:
    """All roll-ups say what the windows say."""
    for view, length_s in VIEWS.items():
        wanted = sums(client, "slices", length_s, of_all=of_all)
        found = sums(client, view, length_s, of_all=of_all)
        assert found.keys() == wanted.keys(), view
        for key, values in found.items():
            for name, value in values.items():
                is_float = isinstance(value, float)
                expected = wanted[key][name]
                assert value == (pytest.approx(expected) if is_float else expected), (view, name)


def test_roll_ups_add_up_partitions_and_sources(client: Client, rows: list[WindowRow]) -> None:
    store(client, rows)
    assert roll_up(client).intervals == 20
    assert_agree(client, of_all=True)
    assert len(sums(client, "slices_1m", 1)) == 2 * 20
    assert len(sums(client, "slices_5m", 1)) == 2 * 4
    assert len(sums(client, "slices_1h", 1)) == 2 * 2


def test_early_rows_are_replaced(client: Client, rows: list[WindowRow]) -> None:
    rng = np.random.default_rng(4)
    early = [row(rng, 0, version=8), row(rng, 10, version=8)]
    store(client, [*rows, *early])
    roll_up(client)
    assert_agree(client)
    store(client, [row(rng, 0, version=11), row(rng, 20, version=10)])
    roll_up(client)
    assert_agree(client)
    at_noon = sums(client, "slices_1m", 60)[int(NOON.timestamp()), "ja"]
    assert at_noon["closed"] is False


def test_rows_twice_and_runs_twice_change_nothing(client: Client, rows: list[WindowRow]) -> None:
    store(client, rows)
    store(client, rows[::-1])
    roll_up(client)
    before = {view: sums(client, view, 1) for view in VIEWS}
    store(client, rows)
    roll_up(client)
    roll_up(client, since=EARLIEST)
    assert {view: sums(client, view, 1) for view in VIEWS} == before
    assert_agree(client)


def test_an_old_copy_of_a_row_does_not_count(client: Client, rows: list[WindowRow]) -> None:
    store(client, rows)
    roll_up(client)
    before = sums(client, "slices_1h", 1)
    store(client, [row(np.random.default_rng(5), 0, version=3)])
    roll_up(client)
    assert sums(client, "slices_1h", 1) == before


def test_a_rebuild_replaces_rows_of_the_same_version(client: Client, rows: list[WindowRow]) -> None:
    """What a release that measures otherwise makes of the same records."""
    store(client, rows)
    roll_up(client)
    rng = np.random.default_rng(6)
    rebuilt = [row(rng, at_s, language="ja") for at_s in range(-600, 600, 50)]
    store(client, rebuilt)
    roll_up(client)
    assert_agree(client)


def test_deleted_base_rows_stay_in_the_roll_ups(client: Client, rows: list[WindowRow]) -> None:
    """As their TTL deletes them, all or some."""
    store(client, rows)
    roll_up(client)
    before = {view: sums(client, view, 1) for view in VIEWS}
    client.command("ALTER TABLE windows DELETE WHERE partition = 1 SETTINGS mutations_sync = 2")
    roll_up(client, since=EARLIEST)
    assert {view: sums(client, view, 1) for view in VIEWS} == before
    client.command("TRUNCATE TABLE windows")
    roll_up(client, since=EARLIEST)
    client.command("TRUNCATE TABLE rollup_1m")
    roll_up(client, since=EARLIEST)
    assert {view: sums(client, view, 1) for view in ("slices_5m", "slices_1h")} == {
        view: before[view] for view in ("slices_5m", "slices_1h")
    }


class Crash(Exception):
    """The process ends."""


class Crashing:
    """A client that fails at the n-th statement that writes."""

    def __init__(self, client: Client, statements: int) -> None:
        self._client = client
        self._left = statements

    def __getattr__(self, name: str) -> Any:
        if name in ("command", "raw_insert"):
            self._left -= 1
            if self._left < 0:
                raise Crash
        return getattr(self._client, name)


@pytest.mark.parametrize("statements", range(8))
def test_a_crash_in_the_middle_loses_nothing(
    client: Client, rows: list[WindowRow], monkeypatch: pytest.MonkeyPatch, statements: int
) -> None:
    """Two chunks of three statements, each with the one that writes down how far it came."""
    monkeypatch.setattr(rollups, "CHUNK_ROWS", len(rows) // 2)
    store(client, rows)
    with pytest.raises(Crash):
        roll_up(Crashing(client, statements))  # type: ignore[arg-type]
    roll_up(client)
    assert_agree(client)


def test_a_run_takes_what_was_loaded_since_the_last(client: Client, rows: list[WindowRow]) -> None:
    client.command("ALTER TABLE windows DELETE WHERE 1 SETTINGS mutations_sync = 2")
    store(client, rows)
    run = roll_up(client)
    assert run.done_until.tzinfo is not None
    later = run.done_until + dt.timedelta(hours=1)
    client.insert(
        "rollup_progress", [["windows", later]], column_names=["name", "done_until"],
        column_type_names=["String", "DateTime64(3, 'UTC')"],
    )  # fmt: skip
    store(client, [row(np.random.default_rng(7), 5000)])
    assert roll_up(client).intervals == 0
    assert roll_up(client, since=EARLIEST).intervals == 21
    assert_agree(client)


def after(run: RollupRun) -> None:
    """Wait until rows that are loaded have another second than the run."""
    wait_until(lambda: dt.datetime.now(dt.UTC) > run.done_until + dt.timedelta(seconds=1), "time")


def test_what_is_as_the_last_run_saw_it_is_left_out(client: Client, rows: list[WindowRow]) -> None:
    store(client, rows)
    first = roll_up(client)
    after(first)
    second = roll_up(client, last=first)  # rows of the first one's second may have come after it
    assert second.intervals in (0, 20)
    after(second)
    store(client, [row(np.random.default_rng(8), 0, version=30)])
    third = roll_up(client, last=second)
    assert third.intervals == 1
    assert_agree(client)
    assert roll_up(client, since=EARLIEST, last=third).intervals >= 20


def test_rows_that_are_seen_late_count(client: Client, rows: list[WindowRow]) -> None:
    """Their insert began before the last run and ended after it."""
    store(client, rows)
    after(roll_up(client))
    last = roll_up(client)
    began = last.done_until - dt.timedelta(seconds=20)
    names = ", ".join(TABLES[WINDOWS])
    client.command(
        f"INSERT INTO windows ({names}, loaded_at) SELECT * REPLACE (version + 100 AS version), "
        f"toDateTime({began.timestamp():.0f}) FROM windows LIMIT 1",
        settings={"insert_allow_materialized_columns": 1},
    )
    assert roll_up(client, last=last).intervals == 1
    assert_agree(client)


def test_a_run_of_another_worker_makes_the_last_one_worthless(
    client: Client, rows: list[WindowRow]
) -> None:
    store(client, rows)
    after(roll_up(client))
    last = roll_up(client)
    roll_up(client)
    assert roll_up(client, last=last).intervals == 20


def test_a_later_time_leaves_nothing_out(client: Client, rows: list[WindowRow]) -> None:
    """Of `--since 1h` after workers have been away for a day."""
    store(client, rows)
    now = roll_up(client, since=dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)).done_until
    assert now.tzinfo is not None
    assert_agree(client)


def touched(n: int, rollout_id: str = "checkout-assistant-2026-11") -> list[rollups.Touched]:
    return [rollups.Touched(rollout_id, 60_000 * minute, 1, EARLIEST) for minute in range(n)]


class Recording:
    """Keeps statements as they would be sent."""

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.in_url: dict[str, str] = {}

    def command(self, sql: str, parameters: dict[str, Any], settings: dict[str, Any]) -> None:
        text, bound = bind_query(sql, parameters)
        self.sent.append(text)
        self.in_url |= bound


@pytest.mark.parametrize("rollout_id", ["checkout-assistant-2026-11", "'" * 128, "🔎" * 128])
def test_many_sparse_intervals_fit_into_statements(rollout_id: str) -> None:
    client = Recording()
    found = touched(5000, rollout_id)
    chunks = list(rollups._chunks(found))
    for chunk in chunks:
        rollups._add_up(client, chunk)  # type: ignore[arg-type]
    assert [one for chunk in chunks for one in chunk] == found
    assert client.in_url == {}
    assert max(len(str(text).encode()) for text in client.sent) < 256 * 1024


def test_a_run_goes_on_after_the_chunks_that_are_done(
    client: Client, rows: list[WindowRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "CHUNK_ROWS", len(rows) // 2)
    monkeypatch.setattr(rollups, "LOOK_BACK", dt.timedelta(0))
    store(client, rows[: len(rows) // 2])
    is_later = "SELECT max(loaded_at) < now('UTC') FROM windows"
    wait_until(lambda: client.query(is_later).result_rows[0][0], "the next second")
    store(client, rows[len(rows) // 2 :])
    with pytest.raises(Crash):
        roll_up(Crashing(client, 4))  # type: ignore[arg-type]
    assert 0 < roll_up(client).intervals < 20
    assert_agree(client)


def test_intervals_of_many_rollouts_and_of_1970(client: Client) -> None:
    """What is invalid before any event has set the clock counts in 1970, without a rollout."""
    rng = np.random.default_rng(8)
    nameless = msgspec.structs.replace(row(rng, 0, rollout_id=""), window_start=EARLIEST)
    store(client, [row(rng, 0), row(rng, 0, rollout_id="it's \\ 🔎"), nameless])
    assert roll_up(client).intervals == 3
    names = client.query("SELECT rollout_id FROM slices_1h ORDER BY rollout_id").result_rows
    assert [name for (name,) in names] == ["", "helpdesk", "it's \\ 🔎"]


def test_a_worker_keeps_them_up_to_date(client: Client, rows: list[WindowRow]) -> None:
    """It goes on after ClickHouse was away."""
    store(client, rows)
    runs: list[RollupRun] = []
    failures = [SinkBusy("away"), SinkBusy("away")]
    stop = threading.Event()

    class Shared:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def close(self) -> None:
            """Other tests go on with it."""

    def open_client() -> Client:
        if failures:
            raise failures.pop()
        return Shared()  # type: ignore[return-value]

    def run() -> None:
        keep_rolled_up(open_client, 0.01, stop, runs.append)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: runs, "a run")
    finally:
        stop.set()
        thread.join()
    assert_agree(client)


def test_a_run_of_another_worker_counts(client: Client, rows: list[WindowRow]) -> None:
    store(client, rows)
    roll_up(client)
    assert rollups._run_if_due(client, 3600.0) is None
    assert rollups._run_if_due(client, 0.0) is not None


def test_what_clickhouse_refuses_is_told_as_an_error_of_the_sink(client: Client) -> None:
    class Away:
        def query(self, *_: object, **__: object) -> None:
            raise OperationalError("away")

    with pytest.raises(SinkBusy):
        roll_up(Away())  # type: ignore[arg-type]
    with suppress(SinkBusy):
        rollups._run_if_due(Away(), 1.0)  # type: ignore[arg-type]
