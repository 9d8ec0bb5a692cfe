"""What evaluators said of a rollout's pairs, added up by evaluator and language.

The expressions are those of the view `answer_quality`, over a span of time instead of days: means
of means would be others.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from understudy.schemas.api import AnswerQuality, AnswerQualityList
from understudy.schemas.clickhouse.evaluation_tables import ANSWER_QUALITY
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_ROWS: Final = 400
"""Evaluators and languages: 20 evaluators of a policy in the languages that a page can show."""
_MAX_REASONS: Final = 20
"""Why there is no judgement: more than there are kinds of failures."""
_MAX_MODELS: Final = 3
_FIGURES: Final = [one for one in ANSWER_QUALITY.columns if one.name not in ANSWER_QUALITY.group_by]
_PLACES: Final = {column.name: place for place, column in enumerate(_FIGURES, start=5)}
_QUERY: Final = (
    "SELECT e.evaluator, e.language, grouping(e.language) AS is_all,\n"
    f"  arrayMap(one -> (toString(one.1), one.2), topKIf({_MAX_REASONS}, 3, 'counts')"
    "(e.error, e.error != '')) AS reasons,\n"
    f"  groupUniqArrayIf({_MAX_MODELS})(e.model, e.model != '') AS models,\n  "
    + ",\n  ".join(f"{column.value} AS {column.name}" for column in _FIGURES)
    + f"\nFROM {ANSWER_QUALITY.source}\n"
    "WHERE e.rollout_id = {rollout_id:String}\n"
    "  AND e.request_time >= {since:DateTime64(3, 'UTC')}"
    " AND e.request_time < {until:DateTime64(3, 'UTC')}\n"
    "GROUP BY GROUPING SETS ((e.evaluator), (e.evaluator, e.language))\n"
    f"ORDER BY e.evaluator, is_all DESC, pairs + control_pairs DESC, e.language LIMIT {MAX_ROWS}"
)


def read_answer_quality(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> AnswerQualityList:
    """Return what was said of pairs requested in a span. Raises `SinkBusy` and `SinkBroken`."""
    parameters = {
        "rollout_id": rollout_id,
        "since": since.astimezone(dt.UTC),
        "until": until.astimezone(dt.UTC),
    }
    rows = connection.rows(_QUERY, parameters)
    return AnswerQualityList(
        rollout_id=rollout_id, since=since, until=until, evaluators=[_figures(row) for row in rows]
    )


def _figures(row: Any) -> AnswerQuality:
    evaluator, language, is_all, reasons, models = row[:5]

    def of(name: str) -> Any:
        return row[_PLACES[name]]

    def interval(name: str) -> tuple[float | None, float | None]:
        return of(f"approx_{name}_low"), of(f"approx_{name}_high")

    return AnswerQuality(
        evaluator=evaluator,
        language=None if is_all else language,
        pairs=of("pairs"),
        preferences=of("preferences"),
        preferred=of("candidate_preferred"),
        preferred_interval=interval("preferred"),
        tied=of("tied"),
        scores=of("scores"),
        stable_score=of("stable_score"),
        candidate_score=of("candidate_score"),
        score_difference=of("score_difference"),
        score_interval=interval("score"),
        control_pairs=of("control_pairs"),
        control_preferred=of("control_preferred"),
        control_interval=interval("control"),
        control_score_difference=of("control_score_difference"),
        control_score_interval=interval("control_score"),
        orders=of("orders"),
        first_preferred=of("first_preferred"),
        both_orders=of("both_orders"),
        both_orders_alike=of("both_orders_alike"),
        not_judged={str(name): int(count) for name, count in reasons},
        cost_usd=of("cost_usd"),
        models=sorted(models),
    )
