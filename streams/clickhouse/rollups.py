"""Brings the roll-ups of windows up to date: whole intervals, replaced and never added to.

A run looks for windows that were loaded since the last one, or a little before it, since they may
have been seen later. It adds up the minutes that they lie in from `windows FINAL`, then the longer
intervals from the shorter ones, those loaded first before others, and writes down how far it came
after each chunk. Whatever stops it in between, the next run goes on from there, and several workers
may do so at a time: what a row says follows from what it was made from.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.schemas.clickhouse.rollups import KEY, PROGRESS, ROLLUPS, Rollup
from understudy.schemas.clickhouse.schema import CLOSED, added_up
from understudy.schemas.event_time import EPOCH, to_epoch_ms, zoned
from understudy.streams.clickhouse.native_format import encode_block
from understudy.streams.clickhouse.sink_errors import SinkError, sink_error
from understudy.streams.clickhouse.tables import Columns

log = structlog.get_logger(__name__)

LOOK_BACK: Final = dt.timedelta(seconds=60)
"""Rows are dated when their insert begins and seen when it ends: within 30 s, its timeout. The rest
is for clocks that differ and replicas that trail."""
CHUNK_ROWS: Final = 50_000
"""Of windows, read at once: some hundred MB of memory in ClickHouse."""
CHUNK_KEY_BYTES: Final = 40_000
"""Of the rollouts and times that a statement names, some 800 minutes: they are part of its text,
twice and perhaps escaped, and ClickHouse parses up to 256 KiB, 31 KiB of which are its own."""
STATEMENT_TIMEOUT_S: Final = 120
"""A chunk takes seconds; the client waits for this long, too."""
_SETTINGS: Final[dict[str, Any]] = {
    "max_threads": 1,  # it must not be in the way of inserts and questions
    "max_execution_time": STATEMENT_TIMEOUT_S,
    "compile_aggregate_expressions": 0,  # takes seconds for half a thousand sums
    "max_partitions_per_insert_block": 0,
    "optimize_on_insert": 0,
}
_MS: Final = 1000
_START_BYTES: Final = 20
"""Of a time in milliseconds, quotes and commas."""
_NAME: Final = "windows"
"""Of the row that says how far the roll-ups have come."""

_NOW: Final = f"""
SELECT now64(3, 'UTC'), max(done_until) FROM {PROGRESS.name} FINAL WHERE name = '{_NAME}'
"""
_START: Final = "intDiv(toUnixTimestamp64Milli(w.window_start), {ms}) * {ms}"
_BEFORE: Final = "w.loaded_at < {last:DateTime64(3, 'UTC')}"
_AGAIN: Final = (
    "w.loaded_at >= {again:DateTime64(3, 'UTC')} AND w.loaded_at < {now:DateTime64(3, 'UTC')}"
)
_TOUCHED: Final = f"""
SELECT
    w.rollout_id, {_START.format(ms=ROLLUPS[0].interval_s * _MS)} AS start_ms, count(),
    min(w.loaded_at) AS first_loaded,
    countIf({_BEFORE}), sumIf(w.version, {_BEFORE}), countIf({_AGAIN}), sumIf(w.version, {_AGAIN})
FROM windows AS w
WHERE w.loaded_at >= {{since:DateTime64(3, 'UTC')}}
GROUP BY w.rollout_id, start_ms
ORDER BY first_loaded, w.rollout_id, start_ms
"""


class Touched(NamedTuple):
    """An interval of a rollout in which windows were loaded, how many rows, and since when."""

    rollout_id: str
    start_ms: int
    rows: int
    first_loaded: dt.datetime


class Loaded(NamedTuple):
    """Rows of an interval that were loaded in some time; rows in place of others differ in sum."""

    rows: int
    versions: int


Interval = tuple[str, int]
"""A rollout, and the time in milliseconds at which it starts."""


@dataclass(frozen=True, slots=True)
class RollupRun:
    """What a run has done."""

    intervals: int
    """Minutes of a rollout that were added up."""
    done_until: dt.datetime
    """Rows of windows that were loaded before then are in the roll-ups."""
    loaded: Mapping[Interval, Loaded] = field(default_factory=dict, repr=False)
    """What it saw that had been loaded within `LOOK_BACK` before then."""


def roll_up(
    client: Client, *, since: dt.datetime | None = None, last: RollupRun | None = None
) -> RollupRun:
    """Bring the roll-ups up to date with windows loaded since the last run, or since a time.

    A time later than the last run changes nothing: what was loaded in between would be left out
    for good. With the `last` run, if no other came after it, intervals are left out in which all is
    as that run saw it.

    Raises `SinkBusy` and `SinkBroken`.
    """
    try:
        now, done_until = _progress(client)
        if since is not None or (last is not None and last.done_until != done_until):
            last = None
        due = max(EPOCH, done_until - LOOK_BACK)
        found, loaded = _touched(client, min(since, due) if since else due, now, last)
        done = 0
        for chunk in _chunks(found):
            _add_up(client, chunk)
            done += len(chunk)
            # What was loaded before the next interval's first row lies in those that are done.
            _keep_progress(client, found[done].first_loaded if done < len(found) else now)
        if not found:
            _keep_progress(client, now)
    except ClickHouseError as error:
        raise sink_error(error) from error
    return RollupRun(len(found), now, loaded)


def keep_rolled_up(
    open_client: Callable[[], Client], interval_s: float, stop: threading.Event,
    report: Callable[[RollupRun], object] = lambda run: None,
) -> None:  # fmt: skip
    """Run every so many seconds until the event is set; another worker's run counts, too.

    What fails is logged and tried again: dashboards are behind meanwhile, and nothing is lost.
    """
    client: Client | None = None
    last: RollupRun | None = None
    while not stop.wait(interval_s):
        try:
            client = client or open_client()
            run = _run_if_due(client, interval_s, last)
            if run is not None:
                last = run
                report(run)
        except SinkError as error:
            log.warning("rollups.failed", error=str(error))
            _close(client)
            client = last = None
    _close(client)


def _run_if_due(
    client: Client, interval_s: float, last: RollupRun | None = None
) -> RollupRun | None:
    try:
        now, done_until = _progress(client)
    except ClickHouseError as error:
        raise sink_error(error) from error
    # Half of the interval, or two workers would take turns and each do every second run late.
    if now - done_until < dt.timedelta(seconds=interval_s / 2):
        return None
    return roll_up(client, last=last)


def _close(client: Client | None) -> None:
    if client is not None:
        client.close()


def _progress(client: Client) -> tuple[dt.datetime, dt.datetime]:
    """ClickHouse's time, and how far the roll-ups have come by it."""
    now, done_until = client.query(_NOW).result_rows[0]
    return zoned(now), zoned(done_until)


