"""Time of what dashboards and analysts ask, on ten million comparisons and a million window rows.

Window rows of one rollout (20 languages, 12 partitions, 10 s) and its comparisons are drawn by
ClickHouse itself, in a folder of the embedded one that is used again by the next run, and rolled up
as a worker does. Then the queries of the dashboard and all views are asked, with two threads.

    python benchmarks/queries.py [--folder /tmp/understudy-queries] [--windows 1000000]
        [--comparisons 10000000] [--repeat 3] [--only WORD] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client

from understudy.analyzers.drift.periods import Hours
from understudy.schemas.clickhouse.analyst_views import ANALYST_VIEWS
from understudy.schemas.clickhouse.schema import WINDOWS, Column
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.captured_pairs import capture_counts, worst_pairs
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_history import END, DecisionHistory
from understudy.streams.clickhouse.hourly_evaluations import hourly_evaluations
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.pair_judgements import read_judgements
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.traffic_figures import read_languages, read_traffic

ROLLOUT: Final = "search"
LANGUAGES: Final = 20
PARTITIONS: Final = 12
WINDOW_S: Final = 10
START: Final = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
CHUNK: Final = 20_000
"""Rows of windows drawn at once."""
COMPARISONS_CHUNK: Final = 1_000_000
LIMIT_MS: Final = 300.0
"""What a query of a dashboard may take, on two cores."""
IDENTITY: Final[Mapping[str, str]] = {
    "rollout_id": f"'{ROLLOUT}'",
    "mode": "'shadow'",
    "language": f"concat('l', toString(number % {LANGUAGES}))",
    "workflow": "''",
    "window_start": f"toDateTime64('{START:%Y-%m-%d} 00:00:00', 3, 'UTC') "
    f"+ intDiv(number, {LANGUAGES * PARTITIONS}) * {WINDOW_S}",
    "window_s": str(WINDOW_S),
    "source": "'events'",
    "partition": f"intDiv(number, {LANGUAGES}) % {PARTITIONS}",
    "version": "number",
    "closed": "true",
}
RARE: Final = ("errors", "timeouts", "truncated", "fallbacks", "refusals", "empties")
ABSENT: Final = ("turns", "unresolved", "unmatched", "lost", "quality")
"""Parts of the names of columns that most rollouts leave at 0."""


def _drawn(column: Column, seed: int) -> str:
    """An expression for a measure of ten requests."""
    name, hashed = column.name, f"cityHash64(number, {seed})"
    if column.type.startswith("Map(Int32") and "similarity" not in name:
        drawn = f"toInt32(340 + cityHash64(number, i, {seed}) % 160)"
        keys = f"arrayDistinct(arrayMap(i -> {drawn}, range(10)))"
        return f"mapFromArrays({keys} AS k{seed}, arrayMap(i -> toUInt64(1), k{seed}))"
    if column.type.startswith("Map(Int32"):
        return f"map(toInt32({hashed} % 100), toUInt64(4), toInt32(100), toUInt64(6))"
    if column.type.startswith("Map("):
        return "map('model-a', toUInt64(10))"
    if any(part in name for part in ABSENT) or column.type not in ("UInt64", "Float64", "UInt128"):
        return "defaultValueOfTypeName('" + column.type.replace("'", "\\'") + "')"
    if column.type == "Float64":
        return f"({hashed} % 100000) / 1000."
    if "only_" in name or name.endswith(RARE):
        return f"toUInt64({hashed} % 12 = 0)"
    return f"to{column.type}(9 + {hashed} % 3)"


def fill(client: Client, windows: int, comparisons: int) -> None:
    """Draw what is missing, and add it up."""
    names = {one.name: IDENTITY.get(one.name) or _drawn(one, seed)
             for seed, one in enumerate(WINDOWS.columns)}  # fmt: skip
    ((there,),) = client.query("SELECT count() FROM windows").result_rows
    for first in range(there, windows, CHUNK):
        n = min(CHUNK, windows - first)
        drawn = f"SELECT {', '.join(names.values())} FROM numbers({first}, {n})"
        client.command(f"INSERT INTO windows ({', '.join(names)}) {drawn}")
    roll_up(client)
    ((there,),) = client.query("SELECT count() FROM comparisons").result_rows
    for first in range(there, comparisons, COMPARISONS_CHUNK):
        n = min(COMPARISONS_CHUNK, comparisons - first)
        client.command(_COMPARISONS.format(first=first, n=n, rollout=ROLLOUT, start=START))
    for table, sql, rows in (
        ("evaluations", _EVALUATIONS, comparisons // 10),
        ("explanations", _EXPLANATIONS, comparisons // 10),
        ("captured_pairs", _CAPTURED, comparisons // 100),
    ):
        ((there,),) = client.query(f"SELECT count() FROM {table}").result_rows
        if not there:
            client.command(sql.format(n=rows, rollout=ROLLOUT, start=START))


_COMPARISONS: Final = """
INSERT INTO comparisons (rollout_id, pair_id, mode, language, request_time, window_start,
    has_stable, has_candidate, stable_duration_ms, candidate_duration_ms, candidate_json_state)
