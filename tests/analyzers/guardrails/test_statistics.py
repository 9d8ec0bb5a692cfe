"""Statistics add up, never shrink, and are read from the fields that they are named for."""

from __future__ import annotations

import msgspec
import pytest

from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.statistics import (
    AnyStatistics,
    BinaryStatistics,
    LimitStatistics,
    MeanStatistics,
    agreement_limit_reader,
    agreement_reader,
    excess_reader,
    mean_limit_reader,
    mean_reader,
    rate_limit_reader,
    rate_reader,
    tail_reader,
    time_limit_reader,
    unmatched_reader,
)
from understudy.schemas.window_measures import PairSums, SideSums
from understudy.schemas.windows import WindowRow

BINARY = BinaryStatistics(10, 1, 2, 5, 3, 2, 4, 1)
LIMIT = LimitStatistics(7, 3, 2)
MEAN = MeanStatistics(*range(1, 13))
ROW = World(harm=Harm(lost=0.1)).messages(1, 1)[0].rows[0]


def row(mode: str, **sections: object) -> WindowRow:
    return msgspec.structs.replace(
        ROW, mode=mode, stable=SideSums(), candidate=SideSums(), pair=PairSums(), **sections
    )


@pytest.mark.parametrize("one", [BINARY, LIMIT, MEAN], ids=lambda one: type(one).__name__)
def test_statistics_add_up_and_take_apart(one: AnyStatistics) -> None:
    nothing = type(one)()
    assert one
    assert not nothing
    assert one + nothing == one
    assert (one + one) - one == one
    assert one - one == nothing
    with pytest.raises(ValueError, match="holds less than an older one"):
        one - (one + one)


def test_a_single_count_that_shrinks_is_refused() -> None:
    with pytest.raises(ValueError, match="holds less"):
        LimitStatistics(9, 3, 3) - LimitStatistics(8, 4, 3)


def test_kinds_do_not_mix() -> None:
    with pytest.raises(TypeError):
        BINARY + LIMIT
    with pytest.raises(TypeError):
        MEAN - BINARY


@pytest.mark.parametrize("one", [BINARY, LIMIT, MEAN], ids=lambda one: type(one).__name__)
def test_the_kind_is_in_the_json(one: AnyStatistics) -> None:
    payload = msgspec.json.encode(one)
    assert msgspec.json.decode(payload, type=AnyStatistics) == one


def test_cost_in_ticks_outgrows_64_bits_and_survives_json() -> None:
    large = MeanStatistics(candidate_squares=2**80)
    assert msgspec.json.decode(msgspec.json.encode(large), type=AnyStatistics) == large


def test_a_bad_measure_counts_where_it_is_true() -> None:
    pair = PairSums(pairs=100, error_only_stable=2, error_only_candidate=5, error_both=1)
    paired = msgspec.structs.replace(row("shadow"), pair=pair)
    assert rate_reader("error_rate")(paired) == BinaryStatistics(100, 2, 5, both_bad=1)


def test_a_good_measure_counts_where_it_is_false() -> None:
    pair = PairSums(
        json_expected_both=90, json_valid_only_stable=5, json_valid_only_candidate=2,
        json_valid_both=80,
    )  # fmt: skip
    paired = msgspec.structs.replace(row("shadow"), pair=pair)
    assert rate_reader("json_valid_rate")(paired) == BinaryStatistics(90, 2, 5, both_bad=3)


def test_separate_arms_count_each_side() -> None:
    apart = msgspec.structs.replace(
        row("canary"),
        candidate=SideSums(requests=40, errors=3, json_expected=20, json_valid=18),
        stable=SideSums(requests=60, errors=1, json_expected=30, json_valid=30),
    )
    arms = rate_reader("error_rate")(apart)
    assert arms == BinaryStatistics(0, 0, 0, 40, 3, 3, 60, 1)
    assert rate_reader("json_valid_rate")(apart) == BinaryStatistics(0, 0, 0, 20, 2, 2, 30, 0)
    assert rate_limit_reader("json_valid_rate")(apart) == LimitStatistics(20, 2, 2)


def test_opinions_are_never_paired() -> None:
    liked = msgspec.structs.replace(
        row("interleave"),
        candidate=SideSums(feedback_score_count=10, feedback_positive=4),
        stable=SideSums(feedback_score_count=8, feedback_positive=7),
    )
    assert rate_reader("feedback")(liked) == BinaryStatistics(0, 0, 0, 10, 6, 6, 8, 1)


def test_tool_calls_are_held_against_the_second_run() -> None:
    changed = ROW.pair.tool_calls_compared - ROW.pair.tool_calls_match
    arms = agreement_reader("tool_call_match")(ROW)
    assert (arms.candidate_units, arms.candidate_bad_rollback) == (ROW.pair.pairs, changed)
    assert arms.stable_units == ROW.control.tool_calls_compared
    assert agreement_limit_reader("tool_call_match")(ROW) == LimitStatistics(
        ROW.pair.pairs, changed, changed
    )


def test_requests_without_a_side_are_counted_where_both_are_due() -> None:
    lost = ROW.events.unmatched_stable
    assert lost > 0
    assert unmatched_reader(ROW) == LimitStatistics(ROW.pair.pairs + lost, lost, lost)
    assert not unmatched_reader(msgspec.structs.replace(ROW, mode="canary"))


def test_timeouts_without_a_duration_are_slower_than_any_limit() -> None:
    side = SideSums(
        requests=13, timeouts=3, duration_ms_count=11, duration_ms_histogram={10: 6, 20: 5}
    )
    slow = msgspec.structs.replace(row("canary"), candidate=side, stable=side)
    assert time_limit_reader("duration", 15, 25)(slow) == LimitStatistics(13, 7, 2)
    assert tail_reader("duration", 10, 20, 15)(slow) == BinaryStatistics(0, 0, 0, 13, 2, 7, 13, 7)


@pytest.mark.parametrize("metric", ["cost_usd", "output_tokens"])
def test_means_of_pairs_and_of_arms_are_read_from_the_same_requests(metric: str) -> None:
    paired = mean_reader(metric)(ROW)
    arms = mean_reader(metric)(msgspec.structs.replace(ROW, mode="canary"))
    alone = mean_limit_reader(metric)(ROW)
    assert paired.pairs == arms.candidate_units == arms.stable_units == alone.pairs > 0
    assert paired.paired_candidate == arms.candidate_total == alone.paired_candidate > 0
    assert paired.paired_stable == arms.stable_total
    assert alone.paired_stable == 0
    assert paired.paired_candidate_squares == arms.candidate_squares


def test_equal_texts_disagree_by_nothing_and_others_by_the_middle_of_their_bin() -> None:
    pair = PairSums(similarity_histogram={100: 3, 49: 2})
    alike = msgspec.structs.replace(row("shadow"), pair=pair)
    excess = excess_reader("similarity_excess")(alike)
    assert (excess.candidate_units, excess.candidate_total) == (5, 2 * 101)
    assert excess.candidate_squares == 2 * 101**2
