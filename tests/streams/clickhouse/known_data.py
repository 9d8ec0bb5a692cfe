"""A rollout of two weeks, with numbers that are known, in every table.

Each day, language and partition is one window of 1 000 requests. English is the same on both
sides. In Japanese the candidate's JSON got worse a week ago: from then on 45 answers in a thousand,
fenced, fail where stable's do not, instead of 10.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from clickhouse_connect.driver.client import Client

from tests.streams.alerting.samples import decision
from tests.streams.clickhouse import samples
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.window_columns import window_columns
from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.decisions import encode_decision
from understudy.schemas.window_measures import ControlSums, EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.comparison_rows import comparison_columns, unmatched_columns
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import COMPARISONS, UNMATCHED, WINDOWS, block

ROLLOUT: Final = "checkout"
DAYS: Final = 14
N: Final = 1_000
"""Requests of a language, day and partition."""
PARTITIONS: Final = 2
ONLY_STABLE: Final = 5
"""Pairs a thousand in which stable's JSON alone is invalid."""
ONLY_CANDIDATE: Final = {("en", False): 5, ("en", True): 5, ("ja", False): 10, ("ja", True): 45}
"""The same of the candidate, by language and whether it is the last week."""
BOTH: Final = 5
PRICE: Final = 0.002
"""Of each answer of stable, in dollars; the candidate's cost a quarter more."""
DURATION_MS: Final = {"stable": 1_000.0, "candidate": 1_500.0}


