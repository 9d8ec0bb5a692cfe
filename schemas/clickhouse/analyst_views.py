"""Views that answer what analysts ask, one row for each thing that they name.

They read the hourly roll-up, so they reach back 400 days and trail by up to a minute. Each
comes twice: over all that is kept, and, as `…_daily`, by UTC day. Where a difference is shown, an
interval is, too: `decision_…` of the newest decision, which verdicts rest on, and `approx_…` in
closed form (see the functions in 0004_window_functions.sql), both valid however often one looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from understudy.schemas.clickhouse.measured_differences import (
    ESTIMATE,
    ROW,
    SIDES,
    Difference,
    columns_of,
    cost_difference,
    feedback_differences,
    field_difference,
    json_failure_differences,
    language_differences,
    times,
    tool_call_differences,
)
from understudy.schemas.clickhouse.rollups import ROLLUPS
from understudy.schemas.clickhouse.schema import SLICE, TIME, Column, View, added_up
from understudy.schemas.measure_kinds import LABEL

HOURLY: Final = ROLLUPS[-1].table.name
_SHARE: Final = "Nullable(Float64)"
_TIME: Final = f"Nullable({TIME})"
_DAY: Final = Column("day", "Date", "UTC day of the requests", value="d.day")
_LANGUAGE: Final = SLICE[:3]


@dataclass(frozen=True, slots=True)
class Described:
    """A view before it is written for all time and by day."""

    name: str
    title: str
    keys: tuple[Column, ...]
    columns: tuple[Column, ...]
    source: str
    """With `{keys}` and `{inner}` where the keys belong."""
    comment: str


class Evidence(NamedTuple):
    """A field of a decision's evidence: its name and type in JSON, and what it says."""

    name: str
    type: str
    comment: str


EVIDENCE: Final = (
    Evidence("guardrail", "String", "Name of the guardrail in the policy"),
    Evidence("metric", "String", "Metric that it limits"),
    Evidence("slice", "String", "all, language:ja, workflow:extract, or both"),
    Evidence("action", "String", "What a breach does"),
    Evidence("limit", "String", "max, min, max_increase or max_drop"),
    Evidence("unit", "String", "Unit of candidate and stable"),
    Evidence("status", "String", "breach, pass, open or waiting"),
    Evidence("required", "Bool", "Promotion takes a pass of it"),
    Evidence("units", "UInt64", "Pairs, or units of the candidate, since the rollout began"),
    Evidence("stable", _SHARE, "Stable's value; NULL when unknown"),
    Evidence("candidate", _SHARE, "The candidate's value; NULL when unknown"),
    Evidence("harm", _SHARE, "What the margin limits; positive is worse"),
    Evidence("interval", f"Tuple({_SHARE}, {_SHARE})", ""),
    Evidence("harm_margin", "Float64", "The margin on harm's scale"),
    Evidence("design_effect", "Float64",
             "How much more the harm of requests varies than that of independent ones"),
    Evidence("note", "String", "Why it waits, or what its numbers mean"),
)  # fmt: skip
_JSON_TYPE: Final = f"Tuple({', '.join(f'{one.name} {one.type}' for one in EVIDENCE)})"
_NEWEST: Final = """\
(
    SELECT *
    FROM decisions FINAL
    WHERE (rollout_id, rollout_created_at, sequence) IN (
        SELECT
            rollout_id,
            (max((rollout_created_at, sequence)) AS newest).1,
            newest.2
        FROM decisions
        GROUP BY rollout_id
    )
    ORDER BY rollout_id, decided_at DESC, decision_hash
    LIMIT 1 BY rollout_id
)"""
"""The newest decision of each rollout. The inner query leaves the decisions' JSON alone. A state
that was restored makes another decision of a number that was given already; one of them counts.
"""


