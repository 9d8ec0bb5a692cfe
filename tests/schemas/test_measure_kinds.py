"""Each kind of measure adds the sums that it names, of types that hold them."""

from __future__ import annotations

import pytest

from understudy.schemas.measure_kinds import (
    PAIRS,
    RATINGS,
    SIDES,
    Category,
    Distribution,
    HistogramScale,
    Label,
    Measure,
    Number,
    Outcome,
    Sum,
    SumKind,
)
from understudy.schemas.measures import Checked

CHECK = Category(
    "polite", "Whether the answer is polite",
    Checked, absent=Checked.UNCHECKED,
    known="tone_checked", known_says="answered with a known tone",
    success="polite", passing=Checked.YES, passing_says="answered politely",
    failures=((Checked.NO, Sum("rude", "Rude")),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "own", "paired"),
    [
        (Label("model", "Model"), [], []),
        (Label("model", "Model", names=Sum("models", "By model", SumKind.NAMES)), ["models"], []),
        (Number("depth", "Depth", "UInt16"), [], []),
        (
            Number("depth", "Depth", "UInt16", total=Sum("depth_total", "Sum of depths"),
                   above_least=Sum("deep", "Deep ones")),
            ["depth_total", "deep"], [],
        ),
        (Outcome("late", "came late"), ["late"], []),
        (
            Outcome("late", "came late", count="late_ones", paired_among="answered"),
            ["late_ones"], ["late_only_stable", "late_only_candidate", "late_both"],
        ),
        (
            Outcome("known", "told it", known_both="known_both"),
            ["known"], ["known_both"],
        ),
        (
            CHECK, ["tone_checked", "polite", "rude"],
            ["tone_checked_both", "polite_only_stable", "polite_only_candidate", "polite_both"],
        ),
        (
            Distribution("size", "Size", "size", "kB", 0.5),
            ["size_count", "size_sum"], [],
        ),
        (
            Distribution("size", "Size", "size", "kB", 0.5, counted=False, squares=True,
                         logarithms=True, histogram=HistogramScale.LOGARITHMIC),
            ["size_sum", "size_squares", "size_ln_sum", "size_ln_squares", "size_histogram"], [],
        ),
        (
            Distribution("size", "Size", "size", "kB", 0.5, ratio="size_ratio"),
            ["size_count", "size_sum"],
            ["size_ratio_count", "size_ratio_ln_sum", "size_ratio_ln_squares",
             "size_ratio_histogram"],
        ),
        (
            Distribution("size", "Size", "size", "kB", 0.5, products=True),
            ["size_count", "size_sum"],
            ["size_count", "size_stable_sum", "size_candidate_sum", "size_stable_squares",
             "size_candidate_squares", "size_products"],
        ),
    ],
)  # fmt: skip
def test_the_kind_names_the_sums(measure: Measure, own: list[str], paired: list[str]) -> None:
    assert [one.name for one in measure.sums(SIDES)] == own
    assert [one.name for one in measure.paired_sums()] == paired


@pytest.mark.parametrize(
    ("one", "python", "clickhouse"),
    [
        (Sum("n", ""), "int", "UInt64"),
        (Sum("n", "", SumKind.TOTAL, 1.0), "int", "UInt64"),
        (Sum("n", "", SumKind.TOTAL, 1e-3), "float", "Float64"),
        (Sum("n", "", SumKind.PRODUCT, 1.0), "int", "UInt128"),
        (Sum("n", "", SumKind.SIGNED), "int", "Int64"),
        (Sum("n", "", SumKind.PRODUCT, 1e-3), "float", "Float64"),
        (Sum("n", "", SumKind.HISTOGRAM), "Histogram", "Map(Int32, UInt64)"),
    ],
)
def test_a_sum_of_whole_numbers_is_whole(one: Sum, python: str, clickhouse: str) -> None:
    assert (one.type_name, one.clickhouse_type) == (python, clickhouse)


def test_descriptions_are_sentences_about_the_rows_added_up() -> None:
    late = Outcome("late", "came late", paired_among="answered")
    assert late.description == "Came late"
    assert late.sums(SIDES)[0].description == "Sides that came late"
    assert late.sums(PAIRS)[0].description == "Pairs in which came late"
    assert late.paired_sums()[0].description == "Pairs in which only the stable side came late"
    score = Distribution("score", "Score", "score", "0 to 1", 1e-9)
    assert score.sums(RATINGS)[0].description == "Ratings with a known score"
    assert Outcome("x", "xxHash64 differs").description == "xxHash64 differs"


def test_states_become_an_enum() -> None:
    assert CHECK.clickhouse_type == "Enum8('unchecked' = -1, 'no' = 0, 'yes' = 1)"
