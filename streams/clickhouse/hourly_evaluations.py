"""Sums of what evaluators say of one side of a rollout, by the hour, language and workflow.

They come from the evaluations themselves: these are a sample, and no roll-up adds them up by the
side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import DriftMetric, Floats, evaluator_metrics
from understudy.analyzers.drift.periods import MS_OF_HOUR, Hours
from understudy.schemas.events import Side
from understudy.streams.clickhouse.hourly_rows import (
    HourlyQuery,
    HourlyRows,
    bounds_of,
    hourly_query,
    hourly_rows,
    in_any_span,
    in_span,
)
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_EVALUATORS: Final = 20
"""Those that judged most: as many as a policy may name. Whoever makes up names takes no more of the
chance of a false alert, which all metrics share."""
_HOUR: Final = f"intDiv(toUnixTimestamp64Milli(e.request_time), {MS_OF_HOUR})"
_RANGE: Final = "(e.highest_score - e.lowest_score)"
_SCORES: Final[dict[Side, str]] = {
    "stable": f"(e.stable_score - e.lowest_score) / {_RANGE}",
    "candidate": f"(e.compared_score - e.lowest_score) / {_RANGE}",
}
_JUDGED: Final = "WHERE rollout_id = {rollout_id:String} AND compared = 'candidate' AND error = ''"
_EVALUATORS: Final = (
    f"SELECT evaluator FROM evaluations {_JUDGED} AND {in_span('request_time')}\n"
    f"GROUP BY evaluator ORDER BY count() DESC, evaluator LIMIT {MAX_EVALUATORS}"
)


def _query(score: str) -> HourlyQuery:
    judged = (
        f"SELECT * FROM evaluations FINAL {_JUDGED} AND evaluator IN {{evaluators:Array(String)}}"
    )
    return hourly_query(
        lambda condition: (
            f"""
SELECT {_HOUR} AS hour, e.language, e.workflow, e.evaluator,
  countIf(isNotNull({score})), ifNull(sum({score}), 0), ifNull(sum(pow({score}, 2)), 0),
  countIf(isNotNull(e.preference)), ifNull(sum(e.preference), 0),
  ifNull(sum(pow(e.preference, 2)), 0)
FROM ({judged} AND {in_span("request_time")} AND {condition}) AS e
GROUP BY hour, e.language, e.workflow, e.evaluator"""
        ),
        f"""
SELECT e.language AS language, e.workflow AS workflow,
  uniqExact({_HOUR}, e.evaluator) AS hours, count() AS size
FROM ({judged} AND {in_any_span("request_time")}) AS e
GROUP BY language, workflow""",
    )


_SUMS: Final[dict[Side, HourlyQuery]] = {side: _query(score) for side, score in _SCORES.items()}
_KEYS: Final = 4
"""Columns of a row before its sums."""


def hourly_evaluations(
    connection: ReadConnection, rollout_id: str, side: Side, spans: Sequence[Hours]
) -> HourlySums:
    """Return the sums of a side in spans of hours that do not overlap, one metric an evaluator.

    Raises `SinkBusy` and `SinkBroken`.
    """
    whole = Hours(min(span.start for span in spans), max(span.end for span in spans))
    found = connection.rows(_EVALUATORS, {"rollout_id": rollout_id, **bounds_of(whole)})
    evaluators = [str(name) for (name,) in found]
    given = {"rollout_id": rollout_id, "evaluators": evaluators}
    rows, left_out = (
        hourly_rows(connection, _SUMS[side], given, spans) if evaluators else HourlyRows([], 0)
    )
    metrics = {name: evaluator_metrics(name, side) for name in evaluators}
    return HourlySums(
        np.array([row[0] for row in rows], np.int64),
        np.array([str(row[1]) for row in rows], np.str_),
        np.array([str(row[2]) for row in rows], np.str_),
        _columns(rows, metrics),
        tuple(one for some in metrics.values() for one in some),
        left_out,
    )


def _columns(rows: Sequence[Any], metrics: dict[str, tuple[DriftMetric, ...]]) -> dict[str, Floats]:
    """Each evaluator's sums in its own rows, 0 in the others'."""
    names = np.array([str(row[_KEYS - 1]) for row in rows], np.str_)
    sums = np.array([row[_KEYS:] for row in rows], np.float64).reshape(len(rows), 6)
    columns: dict[str, Floats] = {}
    for evaluator, some in metrics.items():
        is_own = names == evaluator
        for number, metric in enumerate(some):
            for part, column in enumerate(metric.columns):
                columns[column] = np.where(is_own, sums[:, 3 * number + part], 0.0)
    return columns