def _evidence() -> View:
    columns = [
        SLICE[0],
        Column("decided_at", TIME, "Event time of the newest decision"),
        Column("mode", LABEL, "Mode of the rollout's stage"),
    ]
    columns = [replace(one, value=f"d.{one.name}") for one in columns]
    for one in EVIDENCE:
        source = f"tupleElement(d.e, '{one.name}')"
        if one.name == "interval":
            ends = (("low", "Lower"), ("high", "Upper"))
            for number, (name, said) in enumerate(ends, 1):
                text = f"{said} end of where the harm lies, 95 % at all looks together"
                value = f"tupleElement({source}, {number})"
                columns.append(Column(name, _SHARE, f"{text}; NULL is unbounded", value=value))
        else:
            columns.append(Column(one.name, one.type, one.comment, value=source))
    source = f"""\
(
    SELECT
        n.rollout_id AS rollout_id,
        n.decided_at AS decided_at,
        JSONExtractString(n.decision, 'stage', 'stage', 'mode') AS mode,
        arrayJoin(JSONExtract(n.decision, 'evidence', 'Array({_JSON_TYPE})')) AS e
    FROM {_NEWEST} AS n
) AS d"""
    return View(
        "evidence",
        "Evidence: the newest decision's evidence, one row for each guardrail and slice.",
        tuple(columns), (), "What the newest decision of each rollout rests on: a row for each "
        "guardrail in each slice, with its interval", source,
    )  # fmt: skip


ROLLOUT_HEALTH: Final = View(
    "rollout_health",
    "Rollout health: one row a rollout, with its verdict and what it came from.",
    (
        Column("rollout_id", LABEL, "The rollout", value="d.rollout_id"),
        Column("verdict", LABEL, "rollback, hold or promote; empty before the first decision",
               value="d.verdict"),
        Column("since", _TIME, "When the verdict became what it is; NULL without one",
               value="nullIf(d.since, toDateTime64(0, 3, 'UTC'))"),
        Column("reason", "String", "The weightiest reason, in words", value="d.reasons[1]"),
        Column("alerts", "Array(String)", "What an operator should look at, in words",
               value="d.alerts"),
        Column("missing", "Array(String)", "What promotion lacks, by name: guardrail/slice, "
               "requests, duration and the like",
               value="JSONExtract(d.decision, 'missing', 'Array(String)')"),
        Column("stage", LABEL, "Stage of the rollout", value="d.stage"),
        Column("candidate_share", "Float64", "Share of requests that gateways give the candidate",
               value="d.candidate_share"),
        Column("is_latched", "Bool", "Rolled back until an operator resumes", value="d.is_latched"),
        Column("is_paused", "Bool", "A guardrail with the action pause was broken",
               value="d.is_paused"),
        Column("decided_at", _TIME, "Event time of the newest decision; NULL without one",
               value="nullIf(d.decided_at, toDateTime64(0, 3, 'UTC'))"),
        Column("newest_hour", _TIME, "The newest hour with requests; NULL without any",
               value="nullIf(d.newest, toDateTime64(0, 3, 'UTC'))"),
        Column("stable_requests", "UInt64", "Requests of stable", value="d.stable_requests"),
        Column("pairs", "UInt64", "Requests that both sides answered", value="d.pairs"),
        Column("candidate_requests", "UInt64", "Requests of the candidate",
               value="d.candidate_requests"),
        Column("stable_error_share", _SHARE, "Share of stable's requests without an answer",
               value="d.stable_errors / nullIf(d.stable_model_requests, 0)"),
        Column("candidate_error_share", _SHARE,
               "Share of the candidate's requests without an answer",
               value="d.candidate_errors / nullIf(d.candidate_model_requests, 0)"),
        Column("unmatched_share", _SHARE, "Share of the sides whose partner never came",
               value="d.unmatched / nullIf(d.events, 0)"),
        Column("late_share", _SHARE, "Share of the events past the join timeout",
               value="d.late / nullIf(d.events, 0)"),
    ),
    (),
    "One row a rollout: the newest verdict with its reason, and sums of all hours that are kept",
    f"""\
(
    SELECT *
    FROM (
        SELECT
            w.rollout_id AS rollout_id,
            max(w.window_start) AS newest,
            sum(w.stable_requests) AS stable_requests,
            sum(w.candidate_requests) AS candidate_requests,
            sum(w.pair_pairs) AS pairs,
            sum(w.stable_errors) AS stable_errors,
            sum(w.stable_model_requests) AS stable_model_requests,
            sum(w.candidate_errors) AS candidate_errors,
            sum(w.candidate_model_requests) AS candidate_model_requests,
            sumIf(w.events_late, w.source = 'events') AS late,
            sumIf(
                w.events_unmatched_stable + w.events_unmatched_candidate
                    + w.events_unmatched_control,
                w.source = 'events'
            ) AS unmatched,
            sumIf(w.events_paired + w.events_single, w.source = 'events') + unmatched + late
                AS events
        FROM {HOURLY} AS w FINAL
        WHERE w.rollout_id != ''
        GROUP BY w.rollout_id
    ) AS s
    FULL OUTER JOIN {_NEWEST} AS n USING (rollout_id)
) AS d""",
)  # fmt: skip


