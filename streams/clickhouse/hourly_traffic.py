"""Sums of one side of a rollout by the hour, language and workflow, from the hourly roll-up.

It is up to a minute behind the windows, and a year of it is read in the time of some hours of
those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import COLUMNS, REQUESTS
from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.schemas.clickhouse.rollups import ROLLUPS
from understudy.schemas.events import Side
from understudy.streams.clickhouse.read_connection import ReadConnection

SIDES: Final[tuple[Side, ...]] = ("stable", "candidate")
_TABLE: Final = ROLLUPS[-1].table.name
_HOUR: Final = f"intDiv(toUnixTimestamp64Milli(window_start), {MS_OF_HOUR})"
_AFTER_1970: Final = "window_start >= toDateTime(86400, 'UTC')"
"""What was invalid before any event had set the clock lies at the beginning of 1970."""
_SPANS: Final = {
    side: f"""
SELECT min({_HOUR}), max({_HOUR}) + 1, count() FROM {_TABLE}
WHERE rollout_id = {{rollout_id:String}} AND source = 'events' AND {_AFTER_1970}
  AND {side}_{REQUESTS} > 0
"""
    for side in SIDES
}
_SUMS: Final = {
    side: f"""
SELECT {_HOUR} AS hour, language, workflow,
  {", ".join(f"toFloat64(sum({side}_{name}))" for name in COLUMNS)}
FROM {_TABLE} FINAL
WHERE rollout_id = {{rollout_id:String}} AND source IN ('events', 'feedback')
  AND window_start >= fromUnixTimestamp64Milli({{start_ms:Int64}}, 'UTC')
  AND window_start < fromUnixTimestamp64Milli({{end_ms:Int64}}, 'UTC')
GROUP BY hour, language, workflow
"""
    for side in SIDES
}


MAX_ROLLOUTS: Final = 1_000
"""More than any installation has at one time; who makes up names is not looked at for ever."""
_RECENT_DAYS: Final = 2
_ROLLOUTS: Final = f"""
SELECT DISTINCT rollout_id FROM {_TABLE}
WHERE rollout_id != '' AND source = 'events' AND window_start >= now() - INTERVAL {_RECENT_DAYS} DAY
ORDER BY rollout_id LIMIT {MAX_ROLLOUTS}
"""


def recent_rollouts(connection: ReadConnection) -> list[str]:
    """Return the rollouts with traffic in the last two days.

    Raises `SinkBusy` and `SinkBroken`, as all here do.
    """
    return [str(rollout_id) for (rollout_id,) in connection.rows(_ROLLOUTS, {})]


def hours_of_side(connection: ReadConnection, rollout_id: str, side: Side) -> Hours | None:
    """Return the first and last hour in which a side has requests; None without any."""
    ((first, end, rows),) = connection.rows(_SPANS[side], {"rollout_id": rollout_id})
    return Hours(int(first), int(end)) if rows else None


def hourly_sums(
    connection: ReadConnection, rollout_id: str, side: Side, spans: Iterable[Hours]
) -> HourlySums:
    """Return the sums of a side in some spans of hours, which do not overlap."""
    rows: list[Any] = []
    for span in spans:
        parameters = {
            "rollout_id": rollout_id,
            "start_ms": span.start * MS_OF_HOUR,
            "end_ms": span.end * MS_OF_HOUR,
        }
        rows += connection.rows(_SUMS[side], parameters)
    table = np.array([row[3:] for row in rows], np.float64).reshape(len(rows), len(COLUMNS))
    return HourlySums(
        np.array([row[0] for row in rows], np.int64),
        np.array([str(row[1]) for row in rows], np.str_),
        np.array([str(row[2]) for row in rows], np.str_),
        {name: table[:, number] for number, name in enumerate(COLUMNS)},
    )
