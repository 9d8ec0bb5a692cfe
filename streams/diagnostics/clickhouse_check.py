"""Whether ClickHouse answers and holds the tables of this release. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from understudy.schemas.clickhouse.rollups import PROGRESS
from understudy.streams.clickhouse.connect import connect, parse_url
from understudy.streams.clickhouse.migrations import pending
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.tables import TABLES, VIEWS
from understudy.streams.diagnostics.findings import Finding, Level, fail, or_ok, warn
from understudy.streams.diagnostics.late_check import LateCounts, check_late

CLICKHOUSE: Final = "clickhouse"
_TIMEOUT_S: Final = 10.0
_MIGRATE: Final = "run `understudy migrate`, or start a worker, which does"

_LATE: Final = """
SELECT rollout_id, sum(events_late) AS late, late + sum(events_paired) + sum(events_single)
    + sum(events_unmatched_stable) + sum(events_unmatched_candidate)
    + sum(events_unmatched_control) AS events
FROM windows FINAL
WHERE source = 'events' AND window_start > (
    SELECT max(window_start) - INTERVAL 1 HOUR FROM windows WHERE source = 'events'
)
GROUP BY rollout_id HAVING late > 0 ORDER BY late DESC LIMIT 10
"""
"""Late events count in the window in which the watermark stands, so they are among the newest."""

_BEHIND: Final = f"""
SELECT dateDiff(
    'second',
    greatest((SELECT max(done_until) FROM {PROGRESS.name} FINAL), min(loaded_at)),
    max(loaded_at)
)
FROM windows
"""
"""How long after the last run of the roll-ups, or without one after the oldest row of windows, the
newest row was loaded."""
BEHIND_S: Final = 900
"""Thirty runs at the interval that is set by default."""

Columns = Mapping[str, Mapping[str, str]]
"""Table to column to type."""


def check_clickhouse(url: str) -> list[Finding]:
    """Reach it, and look at migrations and tables."""
    try:
        if not parse_url(url).is_there:
            return [fail(CLICKHOUSE, f"{url} is no folder yet", _MIGRATE)]
        client = connect(url, timeout_s=_TIMEOUT_S, create=False)
    except SinkBusy as error:
        advice = "start it, or correct clickhouse.url; meanwhile windows go to Kafka alone"
        return [Finding(CLICKHOUSE, Level.FAIL, _without_details(error), advice, unreachable=True)]
    except SinkBroken as error:
        if url.startswith("chdb://"):
            return [warn(CLICKHOUSE, str(error), "fine while a worker runs; else correct the URL")]
        missing = "has no database" in str(error)
        return [fail(CLICKHOUSE, str(error), _MIGRATE if missing else "correct clickhouse.url")]
    try:
        return _examine(client)
    except (ClickHouseError, SinkBusy, SinkBroken) as error:
        return [fail(CLICKHOUSE, str(error), "see ClickHouse's log, and the rights of this user")]
    finally:
        client.close()


def _without_details(error: SinkBusy) -> str:
    """What cannot be reached, without the client's stack of causes."""
    said, found, _ = str(error).partition(" cannot be reached")
    return said + found


def _examine(client: Client) -> list[Finding]:
    release = str(client.server_version)
    waiting = pending(client)
    if waiting:
        return [fail(CLICKHOUSE, f"migrations not applied: {', '.join(waiting)}", _MIGRATE)]
    findings = schema_findings(_columns(client), TABLES | VIEWS)
    found = or_ok(CLICKHOUSE, findings, f"{release}, tables are up to date")
    if any(one.level is Level.FAIL for one in found):
        return found
    return [*found, *_late(client), *_behind(client)]


def _behind(client: Client) -> Iterator[Finding]:
    """Warn where nobody adds windows up."""
    ((behind_s,),) = client.query(_BEHIND).result_rows
    if int(behind_s or 0) > BEHIND_S:
        yield warn(
            CLICKHOUSE,
            "the newest windows are not in the roll-ups, which pages and views read",
            "workers that pair do this unless clickhouse.rollup_interval_s is 0; look for "
            "`rollups.failed` in their logs, or run `understudy rollup`",
        )


def _late(client: Client) -> Iterator[Finding]:
    rows = client.query(_LATE).result_rows
    return check_late(
        [LateCounts(str(name), int(late), int(events)) for name, late, events in rows]
    )


def _columns(client: Client) -> dict[str, dict[str, str]]:
    rows = client.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase()"
    ).result_rows
    found: dict[str, dict[str, str]] = {}
    for table, name, kind in rows:
        found.setdefault(str(table), {})[str(name)] = str(kind)
    return found


def schema_findings(found: Columns, wanted: Columns) -> Iterator[Finding]:
    """Tables, columns and types that are not as this release writes them."""
    for table, columns in wanted.items():
        if table not in found:
            yield fail(
                CLICKHOUSE,
                f"table {table} is missing although migrations say it was made",
                "it was dropped by hand; restore it, or run its DDL of schemas/clickhouse",
            )
            continue
        wrong = [name for name, kind in columns.items() if found[table].get(name) != kind]
        if wrong:
            yield fail(CLICKHOUSE, f"table {table} differs in {', '.join(wrong[:5])}",
                       "it was altered by hand and inserts would fail; undo that")  # fmt: skip
