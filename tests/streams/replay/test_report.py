"""The report from window rows: exact shape, nulls, slices."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import orjson
import pytest

from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.measures import SUMS
from understudy.schemas.window_measures import EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow
from understudy.streams.replay.report import report

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SIDE_KEYS = [
    "requests", "models", "served", "unreadable_fields", "client_errors", "gateway_errors",
    "model_requests", "errors", "timeouts", "unreadable", "fallback_known", "fallbacks",
    "cache_hits", "finish_reason_known", "truncated", "content_filtered", "answers", "refusals",
    "empties", "incompletes", "reasoning_leaks", "texts", "garbled", "repetitive", "json_expected",
    "json_valid", "json_schema_checked", "json_schema_valid", "tools_offered",
    "tool_arguments_invalid", "tool_calls_invalid", "tool_calls_missing", "language_checked",
    "language_match", "duration_ms", "time_to_first_token_ms", "input_tokens",
    "cached_input_tokens", "reasoning_tokens", "output_tokens", "unpriced", "cost_usd",
]  # fmt: skip
NO_CHANGES = {one.name: 0 for one in SUMS["pair"] if "_only_" in one.name}
NOTHING_MEASURED = {
    **dict.fromkeys((
        "answered_rate", "texts_rate", "identical_rate", "identical_folded_rate",
        "similarity_mean", "json_compared_rate", "json_equal_rate", "tool_calls_compared_rate",
        "tool_names_match_rate", "tool_calls_match_rate", "finish_reason_match_rate",
        "request_time_skewed_rate",
    )),
    **NO_CHANGES,
    **dict.fromkeys((
        "duration_ratio_geometric_mean", "time_to_first_token_ratio_geometric_mean",
        "output_characters_diff_mean", "output_tokens_diff_mean", "cost_usd_diff_mean",
    )),
}  # fmt: skip


def row(**changes: Any) -> WindowRow:
    fields: dict[str, Any] = {
        "rollout_id": "r", "mode": "shadow", "language": "en", "workflow": "chat",
        "window_start": START, "window_s": 10, "partition": 0, "version": 1,
    }  # fmt: skip
    return WindowRow(**{**fields, **changes})


def paired(pairs: int, **changes: Any) -> WindowRow:
    side = SideSums(requests=pairs)
    sums = {"stable": side, "candidate": side, "pair": PairSums(pairs=pairs)}
    return row(**{**sums, "events": EventCounts(paired=2 * pairs), **changes})


def buckets(*values: float) -> dict[int, int]:
    import numpy as np

    return {int(bucket): 1 for bucket in log_bucket(np.array(values))}


def test_the_shape_is_the_promised_one() -> None:
    document = report([paired(3)], 6)
    assert list(document) == [
        "events",
        "unreadable_fields",
        "pairs",
        "unmatched",
        "single",
        "rollouts",
    ]
    assert document["events"] == {
        "read": 6, "invalid": 0, "duplicate": 0, "superseded": 0, "late": 0,
    }  # fmt: skip
    (rollout,) = document["rollouts"]
    assert list(rollout) == ["rollout_id", "slices"]
    for piece in rollout["slices"]:
        assert list(piece) == [
            "mode", "language", "workflow", "pairs", "stable", "candidate", "delta",
        ]  # fmt: skip
        assert list(piece["stable"]) == list(piece["candidate"])
        assert [key for key in piece["stable"] if key in SIDE_KEYS] == SIDE_KEYS
        assert piece["delta"].keys() == NOTHING_MEASURED.keys()
        assert list(piece["stable"]["duration_ms"]) == ["p50", "p95", "p99"]
    assert json.loads(orjson.dumps(document)) == document


def test_nothing_is_an_empty_report() -> None:
    document = report([], 0)
    assert document["rollouts"] == []
    assert document["pairs"] == 0


def test_what_nothing_stands_under_is_null_and_a_count_is_zero() -> None:
    (_, piece) = report([paired(2)], 4)["rollouts"][0]["slices"]
    assert piece["delta"] == NOTHING_MEASURED | {
        "answered_rate": 0.0, "request_time_skewed_rate": 0.0,
    }  # fmt: skip
    assert piece["stable"]["duration_ms"] == {"p50": None, "p95": None, "p99": None}
    assert piece["stable"]["cost_usd"] == 0.0


def test_rates_and_means_are_over_their_own_counts() -> None:
    pair = PairSums(
        pairs=10, answered=9, texts=8, identical=2, similarity_count=8, similarity_sum=6.0,
        tool_calls_compared=4, tool_calls_match=3, json_valid_only_stable=1,
        duration_ratio_count=2, duration_ratio_ln_sum=2.0,
        cost_usd_count=4, cost_usd_stable_sum=1.0, cost_usd_candidate_sum=3.0,
    )  # fmt: skip
    (whole, _) = report([paired(10, pair=pair)], 20)["rollouts"][0]["slices"]
    assert whole["delta"] == NOTHING_MEASURED | {
        "answered_rate": 0.9, "texts_rate": pytest.approx(8 / 9), "identical_rate": 0.25,
        "identical_folded_rate": 0.0, "similarity_mean": 0.75, "json_valid_only_stable": 1,
        "json_compared_rate": 0.0, "tool_calls_compared_rate": pytest.approx(4 / 9),
        "tool_calls_match_rate": 0.75, "tool_names_match_rate": 0.0,
        "finish_reason_match_rate": 0.0,
        "request_time_skewed_rate": 0.0,
        "duration_ratio_geometric_mean": pytest.approx(2.718281828),
        "cost_usd_diff_mean": 0.5,
    }  # fmt: skip


def test_slices_add_up_over_windows_and_partitions() -> None:
    later = START + dt.timedelta(seconds=10)
    rows = [
        paired(1, stable=SideSums(requests=1, duration_ms_histogram=buckets(10.0))),
        paired(2, window_start=later, stable=SideSums(requests=2, errors=1)),
        paired(4, partition=1,
               stable=SideSums(requests=4, duration_ms_histogram=buckets(20.0, 40.0))),
        paired(8, language="ja", workflow=""),
    ]  # fmt: skip
    whole, english, japanese = report(rows, 30)["rollouts"][0]["slices"]
    assert (whole["language"], whole["workflow"], whole["pairs"]) == (None, None, 15)
    assert (english["language"], english["workflow"], english["pairs"]) == ("en", "chat", 7)
    assert (japanese["language"], japanese["workflow"], japanese["pairs"]) == ("ja", None, 8)
    assert english["stable"]["errors"] == whole["stable"]["errors"] == 1
    assert english["stable"]["duration_ms"]["p50"] == pytest.approx(20.0, rel=0.01)
    assert english["stable"]["duration_ms"]["p99"] == pytest.approx(40.0, rel=0.01)


def test_each_mode_of_a_rollout_has_its_own_whole() -> None:
    alone = row(mode="canary", candidate=SideSums(requests=5), events=EventCounts(single=5))
    document = report([paired(3), alone], 11)
    slices = document["rollouts"][0]["slices"]
    assert [(s["mode"], s["language"], s["pairs"]) for s in slices] == [
        ("canary", None, 0), ("shadow", None, 3), ("canary", "en", 0), ("shadow", "en", 3),
    ]  # fmt: skip
    assert document["single"] == {"stable": 0, "candidate": 5}
    assert document["pairs"] == 3


def test_rows_that_only_account_for_events_are_no_slice() -> None:
    rows = [
        paired(1),
        row(language="de", events=EventCounts(unmatched_stable=1, unmatched_candidate=2)),
        row(rollout_id="", mode=None, language="und", workflow="", events=EventCounts(invalid=4)),
        row(rollout_id="other", events=EventCounts(late=1, duplicate=2, unmatched_control=9)),
    ]
    document = report(rows, 21)
    assert document["events"] == {
        "read": 21, "invalid": 4, "duplicate": 2, "superseded": 0, "late": 1,
    }  # fmt: skip
    assert document["unmatched"] == {"stable": 1, "candidate": 2}
    assert [rollout["rollout_id"] for rollout in document["rollouts"]] == ["r"]
    assert [piece["language"] for piece in document["rollouts"][0]["slices"]] == [None, "en"]


def test_rollouts_and_slices_come_in_a_fixed_order() -> None:
    rows = [paired(1, rollout_id=r, language=lang) for r in "ba" for lang in ("ja", "ar", "en")]
    forwards, backwards = report(rows, 12), report(reversed(rows), 12)
    assert forwards == backwards
    assert [rollout["rollout_id"] for rollout in forwards["rollouts"]] == ["a", "b"]
    assert [s["language"] for s in forwards["rollouts"][0]["slices"]] == [None, "ar", "en", "ja"]
