"""What evaluators say, read from rows: of one evaluator alone, bucket by bucket."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from understudy.analyzers.guardrails.column_readers import quality_reader
from understudy.analyzers.guardrails.graded_columns import (
    DIFFERENCES,
    GRADED_FIELDS,
    GRADES,
    N_GRADES,
    NOISE,
    place_of,
)
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.schemas.window_measures import NoiseSums, QualitySums
from understudy.schemas.windows import WindowRow

ROWS = [
    WindowRow(
        rollout_id="r",
        mode="shadow",
        language="en",
        window_start=dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC),
        window_s=10,
        evaluator=evaluator,
        source="evaluations",
        partition=0,
        version=1,
        quality=QualitySums(
            pairs=7,
            preference_histogram={-10: 2, 0: 1, 5: 4},
            score_histogram={3: 7},
            score_stable_sum=2.5,
            score_candidate_sum=3.5,
            orders=7,
            first_preferred=4,
        ),
        noise=NoiseSums(preference_histogram={10: 3}),
    )
    for evaluator in ("a@1", "b@1")
]


def read(metric: str, evaluator: str) -> np.ndarray:
    reader = quality_reader(metric, evaluator)
    return reader.read(RowColumns.of_rows(ROWS, reader.names()))


def test_fields_are_what_they_are_called() -> None:
    assert len(GRADED_FIELDS) == len(set(GRADED_FIELDS))
    assert GRADED_FIELDS[GRADES] == tuple(f"difference_{round(10 * one):+d}" for one in DIFFERENCES)
    assert len(GRADED_FIELDS[NOISE]) == N_GRADES
    assert GRADED_FIELDS[NOISE][0] == "noise_-10"


@pytest.mark.parametrize(("evaluator", "row"), [("a@1", 0), ("b@1", 1)])
def test_preferences_of_one_evaluator(evaluator: str, row: int) -> None:
    own, other = read("quality_preference", evaluator)[[row, 1 - row]]
    assert not other.any()
    named = {name: value for name, value in zip(GRADED_FIELDS, own.tolist(), strict=True) if value}
    assert named == {
        "difference_-10": 2,
        "difference_+0": 1,
        "difference_+5": 4,
        "orders": 7,
        "first_preferred": 4,
        "noise_+10": 3,
    }


def test_scores_come_with_their_levels() -> None:
    own = read("quality_score", "a@1")[0]
    assert own[GRADES].sum() == own[place_of("difference_+3")] == 7
    levels = [own[place_of(f"score_{side}_sum")] for side in ("stable", "candidate")]
    assert levels == [2.5, 3.5]
    assert own[place_of("orders")] == 0