def fill(client: Client) -> dt.datetime:
    """Fill a migrated database; midnight, UTC, of the last day, which is today."""
    ((today,),) = client.query("SELECT toDate(now(), 'UTC')").result_rows
    last = dt.datetime.combine(today, dt.time(), dt.UTC)
    rows = [
        row(last - dt.timedelta(days=age), language, partition, is_last_week=age < DAYS // 2)
        for age in range(DAYS)
        for language in ("en", "ja")
        for partition in range(PARTITIONS)
    ]
    ratings = [_ratings(one) for one in rows if one.partition == 0]
    insert(client, block(WINDOWS, window_columns([*rows, *ratings])))
    roll_up(client)
    _decide(client, last)
    _compare(client, last)
    return last


def row(start: dt.datetime, language: str, partition: int, *, is_last_week: bool) -> WindowRow:
    """One window of shadow traffic."""
    only_candidate = ONLY_CANDIDATE[language, is_last_week]
    stable = _side("stable", ONLY_STABLE + BOTH)
    candidate = _side("candidate", only_candidate + BOTH)
    return WindowRow(
        rollout_id=ROLLOUT, mode="shadow", language=language, workflow="extract",
        window_start=start, window_s=10, partition=partition, version=7, closed=True,
        events=EventCounts(paired=2 * N, unmatched_candidate=4, late=1, duplicate=2),
        stable=stable, candidate=candidate,
        pair=PairSums(
            pairs=N, answered=N, model_pairs=N, json_expected_both=N,
            json_valid_only_stable=only_candidate, json_valid_only_candidate=ONLY_STABLE,
            json_valid_both=N - ONLY_STABLE - only_candidate - BOTH,
            error_only_candidate=3, error_both=2, tool_call_invalid_only_candidate=9,
            json_compared=900, json_equal=800,
            json_changed_fields={"/total": 90, "/items/*/id": 18},
            tool_calls_compared=500, tool_calls_match=450, tool_names_match=480,
            cost_usd_count=N, cost_usd_stable_sum=PRICE * N,
            cost_usd_candidate_sum=1.25 * PRICE * N,
            cost_usd_stable_squares=PRICE**2 * N,
            cost_usd_candidate_squares=(1.25 * PRICE) ** 2 * N,
            cost_usd_products=1.25 * PRICE**2 * N,
            duration_ratio_count=N, duration_ratio_ln_sum=N * float(np.log(1.5)),
            duration_ratio_ln_squares=N * float(np.log(1.5)) ** 2 + 40.0,
            similarity_count=N, similarity_sum=900.0,
        ),
        control=ControlSums(
            pairs=200, answered=200, json_compared=180, json_equal=171,
            json_changed_fields={"/items/*/id": 9}, tool_calls_compared=100, tool_calls_match=95,
            similarity_count=200, similarity_sum=190.0,
        ),
    )  # fmt: skip


def _side(side: str, invalid: int) -> SideSums:
    is_stable = side == "stable"
    cost = PRICE if is_stable else 1.25 * PRICE
    bucket = int(log_bucket(np.array([DURATION_MS[side]]))[0])
    tail = int(log_bucket(np.array([3 * DURATION_MS[side]]))[0])
    return SideSums(
        requests=N, served=N if is_stable else 0, model_requests=N, answers=N, texts=N,
        errors=2 if is_stable else 5, models={f"{side}-1": N},
        json_expected=N, json_valid=N - invalid, json_fenced=0 if is_stable else invalid,
        json_not_json=invalid if is_stable else 0,
        json_schema_checked=N, json_schema_valid=N - invalid,
        tools_offered=500, tools_called=450, tool_calls_invalid=0 if is_stable else 9,
        cost_usd_count=N, cost_usd_sum=cost * N, cost_usd_squares=cost**2 * N,
        output_tokens_count=N, output_tokens_sum=100 * N, output_tokens_squares=10_000 * N,
        duration_ms_count=N, duration_ms_sum=DURATION_MS[side] * N,
        duration_ms_ln_sum=float(np.log(DURATION_MS[side])) * N,
        duration_ms_ln_squares=float(np.log(DURATION_MS[side])) ** 2 * N,
        duration_ms_histogram={bucket: N - 100, tail: 100},
    )  # fmt: skip


def _ratings(one: WindowRow) -> WindowRow:
    """Users' ratings of the same day: stable's are positive in 80 of 100, the candidate's in 70."""
    stable, candidate = (
        SideSums(feedback_score_count=100, feedback_score_sum=float(k), feedback_positive=k)
        for k in (80, 70)
    )
    return msgspec.structs.replace(
        one, source="feedback", events=EventCounts(single=200), stable=stable, candidate=candidate,
        pair=PairSums(), control=ControlSums(), window_start=one.window_start,
    )  # fmt: skip


def evidence(slice_name: str, harm: float, status: str) -> dict[str, object]:
    """Of the guardrail on JSON validity."""
    return {
        "guardrail": "json_valid_rate", "metric": "json_valid_rate", "slice": slice_name,
        "action": "rollback", "limit": "max_drop", "margin": 0.01, "relative": False,
        "unit": "share", "required": True, "status": status, "units": 28_000,
        "units_closed": 28_000, "candidate": 0.97, "stable": 0.99, "harm": harm,
        "interval": [harm - 0.004, harm + 0.004], "harm_margin": 0.01, "weight": 0.5,
        "log_rollback": 6.0, "log_promotion": 0.0, "design_effect": 1.0, "statistics": {},
        "independent_units": 28_000,
    }  # fmt: skip


def _decide(client: Client, last: dt.datetime) -> None:
    """Two decisions, of which the second rolls back; the first is stored twice."""
    made = []
    for number, (verdict, at) in enumerate(
        [("hold", last - dt.timedelta(days=7)), ("rollback", last + dt.timedelta(minutes=5))]
    ):
        raw = msgspec.to_builtins(decision(verdict, rollout_id=ROLLOUT, sequence=number))
        raw["decided_at"] = raw["since"] = at
        raw["reasons"] = [f"JSON validity in `ja`: {verdict}"]
        raw["stage"]["stage"]["mode"] = "shadow"
        raw["evidence"] = [
            evidence("all", 0.008, "pass"),
            evidence("language:ja", 0.022, "breach"),
            evidence("language:en", 0.0, "pass"),
        ]
        one = msgspec.convert(raw, type(decision()))
        made += [(one, encode_decision(one))] * (2 - number)
    insert(client, decision_block(made))


def _compare(client: Client, last: dt.datetime) -> None:
    """Ten requests of the last day, and two sides without a partner."""
    rng = np.random.default_rng(1)
    n = 10
    identity = samples.identity(rng, n)
    at = np.full(n, int(last.timestamp() * 1000)) + np.arange(n)
    columns = comparison_columns(
        identity, stable=samples.side_measures(rng, n), candidate=samples.side_measures(rng, n),
        pair=samples.pair_measures(rng, n),
    )  # fmt: skip
    columns |= {
        "rollout_id": [ROLLOUT] * n, "mode": ["shadow"] * n, "language": ["ja"] * n,
        "workflow": ["extract"] * n, "request_time": at, "window_start": at,
        "pair_id": [f"pair-{number}" for number in range(n)],
        "stable_error": np.zeros(n, bool), "candidate_error": np.arange(n) < 3,
        "candidate_error_type": ["timeout"] * 2 + ["overloaded"] + [""] * 7,
        "candidate_error_status": np.array([504, 504, 529] + [0] * 7),
        "stable_json_state": np.full(n, 1), "candidate_json_state": np.array([2] * 4 + [1] * 6),
    }  # fmt: skip
    insert(client, block(COMPARISONS, columns))
    sides = unmatched_columns(samples.unmatched_sides(rng, 2))
    sides |= {
        "rollout_id": [ROLLOUT] * 2, "request_time": at[:2], "window_start": at[:2],
        "side": np.array([2, 2]), "reason": np.array([1, 1]), "model": ["candidate-1"] * 2,
    }  # fmt: skip
    insert(client, block(UNMATCHED, sides))


def of(rows: Sequence[dict[str, object]], **wanted: object) -> dict[str, object]:
    """The row with these values; there must be one."""
    found = [row for row in rows if wanted.items() <= row.items()]
    assert len(found) == 1, (wanted, found)
    return found[0]
