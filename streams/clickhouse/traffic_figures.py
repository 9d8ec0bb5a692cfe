"""Sums of a rollout in a span of time: of all, of each step of time and of each language.

They come from the shortest roll-up that has few intervals in the span, so that a month is read as
fast as an hour, and from a longer one where that has nothing left of a span long ago. A span begins
and ends with whole intervals; the newest requests come with the next run of the roll-ups.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from understudy.schemas.clickhouse.rollups import ROLLUPS, Rollup
from understudy.schemas.clickhouse.schema import added_up
from understudy.schemas.event_time import EPOCH
from understudy.streams.clickhouse.read_connection import ReadConnection

SIDE_SUMS: Final = (
    "requests", "served", "model_requests", "errors", "timeouts", "client_errors",
    "gateway_errors", "answers", "empties", "refusals", "incompletes", "truncated",
    "finish_reason_known", "texts", "garbled", "repetitive", "reasoning_leaks", "json_expected",
    "json_fenced", "json_truncated", "json_trailing_text", "json_not_json", "json_too_deep",
    "json_quoted", "tools_offered", "tool_calls_invalid", "tool_calls_missing", "language_checked",
    "language_match", "fallback_known", "fallbacks", "retries", "cost_usd_count", "cost_usd_sum",
    "output_tokens_count", "output_tokens_sum", "feedback_score_count", "feedback_positive",
)  # fmt: skip
"""Columns that each side has, without its prefix."""
OTHER_SUMS: Final = (
    "events_paired", "events_single", "events_unmatched_stable", "events_unmatched_candidate",
    "events_unmatched_control", "events_duplicate", "events_superseded", "events_late",
    "events_invalid", "pair_pairs", "pair_lost_stable", "pair_lost_candidate",
)  # fmt: skip
HISTOGRAMS: Final = ("duration_ms_histogram", "time_to_first_token_ms_histogram")
SIDES: Final = ("stable", "candidate")
MAX_STEPS: Final = 180
"""Of the chart over time: as many points as a chart of that width can show apart."""
MIN_STEP_MS: Final = 60_000
"""Shorter steps have too few requests to say anything about a share."""
MAX_INTERVALS: Final = 400
"""Read of each slice at most, but from the hourly roll-up: six hours by minutes, a day and more by
five minutes."""
_RANGE: Final = """
FROM {table:Identifier} AS w FINAL
WHERE rollout_id = {rollout_id:String}
  AND window_start >= {since:DateTime64(3, 'UTC')} AND window_start < {until:DateTime64(3, 'UTC')}
"""
_HELD: Final = "SELECT 1 AS held" + _RANGE.replace(" FINAL", "") + "LIMIT 1"
"""Whether a roll-up has any row of a span; in which version does not matter."""
_SUMS: Final = [f"{side}_{name}" for side in SIDES for name in SIDE_SUMS] + list(OTHER_SUMS)
_MAPS: Final = [f"{side}_{name}" for side in SIDES for name in HISTOGRAMS]
_ADDED_UP: Final = {one.name: one.value for one in added_up(of_events=True)}
"""As `slices` add up: each source has its own ends of events, and pages show those of requests."""
_TOTALS: Final = (
    "SELECT count(), min(toUnixTimestamp64Milli(window_start)), "
    + ", ".join(_ADDED_UP[name] for name in (*_SUMS, *_MAPS))
    + _RANGE
)
_STEPPED: Final = ("requests", "errors", "model_requests")
_STEPS: Final = (
    "SELECT intDiv(toUnixTimestamp64Milli(window_start), {step_ms:Int64}) * {step_ms:Int64} AS at, "
    + ", ".join(_ADDED_UP[f"{side}_{name}"] for side in SIDES for name in _STEPPED)
    + _RANGE
    + "GROUP BY at ORDER BY at"
)


LANGUAGE_SUMS: Final = (
    "requests", "model_requests", "errors", "answers", "empties", "refusals", "json_expected",
    "json_valid", "language_checked", "language_match", "cost_usd_count", "cost_usd_sum",
    "output_tokens_count", "output_tokens_sum",
)  # fmt: skip
LANGUAGE_HISTOGRAMS: Final = ("duration_ms_histogram",)
MAX_LANGUAGES: Final = 50
"""More than any rollout has in earnest; whoever makes up tags makes no longer page."""
_OF_LANGUAGE: Final = [f"{side}_{name}" for side in SIDES for name in LANGUAGE_SUMS]
_MAPS_OF_LANGUAGE: Final = [f"{side}_{name}" for side in SIDES for name in LANGUAGE_HISTOGRAMS]
_LANGUAGES: Final = (
    "SELECT language, "
    + ", ".join(_ADDED_UP[name] for name in (*_OF_LANGUAGE, *_MAPS_OF_LANGUAGE))
    + _RANGE
    + "GROUP BY language HAVING sum(stable_requests) + sum(candidate_requests) > 0 "
    + f"ORDER BY sum(candidate_requests) DESC, language LIMIT {MAX_LANGUAGES}"
)


@dataclass(frozen=True, slots=True)
class LanguageTraffic:
    """Sums of one language."""

    language: str
    sums: dict[str, float]
    histograms: dict[str, dict[int, int]]


@dataclass(frozen=True, slots=True)
class TrafficStep:
    """What came in one step of time."""

    at_ms: int
    sums: dict[str, int]
    """`stable_requests` and so on."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sums over a span of time."""

    since: dt.datetime
    until: dt.datetime
    rows: int
    """Of the roll-up; 0 where there are none."""
    sums: dict[str, float]
    histograms: dict[str, dict[int, int]]
    """Log bucket to count."""
    steps: list[TrafficStep]
    newest: dt.datetime | None = None
    """What was asked for ends here: a step that ends later may still grow."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Whole intervals of a roll-up."""

    table: str
    interval_ms: int
    since: dt.datetime
    until: dt.datetime

    def parameters(self, rollout_id: str) -> dict[str, Any]:
        return {
            "rollout_id": rollout_id,
            "table": self.table,
            "since": self.since,
            "until": self.until,
        }