def _keep_progress(client: Client, done_until: dt.datetime) -> None:
    """The highest counts, so a run that repeats old windows takes nothing back."""
    columns: Columns = {"name": [_NAME], "done_until": [to_epoch_ms(done_until)]}
    kept = encode_block(PROGRESS.name, PROGRESS.types, columns)
    client.raw_insert(kept.table, insert_block=kept.payload, fmt="Native")


def _touched(
    client: Client, since: dt.datetime, now: dt.datetime, last: RollupRun | None
) -> tuple[list[Touched], dict[Interval, Loaded]]:
    """Intervals that are to be added up, and what the next run is to compare with."""
    times = {
        "since": since, "now": now, "again": max(EPOCH, now - LOOK_BACK),
        "last": last.done_until if last is not None else EPOCH,
    }  # fmt: skip
    touched: list[Touched] = []
    loaded: dict[Interval, Loaded] = {}
    result = client.query(_TOUCHED, times, settings=_SETTINGS)
    for name, start, rows, first, *counts in result.result_rows:
        one = Touched(str(name), int(start), int(rows), zoned(first))
        interval = one.rollout_id, one.start_ms
        before, again = Loaded(*counts[:2]), Loaded(*counts[2:])
        if again.rows:
            loaded[interval] = again
        is_known = last is not None and last.loaded.get(interval) == before
        if not is_known or before.rows < one.rows:
            touched.append(one)
    return touched, loaded


def _chunks(found: Sequence[Touched]) -> Iterator[list[Touched]]:
    """Intervals in order, as many as have about `CHUNK_ROWS` rows and fit into a statement."""
    chunk: list[Touched] = []
    rows = key_bytes = 0
    for one in found:
        chunk.append(one)
        rows += one.rows
        key_bytes += len(one.rollout_id.encode()) + _START_BYTES
        if rows >= CHUNK_ROWS or key_bytes >= CHUNK_KEY_BYTES:
            yield chunk
            chunk, rows, key_bytes = [], 0, 0
    if chunk:
        yield chunk


def _add_up(client: Client, chunk: Sequence[Touched]) -> None:
    """Write these intervals in each roll-up, the shortest first.

    The values become part of the statement, which travels in the body: parameters of ClickHouse's
    own would go into the URL, and proxies refuse long ones.
    """
    for rollup in ROLLUPS:
        length_ms = rollup.interval_s * _MS
        wanted = {(one.rollout_id, one.start_ms // length_ms * length_ms) for one in chunk}
        parameters = {
            "rollouts": sorted({name for name, _ in wanted}),
            "first_ms": min(start for _, start in wanted),
            "until_ms": max(start for _, start in wanted) + length_ms,
            "names": [name for name, _ in sorted(wanted)],
            "starts": [start for _, start in sorted(wanted)],
        }
        client.command(_STATEMENTS[rollup.table.name], parameters, settings=_SETTINGS)


def _statement(rollup: Rollup) -> str:
    """What adds up intervals of rollouts and writes them, whatever is there already."""
    start_ms = _START.format(ms=rollup.interval_s * _MS)
    keys = {one.name: f"w.{one.name}" for one in KEY}
    keys["window_start"] = f"fromUnixTimestamp64Milli({start_ms}, 'UTC')"
    values = {
        **keys,
        "window_s": str(rollup.interval_s),
        "version": "sum(w.version + 1)",
        CLOSED.name: CLOSED.value,
        **{one.name: one.value for one in added_up(of_events=False)},
    }
    grouped = [value for name, value in keys.items() if name != "window_s"]
    time = "fromUnixTimestamp64Milli(toInt64(%({})s), 'UTC')"
    return (
        f"INSERT INTO {rollup.table.name} ({', '.join(values)}) "
        f"SELECT {', '.join(values.values())} FROM {rollup.source} AS w FINAL "
        f"WHERE w.rollout_id IN %(rollouts)s "
        f"AND w.window_start >= {time.format('first_ms')} "
        f"AND w.window_start < {time.format('until_ms')} "
        f"AND (w.rollout_id, {start_ms}) IN "
        f"(SELECT arrayJoin(arrayZip(%(names)s, CAST(%(starts)s AS Array(Int64))))) "
        f"GROUP BY {', '.join(grouped)}"
    )


_STATEMENTS: Final = {rollup.table.name: _statement(rollup) for rollup in ROLLUPS}
