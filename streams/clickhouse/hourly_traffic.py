"""Sums of one side of a rollout by the hour, language and workflow, from the hourly roll-up.

It is up to a minute behind the windows, and a year of it is read in the time of some hours of
those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import COLUMNS, REQUESTS
from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.schemas.clickhouse.rollups import ROLLUPS
from understudy.schemas.events import Side
from understudy.streams.clickhouse.hourly_rows import (
    HourlyQuery,
    hourly_query,
    hourly_rows,
    in_any_span,
    in_span,
)
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


def _query(side: Side) -> HourlyQuery:
    sums = ", ".join(f"toFloat64(sum({side}_{name}))" for name in COLUMNS)
    of_rollout = f"""\
FROM {_TABLE} FINAL
WHERE rollout_id = {{rollout_id:String}} AND source IN ('events', 'feedback')"""
    return hourly_query(
        lambda condition: (
            f"""
SELECT {_HOUR} AS hour, language, workflow, {sums}
{of_rollout} AND {in_span("window_start")} AND {condition}
GROUP BY hour, language, workflow"""
        ),
        f"""
SELECT language, workflow, uniqExact({_HOUR}) AS hours, sum({side}_{REQUESTS}) AS size
{of_rollout} AND {in_any_span("window_start")}
GROUP BY language, workflow""",
    )


_SUMS: Final[dict[Side, HourlyQuery]] = {side: _query(side) for side in SIDES}
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
    connection: ReadConnection, rollout_id: str, side: Side, spans: Sequence[Hours]
) -> HourlySums:
    """Return the sums of a side in some spans of hours, which do not overlap."""
    rows, left_out = hourly_rows(connection, _SUMS[side], {"rollout_id": rollout_id}, spans)
    table = np.array([row[3:] for row in rows], np.float64).reshape(len(rows), len(COLUMNS))
    return HourlySums(
        np.array([row[0] for row in rows], np.int64),
        np.array([str(row[1]) for row in rows], np.str_),
        np.array([str(row[2]) for row in rows], np.str_),
        {name: table[:, number] for number, name in enumerate(COLUMNS)},
        left_out=left_out,
    )
