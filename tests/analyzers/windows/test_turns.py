"""What pairs of turns add, against the formulas written out for one pair after the other."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.windows.events import random_pairs
from understudy.analyzers.compare.arrays import select
from understudy.analyzers.compare.error_sources import failed_itself
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_pairs
from understudy.analyzers.compare.sides import read_sides
from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.layout import PLACES
from understudy.analyzers.windows.moments import join_limbs
from understudy.analyzers.windows.turns import (
    TurnOutcomes,
    paired_turns,
    single_turns,
    turn_count_columns,
    turn_pair_columns,
)
from understudy.schemas.events import Event

PAIRS = random_pairs(seed=5, count=60)
OPTIONS = CompareOptions()
STABLE, CANDIDATE = (
    read_sides([pair[side] for pair in PAIRS], ["en"] * len(PAIRS), OPTIONS) for side in (0, 1)
)
PAIRED = paired_turns(
    STABLE.measures, CANDIDATE.measures, compare_pairs(STABLE, CANDIDATE, OPTIONS)
)
SINGLE = single_turns(STABLE.measures)
ONE, OTHER = list(range(30)), list(range(30, 60))


def added(section: str, outcomes: TurnOutcomes) -> dict[str, list[int]]:
    columns = turn_pair_columns(section, select(outcomes, ONE), select(outcomes, OTHER))
    return {
        name: [join_limbs(*part) for part in values.T.tolist()]
        if values.ndim == 2
        else values.tolist()
        for name, values in columns.numbers.items()
    }


def failed(event: Event) -> int:
    return failed_itself(event)


def tokens(event: Event) -> int | None:
    return event.usage.output_tokens if event.usage else None


@pytest.mark.parametrize(
    ("section", "outcomes"),
    [("turns", PAIRED), ("stable_turns", SINGLE), ("candidate_turns", SINGLE)],
)
def test_columns_are_those_of_the_contract(section: str, outcomes: TurnOutcomes) -> None:
    counts = WindowColumns()
    turn_count_columns(section, np.array([1, 2]), counts)
    wanted = {name for name, place in PLACES.items() if place.section == section}
    assert set(added(section, outcomes)) | set(counts.numbers) == wanted


def test_turns_are_counted() -> None:
    columns = WindowColumns()
    turn_count_columns("turns", np.array([0, 1, 5, 1]), columns)
    assert {name: values.tolist() for name, values in columns.numbers.items()} == {
        "turns_requests": [0, 1, 1, 1],
        "turns_first": [0, 1, 0, 1],
        "turns_earlier": [0, 0, 4, 0],
    }


def test_errors_of_pairs() -> None:
    found = added("turns", PAIRED)
    x = [failed(candidate) - failed(stable) for stable, candidate in PAIRS]
    assert {-1, 1} <= set(x)
    assert found["turns_error_pairs"] == [1] * 30
    assert found["turns_error_sums"] == [x[i] + x[j] for i, j in zip(ONE, OTHER, strict=True)]
    assert found["turns_error_products"] == [x[i] * x[j] for i, j in zip(ONE, OTHER, strict=True)]


def test_errors_of_sides() -> None:
    found = added("stable_turns", SINGLE)
    x = [failed(stable) for stable, _ in PAIRS]
    assert found["stable_turns_error_products"] == [
        x[i] * x[j] for i, j in zip(ONE, OTHER, strict=True)
    ]


def test_what_is_unknown_of_one_turn_adds_nothing() -> None:
    found = added("turns", PAIRED)
    place = next(
        place
        for place in range(PAIRED.x.shape[1])
        if 0 < PAIRED.known[:, place].sum() < len(PAIRED)
    )
    name = list(found)[3 * place].removesuffix("_pairs")
    both = PAIRED.known[ONE, place] & PAIRED.known[OTHER, place]
    assert found[f"{name}_pairs"] == both.astype(int).tolist()
    for rest in ("sums", "products"):
        assert not np.array(found[f"{name}_{rest}"])[~both].any()


def test_tokens_of_pairs_are_exact() -> None:
    found = added("turns", PAIRED)
    expected = []
    for i, j in zip(ONE, OTHER, strict=True):
        events = [*PAIRS[i], *PAIRS[j]]
        s_i, c_i, s_j, c_j = map(tokens, events)
        if any(map(failed, events)) or None in (s_i, c_i, s_j, c_j):
            expected.append((0, 0, 0, 0))
        else:
            assert s_i is not None
            assert c_i is not None
            assert s_j is not None
            assert c_j is not None
            expected.append((1, c_i + c_j, s_i * s_j, c_i * s_j + s_i * c_j))
    names = ("pairs", "candidate_sums", "stable_products", "cross_products")
    columns = (found[f"turns_output_tokens_{name}"] for name in names)
    assert list(zip(*columns, strict=True)) == expected
    assert any(row[0] for row in expected)
