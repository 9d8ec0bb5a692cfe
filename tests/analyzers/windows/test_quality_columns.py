"""What an evaluation adds to a window: differences in tenths, levels, orders and turns."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.histogram import tenths
from understudy.analyzers.windows.quality_columns import noise_columns, quality_columns
from understudy.schemas.evaluations import Evaluation, decode_evaluation


def judged(pair_id: str = "a", **changes: Any) -> Evaluation:
    fields: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": pair_id,
        "mode": "shadow",
        "request_time": "2026-03-02T12:00:00Z",
        "evaluation_time": "2026-03-02T12:00:00Z",
        "evaluator": "helpfulness",
        "evaluator_version": "1",
    }
    return decode_evaluation(msgspec.json.encode({**fields, **changes}))


def preferring(*preferred: str, **more: Any) -> Evaluation:
    firsts = ("stable", "candidate")
    some = [
        {"preferred": one, "first": first} for one, first in zip(preferred, firsts, strict=False)
    ]
    return judged(preferences=some, **more)


def scored(stable: float, candidate: float, pair_id: str = "a", top: float = 1.0) -> Evaluation:
    scores = {"stable": stable, "candidate": candidate}
    return judged(pair_id, scores=scores, score_range=[0, top])


def added(*evaluations: Evaluation) -> WindowColumns:
    columns = WindowColumns()
    quality_columns(evaluations, columns)
    return columns


def histogram(columns: WindowColumns, name: str) -> dict[int, int]:
    _, buckets = columns.buckets[name]
    values, counts = np.unique(buckets, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_preferences_fall_on_tenths() -> None:
    columns = added(
        preferring("candidate"),
        preferring("stable"),
        preferring("tie"),
        preferring("candidate", "tie"),
        preferring("stable", "candidate"),
        scored(0.0, 1.0),
    )
    found = histogram(columns, "quality_preference_histogram")
    assert found == {-10: 1, 0: 2, 5: 1, 10: 1}
    assert histogram(columns, "quality_score_histogram") == {10: 1}
    assert columns.numbers["quality_pairs"].sum() == 6


def test_scores_keep_their_mean() -> None:
    rng = np.random.default_rng(3)
    pairs = rng.uniform(0.0, 5.0, (20_000, 2))
    columns = added(*(scored(*pair, f"p{n}", top=5.0) for n, pair in enumerate(pairs.tolist())))
    found = histogram(columns, "quality_score_histogram")
    mean = sum(bucket * count for bucket, count in found.items()) / 10 / len(pairs)
    true = float((pairs[:, 1] - pairs[:, 0]).mean()) / 5.0
    error = 0.05 / np.sqrt(len(pairs))  # of rounding by chance, whose variance is at most 1/400
    assert mean == pytest.approx(true, abs=4 * error)
    sums = [columns.numbers[f"quality_score_{side}_sum"].sum() for side in ("stable", "candidate")]
    assert sums == pytest.approx((pairs.sum(axis=0) / 5.0 / 1e-9).tolist())


def test_rounding_is_a_matter_of_the_pair_alone() -> None:
    some = [scored(0.31, 0.66, f"p{n}") for n in range(200)]
    once, again = (histogram(added(*part), "quality_score_histogram")
                   for part in (some, some[::-1]))  # fmt: skip
    assert once == again
    assert once.keys() == {3, 4}


def test_whole_tenths_are_not_rounded() -> None:
    differences = np.array([0.3, -0.7, 1.0, -1.0, 0.1 + 0.2, 0.0])
    for chance in (0.0, 0.999):
        found = tenths(differences, np.full(6, chance)).tolist()
        assert found == [3, -7, 10, -10, 3, 0]


def test_orders_tell_of_places() -> None:
    columns = added(
        preferring("stable", "candidate"),  # twice the answer shown first
        preferring("candidate", "candidate"),
        preferring("candidate"),
        preferring("tie"),
        judged(preferences=[{"preferred": "stable"}]),
    )
    totals = {name: int(values.sum()) for name, values in columns.numbers.items()}
    assert totals["quality_orders"] == 6
    assert totals["quality_first_preferred"] == 3
    assert totals["quality_second_preferred"] == 2
    assert (totals["quality_both_orders"], totals["quality_both_orders_alike"]) == (2, 1)


def test_turns_count_as_far_as_they_are_sampled() -> None:
    named: dict[str, Any] = {"conversation_id": "c", "sampling_share": 0.05}
    columns = added(
        preferring("tie", turn=1, **named),
        preferring("tie", turn=5, **named),
        preferring("tie", turn=3, conversation_id="d"),
        preferring("tie", turn=7),
        preferring("tie"),
    )
    totals = {name: int(values.sum()) for name, values in columns.numbers.items()}
    assert (totals["quality_turns"], totals["quality_first_turns"]) == (3, 1)
    assert totals["quality_earlier_turns"] == round((0.05 * 4 + 2) / 1e-6)


def test_noise_is_what_is_said_of_control() -> None:
    columns = WindowColumns()
    chosen = [{"preferred": "control", "first": "stable"}]
    noise_columns([judged(compared="control", preferences=chosen)], columns)
    assert histogram(columns, "noise_preference_histogram") == {10: 1}
    assert columns.numbers == {}
