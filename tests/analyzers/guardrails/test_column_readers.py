"""Readers of rows in columns: the fields that they are named for, rounded against a verdict."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.guardrails.column_readers import (
    NO_BUCKET,
    AnyColumns,
    BinaryColumns,
    LimitColumns,
    MeanColumns,
    Reader,
    TailReader,
    agreement_limit_reader,
    agreement_reader,
    excess_reader,
    lost_limit_reader,
    lost_reader,
    mean_limit_reader,
    mean_reader,
    rate_limit_reader,
    rate_reader,
    stable_rate_reader,
    time_limit_reader,
    unmatched_reader,
)
from understudy.analyzers.guardrails.row_columns import PLACES, RowColumns
from understudy.schemas.window_measures import PairSums, SideSums
from understudy.schemas.windows import WindowRow

ROW = World(harm=Harm(lost=0.1)).messages(1, 1)[0].rows[0]


def row(mode: str, **sections: object) -> WindowRow:
    return msgspec.structs.replace(
        ROW, mode=mode, stable=SideSums(), candidate=SideSums(), pair=PairSums(), **sections
    )


def read(reader: Reader, *rows: WindowRow) -> AnyColumns:
    """What a reader reads of rows, by field, numbers of one row as such."""
    statistics = reader.read(RowColumns.of_rows(rows, reader.names()))
    return named(reader.fields, statistics[0] if len(rows) == 1 else statistics)


def named(fields: tuple[str, ...], statistics: np.ndarray) -> AnyColumns:
    kinds = (BinaryColumns, LimitColumns, MeanColumns)
    kind = next(kind for kind in kinds if kind._fields == fields)
    return kind(*(part.tolist() for part in np.moveaxis(statistics, -1, 0)))


def pairs(*counts: int) -> BinaryColumns:
    """Pairs, bad on stable's side alone, on the candidate's, on both: alike in both directions."""
    return BinaryColumns(*counts, *counts[1:], *([0] * 6))


def arms(candidate: int, candidate_bad: int, stable: int, stable_bad: int) -> BinaryColumns:
    counts = (candidate, candidate_bad, candidate_bad, stable, stable_bad, stable_bad)
    return BinaryColumns(*([0] * 7), *counts)


def test_a_bad_measure_counts_where_it_is_true() -> None:
    pair = PairSums(
        model_pairs=100, fallback_only_stable=2, fallback_only_candidate=5, fallback_both=3
    )
    paired = msgspec.structs.replace(row("shadow"), pair=pair)
    assert read(rate_reader("fallback_rate"), paired) == pairs(100, 2, 5, 3)


def test_a_good_measure_counts_where_it_is_false() -> None:
    pair = PairSums(
        json_expected_both=90,
        json_valid_only_stable=5,
        json_valid_only_candidate=2,
        json_valid_both=80,
    )
    paired = msgspec.structs.replace(row("shadow"), pair=pair)
    assert read(rate_reader("json_valid_rate"), paired) == pairs(90, 2, 5, 3)


def test_separate_arms_count_each_side() -> None:
    apart = msgspec.structs.replace(
        row("canary"),
        candidate=SideSums(
            requests=40, model_requests=40, errors=3, json_expected=20, json_valid=18
        ),
        stable=SideSums(requests=60, model_requests=60, errors=1, json_expected=30, json_valid=30),
    )
    assert read(rate_reader("error_rate"), apart) == arms(40, 3, 60, 1)
    assert read(rate_reader("json_valid_rate"), apart) == arms(20, 2, 30, 0)
    assert read(rate_limit_reader("json_valid_rate"), apart) == LimitColumns(20, 2, 2)
    assert read(rate_limit_reader("error_rate"), apart) == LimitColumns(40, 3, 3)


def test_rows_of_both_kinds_are_read_side_by_side() -> None:
    pair = PairSums(
        pairs=100, model_pairs=100, error_only_stable=2, error_only_candidate=5, error_both=1
    )
    paired = msgspec.structs.replace(row("shadow"), pair=pair)
    apart = msgspec.structs.replace(
        row("canary"),
        candidate=SideSums(requests=40, model_requests=40, errors=3),
        stable=SideSums(requests=60, model_requests=60),
    )
    both = read(rate_reader("error_rate"), paired, apart)
    assert list(zip(*both, strict=True)) == [tuple(pairs(100, 2, 5, 1)), tuple(arms(40, 3, 60, 0))]


def test_opinions_are_never_paired() -> None:
    liked = msgspec.structs.replace(
        row("interleave"),
        candidate=SideSums(feedback_score_count=10, feedback_positive=4),
        stable=SideSums(feedback_score_count=8, feedback_positive=7),
    )
    assert read(rate_reader("feedback"), liked) == arms(10, 6, 8, 1)


LOST = msgspec.structs.replace(
    row("shadow"),
    candidate=SideSums(requests=100, model_requests=100, errors=6),
    stable=SideSums(requests=100, model_requests=100, errors=3),
    pair=PairSums(
        pairs=100,
        model_pairs=100,
        error_only_stable=2,
        error_only_candidate=5,
        error_both=1,
        lost_stable=10,
        lost_stable_candidate_errors=4,
        lost_candidate=20,
        lost_candidate_stable_errors=8,
    ),
)


def test_a_side_that_never_came_is_that_sides_failure() -> None:
    """Of 10 lost stable sides 4 candidates failed, of 20 lost candidates 8 stable sides did."""
    found = read(rate_reader("error_rate"), LOST)
    assert found.pairs == 130
    rollback = found.stable_only_rollback, found.candidate_only_rollback, found.both_rollback
    assert rollback == (2 + 6, 5 + 12, 1 + 8 + 4)
    promotion = found.stable_only_promotion, found.candidate_only_promotion, found.both_promotion
    assert promotion == (2, 5 + 12 + 4, 1 + 8)


def test_other_rates_do_not_count_sides_that_never_came() -> None:
    assert read(rate_reader("fallback_rate"), LOST) == pairs(100, 0, 0, 0)


def test_the_candidates_own_error_rate_counts_its_lost_sides_and_those_of_lost_partners() -> None:
    assert read(rate_limit_reader("error_rate"), LOST) == LimitColumns(130, 30, 30)


def test_stables_own_error_rate_counts_its_lost_sides_and_those_of_lost_partners() -> None:
    assert read(stable_rate_reader("error_rate"), LOST) == LimitColumns(130, 21, 21)


def test_stables_own_rates() -> None:
    apart = msgspec.structs.replace(row("canary"), stable=SideSums(json_expected=20, json_valid=1))
    assert read(stable_rate_reader("json_valid_rate"), apart) == LimitColumns(20, 19, 19)


def test_lost_sides_are_held_against_each_other() -> None:
    assert read(lost_reader(), LOST) == pairs(130, 10, 20, 0)
    assert read(lost_limit_reader(), LOST) == LimitColumns(130, 20, 20)
    single = msgspec.structs.replace(LOST, mode="canary")
    assert not any(read(lost_reader(), single))
    assert not any(read(lost_limit_reader(), single))


def test_tool_calls_are_held_against_the_second_run() -> None:
    changed = ROW.pair.tool_calls_compared - ROW.pair.tool_calls_match
    of_arms = read(agreement_reader("tool_call_match"), ROW)
    assert (of_arms.candidate_units, of_arms.candidate_bad_rollback) == (ROW.pair.pairs, changed)
    assert of_arms.stable_units == ROW.control.tool_calls_compared
    assert read(agreement_limit_reader("tool_call_match"), ROW) == LimitColumns(
        ROW.pair.pairs, changed, changed
    )


def test_requests_without_a_side_are_counted_where_both_are_due() -> None:
    lost = ROW.events.unmatched_stable
    assert lost > 0
    assert read(unmatched_reader(), ROW) == LimitColumns(ROW.pair.pairs + lost, lost, lost)
    assert not any(read(unmatched_reader(), msgspec.structs.replace(ROW, mode="canary")))


SIDE = SideSums(requests=13, timeouts=3, duration_ms_count=11, duration_ms_histogram={10: 6, 20: 5})
SLOW = msgspec.structs.replace(row("canary"), candidate=SIDE, stable=SIDE)


def test_timeouts_without_a_duration_are_slower_than_any_limit() -> None:
    assert read(time_limit_reader("duration", 15, 25), SLOW) == LimitColumns(13, 7, 2)
    tail = TailReader("duration")
    columns = RowColumns.of_rows([SLOW], tail.names())
    found = named(tail.fields, tail.read(columns, 10, 20, 15)[0])
    assert found == arms(13, 0, 13, 7)._replace(candidate_bad_rollback=2, candidate_bad_promotion=7)


def test_each_row_has_a_tail_of_its_own_and_one_without_is_not_read() -> None:
    tail = TailReader("duration")
    columns = RowColumns.of_rows([SLOW] * 3, tail.names())
    buckets = np.array([10, NO_BUCKET, 25])
    found = tail.read(columns, buckets, np.array([20, 0, 25]), np.array([15, 0, 25]))
    assert found[0].tolist() == tail.read(columns, 10, 20, 15)[0].tolist()
    assert not found[1].any()
    assert found[2].tolist() == tail.read(columns, 25, 25, 25)[2].tolist()


@pytest.mark.parametrize("metric", ["cost_usd", "output_tokens"])
def test_means_of_pairs_and_of_arms_are_read_from_the_same_requests(metric: str) -> None:
    paired = read(mean_reader(metric), ROW)
    of_arms = read(mean_reader(metric), msgspec.structs.replace(ROW, mode="canary"))
    alone = read(mean_limit_reader(metric), ROW)
    assert paired.pairs == of_arms.candidate_units == of_arms.stable_units == alone.pairs > 0
    assert paired.paired_candidate == of_arms.candidate_total == alone.paired_candidate > 0
    assert paired.paired_stable == of_arms.stable_total
    assert alone.paired_stable == 0
    assert paired.paired_candidate_squares == of_arms.candidate_squares


def test_equal_texts_disagree_by_nothing_and_others_by_the_middle_of_their_bin() -> None:
    pair = PairSums(similarity_histogram={100: 3, 49: 2})
    alike = msgspec.structs.replace(row("shadow"), pair=pair)
    excess = read(excess_reader("similarity_excess"), alike)
    assert (excess.candidate_units, excess.candidate_total) == (5, 2 * 0.505)
    assert excess.candidate_squares == pytest.approx(2 * 0.505**2)


@pytest.mark.parametrize(
    "pair",
    [
        PairSums(model_pairs=3, fallback_only_stable=2, fallback_only_candidate=2),
        PairSums(model_pairs=3, fallback_both=4),
    ],
)
def test_more_bad_pairs_than_pairs_are_refused(pair: PairSums) -> None:
    impossible = msgspec.structs.replace(row("shadow"), pair=pair)
    with pytest.raises(ValueError, match="more bad units than units"):
        read(rate_reader("fallback_rate"), impossible)


def test_more_bad_units_than_units_are_refused() -> None:
    side = SideSums(requests=3, model_requests=3, errors=4)
    impossible = msgspec.structs.replace(row("canary"), candidate=side)
    for reader in (rate_reader("error_rate"), rate_limit_reader("error_rate")):
        with pytest.raises(ValueError, match="more bad units than units"):
            read(reader, impossible)


def test_readers_ask_for_no_more_than_their_mode_needs() -> None:
    reader = rate_reader("json_valid_rate")
    assert "candidate_json_valid" not in reader.names(paired=[True])
    assert "pair_json_valid_both" not in reader.names(paired=[False])
    assert reader.names() == reader.names(paired=[True]) | reader.names(paired=[False])


# Unresolved requests


GAUGES = {
    "unresolved_awaiting_stable": np.array([10.0, 0.0]),
    "unresolved_awaiting_stable_errors": np.array([4.0, 0.0]),
    "unresolved_awaiting_candidate": np.array([20.0, 5.0]),
    "unresolved_awaiting_candidate_errors": np.array([8.0, 1.0]),
    "unresolved_awaiting_stable_fallbacks": np.array([4.0, 0.0]),
    "unresolved_awaiting_candidate_fallbacks": np.array([8.0, 1.0]),
}


def unresolved(reader: Reader) -> AnyColumns:
    """Of gauges alone: readers need nothing else for it."""
    return named(reader.fields, reader.unresolved(RowColumns(np.array([True, True]), GAUGES))[0])


def worst(pairs_: int, stable_only: int, both: int) -> BinaryColumns:
    return BinaryColumns(pairs_, stable_only, 0, both, *([0] * 9))


needs_gauges = pytest.mark.skipif(
    "unresolved_awaiting_stable_errors" not in PLACES, reason="rows do not carry the gauges yet"
)


@needs_gauges
@pytest.mark.parametrize("reader", [rate_reader("error_rate"), rate_reader("fallback_rate")])
def test_a_side_that_is_known_counts_as_known(reader: Reader) -> None:
    """The awaited side is bad if it is stable's, good if it is the candidate's."""
    assert unresolved(reader) == worst(30, (10 - 4) + 8, 4)


def test_an_outcome_that_is_told_late_is_at_its_worst_on_both_sides() -> None:
    assert unresolved(rate_reader("json_valid_rate")) == worst(30, 30, 0)


def test_a_side_that_may_still_come_is_not_lost_unless_it_is_stables() -> None:
    assert unresolved(lost_reader()) == worst(30, 10, 0)
    assert unresolved(lost_limit_reader()) == LimitColumns(30, 0, 0)


@needs_gauges
def test_a_candidate_that_is_awaited_keeps_its_limits() -> None:
    assert unresolved(rate_limit_reader("error_rate")) == LimitColumns(30, 4, 0)
    assert unresolved(rate_limit_reader("json_valid_rate")) == LimitColumns(30, 0, 0)
    assert unresolved(time_limit_reader("duration", 5, 4)) == LimitColumns(30, 0, 0)
    assert unresolved(unmatched_reader()) == LimitColumns(30, 0, 0)


def test_in_two_arms_the_candidate_is_at_its_best_and_stable_at_its_worst() -> None:
    tail = TailReader("duration")
    columns = RowColumns(np.array([True, True]), GAUGES)
    found = tail.unresolved(columns, np.array([3, NO_BUCKET]))
    assert not found[1].any()
    awaited = BinaryColumns(*([0] * 7), 30, 0, 0, 30, 30, 0)
    assert named(tail.fields, found[0]) == awaited
    assert unresolved(rate_reader("feedback")) == awaited
    assert unresolved(agreement_reader("tool_call_match")) == awaited._replace(
        stable_units=0, stable_bad_rollback=0
    )


def test_readers_say_which_gauges_they_need() -> None:
    both = {"unresolved_awaiting_stable", "unresolved_awaiting_candidate"}
    assert rate_reader("json_valid_rate").gauge_names() == both
    assert TailReader("duration").gauge_names() == both
    assert mean_reader("cost_usd").gauge_names() == frozenset()


def test_a_mean_has_no_worst() -> None:
    assert not any(unresolved(mean_reader("cost_usd")))
