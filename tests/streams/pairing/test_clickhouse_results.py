"""Results of pairing as blocks: comparisons that come one by one leave as one block."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from tests.streams.pairing.log import Log, event
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.pairing import clickhouse_results
from understudy.streams.pairing.clickhouse_results import (
    ClickHouseResults,
    WaitingComparisons,
    comparison_block,
)
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.records import BatchOutput, JointOutput

WINDOW_MS = 10_000


def compared(number: int, *, alone: bool = False) -> Comparisons:
    """One comparison: of a pair, or of a candidate that is alone by design."""
    sides = ("candidate",) if alone else ("stable", "candidate")
    changes = {"mode": "canary", "sides": ["candidate"]} if alone else {}
    (outcome,) = Log().read(*(event(f"p{number}", side, 1.0, **changes) for side in sides)).outcomes
    (some,) = outcome.comparisons
    return some


def waiting(*comparisons: Comparisons) -> WaitingComparisons:
    first, *others = (WaitingComparisons([one], WINDOW_MS) for one in comparisons)
    for other in others:
        first.join(other)
    return first


def ids(joined: WaitingComparisons) -> list[str]:
    return [pair_id for one in joined._comparisons for pair_id in one.requests.pair_id]


def test_one_block_of_each_kind() -> None:
    pairs, alone = [compared(1), compared(2)], compared(3, alone=True)
    joined = waiting(pairs[0], alone, pairs[1])
    assert (joined.table, joined.rows, joined.is_full) == ("comparisons", 3, False)
    both = clickhouse_results.merge_comparisons(pairs)[0]
    blocks = [comparison_block(one, WINDOW_MS).payload for one in (both, alone)]
    assert joined.payload == b"".join(blocks)


def test_a_single_one_is_the_block_that_it_was() -> None:
    one = compared(1)
    assert waiting(one).payload == comparison_block(one, WINDOW_MS).payload


def test_many_parts_are_made_one() -> None:
    some = [compared(number) for number in range(20)]
    joined = waiting(*some)
    assert joined.rows == 20
    assert ids(joined) == [f"p{number}" for number in range(20)]
    assert len(joined._comparisons) < clickhouse_results._MOST_PARTS
    assert joined.nbytes == pytest.approx(len(joined.payload), rel=0.1)


def test_many_rows_take_no_more_in() -> None:
    rows = clickhouse_results.MANY_ROWS
    one = compared(1)
    assert not WaitingComparisons([one] * (rows - 1), WINDOW_MS).is_full
    assert WaitingComparisons([one] * rows, WINDOW_MS).is_full


def test_once_they_are_many_they_are_encoded() -> None:
    some = clickhouse_results.merge_comparisons([compared(number) for number in range(500)])
    joined = WaitingComparisons(some, WINDOW_MS)
    assert joined.nbytes == pytest.approx(len(joined.payload), rel=0.1)
    joined.join(WaitingComparisons(some, WINDOW_MS))
    assert joined.is_full
    assert joined.rows == 1_000
    assert joined.nbytes == len(joined.payload)
    (merged,) = clickhouse_results.merge_comparisons(some * 2)
    assert joined.payload == comparison_block(merged, WINDOW_MS).payload


def test_long_names_of_models_are_counted() -> None:
    response = {"output": "hello", "model": "m" * 2_000_000}
    (outcome,) = (
        Log()
        .read(event("p1", "stable", 1.0), event("p1", "candidate", 1.0, response=response))
        .outcomes
    )
    one = WaitingComparisons(outcome.comparisons, WINDOW_MS)
    assert one.nbytes == pytest.approx(len(one.payload), rel=0.1)
    assert one.nbytes > 2_000_000
    assert one.is_full
    joined = waiting(compared(2))
    joined.join(one)
    assert joined.nbytes == len(joined.payload) > 2_000_000
    assert joined.is_full


def test_many_that_come_at_once_are_encoded_at_once() -> None:
    numbers = range(clickhouse_results.MANY_ROWS)
    (many,) = clickhouse_results.merge_comparisons([compared(number) for number in numbers])
    loader = Mock()
    results = ClickHouseResults(loader, WINDOW_MS)
    results.put(JointOutput({0: BatchOutput()}, [many, compared(300, alone=True)]))
    (at_once, waits), _ = loader.put.call_args.args
    assert isinstance(at_once, Block)
    assert at_once.rows == len(many)
    assert isinstance(waits, WaitingComparisons)
    assert waits.rows == 1