def _approx(variance: str, of: str) -> tuple[Column, Column]:
    """Both ends of the interval in closed form."""
    interval = f"understudy_approx_interval(d.delta, {variance}, d.t)"
    text = f"end of an approximate interval of {of}, 95 % at all looks together"
    return (
        Column("approx_low", _SHARE, f"Lower {text}", value=f"{interval}.1"),
        Column("approx_high", _SHARE, f"Upper {text}", value=f"{interval}.2"),
    )


_FINDING: Final = Column(
    "finding", LABEL,
    "worse or better: the approximate interval excludes no difference; open: it does not",
    value="multiIf(isNull(d.delta), 'unknown', d.better = 'neither' AND approx_low > 0, 'more', "
    "d.better = 'neither' AND approx_high < 0, 'less', "
    "(d.better = 'lower' AND approx_low > 0) OR (d.better = 'higher' AND approx_high < 0), 'worse',"
    " (d.better = 'lower' AND approx_high < 0) OR (d.better = 'higher' AND approx_low > 0), "
    "'better', 'open')",
)  # fmt: skip
_VALUES: Final = (
    Column("units", "UInt64", "Pairs, or units of the candidate where requests are not paired",
           value="d.units"),
    Column("stable", _SHARE, "Stable's value", value="d.stable"),
    Column("candidate", _SHARE, "The candidate's value", value="d.candidate"),
    Column("delta", _SHARE, "Candidate less stable; of relative ones candidate / stable - 1",
           value="d.delta"),
)  # fmt: skip