SELECT '{rollout}', toString(number), 'shadow', concat('l', toString(number % 20)),
    toDateTime64('{start:%Y-%m-%d} 00:00:00', 3, 'UTC') + number / 200 AS at, at, true, true,
    number % 997, number % 1009, number % 8 FROM numbers({first}, {n})
SETTINGS max_partitions_per_insert_block = 0
"""

_JUDGED: Final = """'{rollout}', toString(10 * number), 'judge@1', 'candidate', 'shadow',
    concat('l', toString(10 * number % 20)),
    toDateTime64('{start:%Y-%m-%d} 00:00:00', 3, 'UTC') + number / 20 AS at, at, number"""
_EVALUATIONS: Final = f"""
INSERT INTO evaluations (rollout_id, pair_id, evaluator, compared, mode, language, request_time,
    evaluation_time, offset, preference, preferred, shown_first, model, cost_usd)
SELECT {_JUDGED}, number % 3 / 2, ['candidate'], ['stable'], 'judge', 0.0003
FROM numbers({{n}})
SETTINGS max_partitions_per_insert_block = 0
"""
"""A judgement of each tenth pair."""
_EXPLANATIONS: Final = f"""
INSERT INTO explanations (rollout_id, pair_id, evaluator, compared, mode, language, request_time,
    evaluation_time, offset, explanation)
SELECT {_JUDGED}, repeat(toString(cityHash64(number)), 15)
FROM numbers({{n}})
SETTINGS max_partitions_per_insert_block = 0
"""
_CAPTURED: Final = """
INSERT INTO captured_pairs (rollout_id, mode, language, kind, window_start, window_s, rank, version,
    pair_id, request_time, capture, severity, kinds, has_stable, stable_output, has_candidate,
    candidate_output)
SELECT '{rollout}', 'shadow', concat('l', toString(100 * number % 20)), 'text', at, 10, 1, 1,
    toString(100 * number),
    toDateTime64('{start:%Y-%m-%d} 00:00:00', 3, 'UTC') + number / 2 AS at, 'worst',
    cityHash64(number) % 1000 / 1000, ['text'], true,
    repeat(toString(cityHash64(number)), 100), true, repeat(toString(cityHash64(number, 1)), 100)
FROM numbers({n})
SETTINGS max_partitions_per_insert_block = 0
"""
"""Each hundredth pair, with answers of 2 kB."""


class Timing(NamedTuple):
    """Milliseconds of one query: the median of the wall time, and of the processor's."""

    name: str
    wall_ms: float
    cpu_ms: float


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(name: str, ask: Callable[[], object], repeat: int) -> Timing:
    """Ask once to have what is read in the page cache, and then so many times."""
    ask()
    taken = []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), _cpu_s()
        ask()
        taken.append((1000 * (time.perf_counter() - wall), 1000 * (_cpu_s() - cpu)))
    walls, cpus = zip(*taken, strict=True)
    return Timing(name, statistics.median(walls), statistics.median(cpus))