def _span(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> _Span:
    """The intervals that hold a span, of the shortest roll-up that still has some."""
    length_s = (until - since).total_seconds()
    spans = [
        _intervals(one, since, until)
        for one in ROLLUPS
        if one is ROLLUPS[-1] or length_s <= MAX_INTERVALS * one.interval_s
    ]
    held = (one for one in spans if connection.rows(_HELD, one.parameters(rollout_id)))
    return next(held, spans[0])


def _intervals(rollup: Rollup, since: dt.datetime, until: dt.datetime) -> _Span:
    interval = dt.timedelta(seconds=rollup.interval_s)
    return _Span(
        rollup.table.name,
        rollup.interval_s * 1000,
        EPOCH + (since - EPOCH) // interval * interval,
        EPOCH - (EPOCH - until) // interval * interval,
    )


def read_traffic(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> Traffic:
    """Return the sums of the intervals that hold a span. Raises `SinkBusy` and `SinkBroken`."""
    span = _span(connection, rollout_id, since, until)
    parameters = span.parameters(rollout_id)
    rows, first_ms, *values = connection.rows(_TOTALS, parameters)[0]
    span_ms = int(until.timestamp() * 1000) - int(first_ms)
    step_ms = max(MIN_STEP_MS, -(-span_ms // MAX_STEPS))
    parameters["step_ms"] = -(-step_ms // span.interval_ms) * span.interval_ms
    sums = dict(zip(_SUMS, map(float, values[: len(_SUMS)]), strict=True))
    maps = dict(zip(_MAPS, values[len(_SUMS) :], strict=True))
    names = [f"{side}_{name}" for side in SIDES for name in _STEPPED]
    steps = [
        TrafficStep(int(at), dict(zip(names, map(int, of), strict=True)))
        for at, *of in connection.rows(_STEPS, parameters)
    ]
    return Traffic(span.since, span.until, int(rows), sums, maps, steps, until)


def read_languages(
    connection: ReadConnection, rollout_id: str, since: dt.datetime, until: dt.datetime
) -> list[LanguageTraffic]:
    """Return the sums of each language in a span, those with the most requests first.

    Raises `SinkBusy` and `SinkBroken`.
    """
    parameters = _span(connection, rollout_id, since, until).parameters(rollout_id)
    n = len(_OF_LANGUAGE)
    return [
        LanguageTraffic(
            language=language,
            sums=dict(zip(_OF_LANGUAGE, map(float, values[:n]), strict=True)),
            histograms=dict(zip(_MAPS_OF_LANGUAGE, values[n:], strict=True)),
        )
        for language, *values in connection.rows(_LANGUAGES, parameters)
    ]