def _of(columns: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(replace(one, value=one.value or f"d.{one.name}") for one in columns)


def _differences(
    name: str, title: str, keys: Sequence[Column], label: Column, rows: Sequence[Difference],
    comment: str, *, is_relative: bool = False,
) -> Described:  # fmt: skip
    """A view with one row for each key and difference."""
    relative = Column(
        "is_relative",
        "Bool",
        "Whether delta is a share of stable's value, not a difference of shares",
    )
    better = Column("better", LABEL, "Which way it improves: lower, higher or neither")
    head = (label, better, relative) if is_relative else (label, better)
    tuples = ",\n            ".join(one.row() for one in rows)
    source = _estimated(
        "row",
        f"{_summed(columns_of(rows, _SUMS))} AS s\n"
        f"        ARRAY JOIN [\n            {tuples}\n        ] AS row",
        more=[f"row.1 AS {label.name}"],
    )
    columns = (*_of(head), *_VALUES, *_approx("d.variance", "delta"), _FINDING)
    return Described(name, title, tuple(keys), columns, source, comment)


_SUMS: Final = [one.name for one in added_up(of_events=False)]


def _estimated(
    row: str,
    inner: str,
    *,
    kept: Iterable[str] = (),
    more: Iterable[str] = (),
    where: str = "d.units > 0",
) -> str:
    """The source of a view with an estimate for each row, which `row` of the inner query makes.

    A filter on a key reaches the roll-up through the clause ARRAY JOIN, not through the function
    arrayJoin. Steps are names of one SELECT, each made from those before it. `kept` are columns of
    the inner query that the view shows, and `more` further ones made of a row.
    """
    made = ", ".join([*kept, row])
    parts = [f"row.{number} AS {name}" for number, name in enumerate(ROW, 1) if name != "label"]
    steps = [f"{value} AS {name}" for name, value in ESTIMATE.items()]
    listed = ",\n        ".join([*more, *parts, *steps])
    return f"""\
(
    SELECT
        *,
        {listed}
    FROM (
        SELECT
            {{keys}},
            {made}
        FROM {inner}
    )
) AS d
WHERE {where}"""


def _summed(columns: Iterable[str], maps: Iterable[str] = ()) -> str:
    """The sums of these columns of the hourly roll-up, by the keys."""
    sums = [f"sum(w.{name}) AS {name}" for name in columns]
    sums += [f"sumMap(w.{name}) AS {name}" for name in maps]
    listed = ",\n            ".join(sums)
    return f"""\
(
        SELECT
            {{inner}},
            {listed}
        FROM {HOURLY} AS w FINAL
        WHERE w.rollout_id != ''
        GROUP BY {{keys}}
    )"""


_LANGUAGE_DELTAS: Final = _differences(
    "language_deltas", "Language deltas: how the candidate differs, by language and metric.",
    _LANGUAGE, Column("metric", LABEL, "Name of the metric, as guardrails call it"),
    language_differences(),
    "How the candidate differs from stable, by language and metric: of rates the difference of the "
    "shares, of costs, lengths and durations the relative one",
    is_relative=True,
)  # fmt: skip
_JSON_FAILURES: Final = _differences(
    "json_failures", "JSON failures: why answers that should be JSON are not.",
    SLICE,
    Column("failure", LABEL, "What is wrong with it; schema: it fails its JSON Schema"),
    json_failure_differences(),
    "Why answers that should be JSON are not, by kind, as shares of those expected",
)  # fmt: skip
_TOOL_CALL_CHANGES: Final = _differences(
    "tool_call_changes", "Tool call changes: other calls, broken calls, missing calls.",
    SLICE,
    Column("change", LABEL,
           "calls_differ: other calls than stable's (stable: than stable's own second run); "
           "broken, missing: share of the side's answers"),
    tool_call_differences(),
    "How tool calls change. Of calls_differ, stable's value is how often a second run of stable "
    "differs from the first, NULL without control sides",
)  # fmt: skip
_FEEDBACK: Final = _differences(
    "feedback", "Feedback: users' ratings of both sides.",
    SLICE, Column("rating", LABEL, "positive: share of ratings with a score of at least 0.5"),
    feedback_differences(),
    "Users' ratings of both sides. Two users' ratings are never paired",
)  # fmt: skip


def _latency() -> Described:
    columns = [f"{side}_{one.name}_count" for one in times() for side in SIDES]
    maps = [f"{side}_{one.name}_histogram" for one in times() for side in SIDES]
    tuples = ",\n            ".join(
        f"('{one.name}', stable_{one.name}_count, candidate_{one.name}_count, "
        f"stable_{one.name}_histogram, candidate_{one.name}_histogram)"
        for one in times()
    )
    quantiles = [(50, "median"), (90, "90th percentile"), (95, "95th percentile"),
                 (99, "99th percentile")]  # fmt: skip
    found = [
        Column(f"{side}_p{percent}", _SHARE, f"{side.capitalize()}'s {said}, within 1 %",
               value=f"understudy_quantile_or_null(d.{side}_histogram, {percent / 100})")
        for side in SIDES for percent, said in quantiles
    ]  # fmt: skip
    text = "ratio of the 95th percentiles, 95 % at all looks together"
    low = "understudy_quantile_or_null(d.{}_histogram, greatest(0, 0.95 - d.{}_margin))"
    high = "understudy_quantile_or_null(d.{}_histogram, least(1, 0.95 + d.{}_margin))"
    # No order statistic bounds a rank below the first or above the last.
    is_outside = "0.95 - d.{}_margin <= 0 OR 0.95 + d.{}_margin >= 1"
    return Described(
        "latency_quantiles", "Latency quantiles: durations and times to first token of both sides.",
        SLICE,
        (
            Column("measure", LABEL, "duration_ms or time_to_first_token_ms", value="d.measure"),
            Column("stable_count", "UInt64", "Requests of stable with a known time",
                   value="d.stable_count"),
            Column("candidate_count", "UInt64", "Requests of the candidate with a known time",
                   value="d.candidate_count"),
            *found,
            Column("p95_ratio", _SHARE, "Candidate's 95th percentile / stable's",
                   value="candidate_p95 / stable_p95"),
            Column("approx_low", _SHARE, f"Lower end of an approximate interval of the {text}; "
                   "0 where stable's tail is too short to tell",
                   value="multiIf(isNull(p95_ratio), NULL, "
                   f"{is_outside.format('candidate', 'stable')}, 0, "
                   f"{low.format('candidate', 'candidate')} / "
                   f"{high.format('stable', 'stable')})"),
            Column("approx_high", _SHARE, f"Upper end of an approximate interval of the {text}; "
                   "inf where the candidate's tail is too short to tell",
                   value="multiIf(isNull(p95_ratio), NULL, "
                   f"{is_outside.format('stable', 'candidate')}, inf, "
                   f"{high.format('candidate', 'candidate')} / {low.format('stable', 'stable')})"),
        ),
        f"""\
(
    SELECT
        {{keys}},
        times.1 AS measure,
        times.2 AS stable_count,
        times.3 AS candidate_count,
        times.4 AS stable_histogram,
        times.5 AS candidate_histogram,
        sqrt(0.0475 / stable_count) * understudy_approx_multiplier(stable_count) AS stable_margin,
        sqrt(0.0475 / candidate_count) * understudy_approx_multiplier(candidate_count)
            AS candidate_margin
    FROM {_summed(columns, maps)} AS s
    ARRAY JOIN [
            {tuples}
        ] AS times
) AS d
WHERE d.stable_count + d.candidate_count > 0""",
        "Times of both sides from their histograms, within 1 %. The interval of the ratio is that "
        "of both ranks, and takes requests as independent",
    )  # fmt: skip


def _cost_impact() -> Described:
    per_side = ("requests", "served", "cost_usd_count", "cost_usd_sum", "output_tokens_sum",
                "input_tokens_sum", "unpriced")  # fmt: skip
    difference = cost_difference()
    shown = [f"{side}_{name}" for side in SIDES for name in per_side]
    columns = dict.fromkeys([*shown, *columns_of([difference], _SUMS)])
    mean = "d.{0}_cost_usd_sum / nullIf(d.{0}_cost_usd_count, 0)"
    of_sides = [
        column
        for side in SIDES
        for column in (
            Column(f"{side}_requests", "UInt64", f"Requests of {side}"),
            Column(f"{side}_cost_usd", "Float64", "What its priced requests cost, US dollars",
                   value=f"d.{side}_cost_usd_sum"),
            Column(f"{side}_usd_per_1000", _SHARE, "Per 1 000 priced requests, US dollars",
                   value=f"1000 * {mean.format(side)}"),
            Column(f"{side}_unpriced", "UInt64", "Requests that said they cost 0 for tokens"),
            Column(f"{side}_input_tokens", "UInt64", "Tokens of its prompts",
                   value=f"d.{side}_input_tokens_sum"),
            Column(f"{side}_output_tokens", "UInt64", "Tokens of its answers",
                   value=f"d.{side}_output_tokens_sum"),
        )
    ]  # fmt: skip
    return Described(
        "cost_impact", "Cost impact: what both sides cost, and what the rollout itself does.",
        SLICE,
        (
            *_of(of_sides),
            Column("delta", _SHARE, "Candidate's mean cost / stable's - 1; of the same requests "
                   "where they are paired", value="d.delta"),
            *_approx("d.variance", "delta"),
            Column("unserved_usd", _SHARE,
                   "What the candidate's answers that nobody was served cost, US dollars",
                   value=f"{mean.format('candidate')} * "
                   "greatest(0, toInt64(d.candidate_requests) - toInt64(d.candidate_served))"),
        ),
        _estimated(
            f"{difference.row()} AS row", f"{_summed(columns)} AS s", kept=shown,
            where="d.stable_requests + d.candidate_requests > 0",
        ),
        "What both sides cost, how the candidate's cost differs, and what the rollout itself costs",
    )  # fmt: skip


def _field_changes() -> Described:
    difference = field_difference()
    maps = ("pair_json_changed_fields", "control_json_changed_fields")
    inner = f"""\
(
            SELECT
                *,
                field,
                {maps[0]}[field] AS changed,
                {maps[1]}[field] AS control_changed
            FROM {_summed(columns_of([difference], _SUMS), maps)} AS m
            ARRAY JOIN mapKeys(mapAdd({maps[0]}, {maps[1]})) AS field
        ) AS s"""
    return Described(
        "field_changes", "Field changes: which fields of JSON answers differ.",
        SLICE,
        (
            Column("field", "String", "JSON Pointer of the field, indices of arrays as *; other: "
                   "fields beyond the most frequent", value="d.field"),
            Column("pairs", "UInt64", "Pairs whose JSON was compared", value="d.units"),
            Column("changed", "UInt64", "Pairs in which the field differs", value="d.changed"),
            Column("stable", _SHARE, "Share of stable's own second runs in which it differs; NULL "
                   "without control sides", value="d.stable"),
            Column("candidate", _SHARE, "Share of pairs in which it differs", value="d.candidate"),
            Column("delta", _SHARE, "Beyond stable's own noise: candidate less stable",
                   value="d.delta"),
            *_approx("d.variance", "delta"),
        ),
        _estimated(f"{difference.row()} AS row", inner, kept=("field", "changed")),
        "Which fields of JSON answers differ, and how much more often than stable's own second run",
    )  # fmt: skip


DESCRIBED: Final = (
    _LANGUAGE_DELTAS,
    _latency(),
    _JSON_FAILURES,
    _TOOL_CALL_CHANGES,
    _cost_impact(),
    _field_changes(),
    _FEEDBACK,
)
_DECISION: Final = (
    ("guardrail", LABEL, "Guardrail on the metric in the newest decision; empty without one"),
    ("limit", LABEL, "What it limits"),
    ("status", LABEL, "breach, pass, open or waiting"),
    ("harm", _SHARE, "The decision's estimate of harm; positive is worse"),
    ("low", _SHARE, "Lower end of the decision's interval of harm, 95 % at all looks together"),
    ("high", _SHARE, "Upper end of the decision's interval of harm"),
    ("harm_margin", _SHARE, "Harm that the policy tolerates"),
)
_BY_DECISION: Final = """\
LEFT JOIN (
    SELECT
        rollout_id,
        mode,
        metric,
        substring(slice, length('language:') + 1) AS language,
        argMin(
            (guardrail, limit, status, harm, low, high, toNullable(harm_margin)),
            limit IN ('max', 'min')
        ) AS evidence
    FROM evidence
    WHERE startsWith(slice, 'language:') AND NOT position(slice, ',')
    GROUP BY rollout_id, mode, metric, language
) AS e
ON e.rollout_id = d.rollout_id AND e.mode = d.mode AND e.metric = d.metric
    AND e.language = d.language
"""
"""A limit on the change says more of a difference than one on the level, so it goes first."""


def _decision_columns() -> tuple[Column, ...]:
    return tuple(
        Column(f"decision_{name}", type_, comment, value=f"e.evidence.{number}")
        for number, (name, type_, comment) in enumerate(_DECISION, 1)
    )


def _view(described: Described, *, by_day: bool) -> View:
    keys = {one.name: f"w.{one.name}" for one in described.keys}
    if by_day:
        keys["day"] = "toDate(w.window_start, 'UTC')"
    source = described.source.replace("{keys}", ", ".join(keys)).replace(
        "{inner}", ", ".join(f"{value} AS {name}" for name, value in keys.items())
    )
    return View(
        described.name + ("_daily" if by_day else ""),
        described.title.replace(":", ", by day:" if by_day else ":", 1),
        (
            *_of(described.keys),
            *((_DAY,) if by_day else ()),
            *described.columns,
        ),
        (),
        described.comment + (", by UTC day" if by_day else ""),
        source,
    )


def _with_decisions(measured: View) -> View:
    """Language deltas: what was measured beside the newest decision.

    What was measured is a view of its own: a subquery is planned twice where it is joined.
    """
    columns = tuple(replace(one, value=f"d.{one.name}") for one in measured.columns)
    return replace(
        measured,
        name=_LANGUAGE_DELTAS.name,
        title=_LANGUAGE_DELTAS.title,
        columns=(*columns, *_decision_columns()),
        comment=_LANGUAGE_DELTAS.comment,
        source=f"{measured.name} AS d\n{_BY_DECISION}",
    )


EVIDENCE_VIEW: Final = _evidence()
LANGUAGE_DIFFERENCES: Final = replace(
    _view(_LANGUAGE_DELTAS, by_day=False),
    name="language_differences",
    title="Language differences: `language_deltas` without what decisions say.",
    comment=f"{_LANGUAGE_DELTAS.comment}, without what decisions say",
)
ANALYST_VIEWS: Final = (
    EVIDENCE_VIEW,
    ROLLOUT_HEALTH,
    LANGUAGE_DIFFERENCES,
    _with_decisions(LANGUAGE_DIFFERENCES),
    _view(_LANGUAGE_DELTAS, by_day=True),
    *(_view(one, by_day=by_day) for one in DESCRIBED[1:] for by_day in (False, True)),
)