def questions(connection: ReadConnection) -> Iterator[tuple[str, Callable[[], object]]]:
    """What pages and views ask."""
    ((last,),) = connection.rows("SELECT max(window_start) FROM rollup_1m", {})
    until = last.replace(tzinfo=dt.UTC) + dt.timedelta(minutes=1)
    for hours in (1, 24, 24 * 30):
        since = until - dt.timedelta(hours=hours)
        yield f"traffic, {hours} h", lambda s=since: read_traffic(connection, ROLLOUT, s, until)  # type: ignore[misc]
        yield f"languages, {hours} h", lambda s=since: read_languages(connection, ROLLOUT, s, until)  # type: ignore[misc]
        yield (
            f"answers, {hours} h",
            lambda s=since: read_answer_quality(  # type: ignore[misc]
                connection, ROLLOUT, s, until
            ),
        )
        yield f"worst pairs, {hours} h", lambda s=since: _pairs(connection, s, until)  # type: ignore[misc]
        ms_of_hour = 3_600_000
        span = Hours(to_epoch_ms(since) // ms_of_hour, to_epoch_ms(until) // ms_of_hour + 1)
        yield (
            f"drift of evaluations, {hours} h",
            lambda s=span: hourly_evaluations(  # type: ignore[misc]
                connection, ROLLOUT, "candidate", [s]
            ),
        )
    yield "history", lambda: DecisionHistory(connection).page(ROLLOUT, END, 100)
    yield (
        "one pair",
        lambda: connection.rows("SELECT * FROM comparisons FINAL WHERE pair_id = '1234567'", {}),
    )
    for view in ANALYST_VIEWS:
        sql = f"SELECT * FROM {view.name} WHERE rollout_id = {{rollout_id:String}}"
        yield view.name, lambda s=sql: connection.rows(s, {"rollout_id": ROLLOUT})  # type: ignore[misc]
    p95 = ("SELECT language, understudy_quantile(sumMap(stable_duration_ms_histogram), 0.95) "
           "FROM {} GROUP BY language")  # fmt: skip
    for source in ("slices", "slices_1m", "slices_1h"):
        yield f"p95 from {source}", lambda s=source: connection.rows(p95.format(s), {})  # type: ignore[misc]


def _pairs(connection: ReadConnection, since: dt.datetime, until: dt.datetime) -> object:
    """What the page of pairs asks."""
    found = worst_pairs(connection, ROLLOUT, since=since, until=until, limit=11)
    return (
        capture_counts(connection, ROLLOUT, since, until), read_judgements(connection, found[:10])
    )  # fmt: skip


def main() -> int:
    """Fill, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path,
                        default=Path(tempfile.gettempdir()) / "understudy-queries")  # fmt: skip
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--comparisons", type=int, default=10_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="ask only what has this in its name")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    url = f"chdb://{options.folder}"
    client = connect(f"{url}?max_threads=2")
    migrate(client)
    started = _cpu_s()
    fill(client, options.windows, options.comparisons)
    filled_s = _cpu_s() - started
    connection = ReadConnection(f"{url}?max_threads=2")
    asked = [one for one in questions(connection) if options.only in one[0]]
    timings = [measure(name, ask, options.repeat) for name, ask in asked]
    if options.json:
        document: dict[str, Any] = {"filled_cpu_s": filled_s,
                                    "queries": [one._asdict() for one in timings]}  # fmt: skip
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return 0
    for one in timings:
        mark = "" if one.wall_ms <= LIMIT_MS else "  above the limit"
        sys.stdout.write(f"{one.name:28}{one.wall_ms:9.0f} ms{one.cpu_ms:9.0f} ms of CPU{mark}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
