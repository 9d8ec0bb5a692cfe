"""What ranks first is kept of each group, in any order, and its bytes are added up."""

from __future__ import annotations

import random

from tests.streams.clickhouse.test_captured_pairs import pair
from understudy.streams.pairing.ranked_pairs import RankedPair, RankedPairs


def ranked(group: str, place: int, nbytes: int = 10) -> RankedPair:
    return RankedPair((-1.0, place, f"{group}{place}"), (group,), pair(f"{group}{place}"), nbytes)


def test_the_first_of_each_group_come_before_the_second_of_any() -> None:
    pairs = RankedPairs(most=3, limit=5)
    for group, places in (("a", (4, 1, 3, 2)), ("b", (9,)), ("c", (8, 7))):
        for place in places:
            if pairs.may_take((-1.0, place, f"{group}{place}"), (group,)):
                pairs.take(ranked(group, place))
    assert [one.pair.pair_id for one in pairs.first()] == ["a1", "c7", "b9", "a2", "c8"]


def test_order_does_not_show_and_bytes_are_those_of_what_is_kept() -> None:
    some = [ranked(group, place, place) for group in "abcd" for place in range(30)]
    seen = set()
    for seed in range(20):
        random.Random(seed).shuffle(some)
        pairs = RankedPairs(most=4, limit=8)
        for one in some:
            if pairs.may_take(one.order, one.group):
                pairs.take(one)
        kept = [one for of in pairs.groups.values() for one in of]
        assert pairs.count == len(kept)
        assert pairs.nbytes == sum(one.nbytes for one in kept)
        seen.add(tuple(one.pair.pair_id for one in pairs.first()))
    assert len(seen) == 1


def test_only_what_ranks_beyond_makes_room() -> None:
    pairs = RankedPairs(most=4, limit=8)
    for place in (3, 5, 6):
        pairs.take(ranked("a", place))
    assert pairs.bytes_beyond((-1.0, 6, "a6"), ("a",)) == 0
    assert pairs.bytes_beyond((-1.0, 1, "b1"), ("b",)) == 0
    assert pairs.bytes_beyond((-1.0, 4, "a4"), ("a",)) == 20
    assert pairs.free(0, ("a",)) == 0
    assert pairs.free(11, ("a",)) == 2
    assert (pairs.count, pairs.nbytes) == (1, 10)
