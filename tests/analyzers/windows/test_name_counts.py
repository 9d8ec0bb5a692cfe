"""Counts by name: the same whatever the order, bounded however many names there are."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.windows.name_counts import (
    MAX_KEPT,
    MAX_NAME_LENGTH,
    add_name,
    merge_names,
    most_frequent,
)
from understudy.schemas.measure_kinds import MAX_NAMES, OTHER_NAMES


def counted(names: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        add_name(counts, name, 1)
    return counts


def test_few_names_are_all_there_in_order() -> None:
    assert most_frequent(counted(["b", "a", "b"])) == {"a": 1, "b": 2}
    assert list(most_frequent(counted(["b", "a"]))) == ["a", "b"]
    assert most_frequent({}) == {}


def test_the_most_frequent_names_stay_and_the_others_are_one() -> None:
    names = [name for number in range(12) for name in [f"m{number:02}"] * (number + 1)]
    found = most_frequent(counted(names))
    assert found == {f"m{n:02}": n + 1 for n in range(4, 12)} | {OTHER_NAMES: 1 + 2 + 3 + 4}


def test_a_model_of_that_name_counts_with_the_others() -> None:
    names = [OTHER_NAMES] * 50 + [f"m{n}" for n in range(9)]
    assert most_frequent(counted(names))[OTHER_NAMES] == 50 + 9 - (MAX_NAMES - 1)


@given(st.lists(st.integers(0, 200), max_size=400), st.randoms())
def test_the_order_does_not_show_and_memory_is_bounded(numbers: list[int], rng: object) -> None:
    names = [f"model-{number}" for number in numbers]
    shuffled = list(names)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    counts = counted(names)
    assert counted(shuffled) == counts
    assert len(counts) <= MAX_KEPT + 1
    assert sum(counts.values()) == len(names)
    exact = Counter(names)
    assert all(count == exact[name] for name, count in counts.items() if name)


def test_what_is_no_name_is_cut() -> None:
    assert most_frequent(counted(["x" * 10_000])) == {"x" * MAX_NAME_LENGTH: 1}
    assert most_frequent(counted(["\ud83c"])) == {"\ud83c": 1}


def test_counts_add_up() -> None:
    assert merge_names({"b": 1, "a": 2}, {"b": 3}) == {"a": 2, "b": 4}
