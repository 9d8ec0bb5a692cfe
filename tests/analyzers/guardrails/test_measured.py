"""Which slices promotion waits for, and what it does not rest on."""

from __future__ import annotations

import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from understudy.analyzers.guardrails.measured import (
    JudgedSlice,
    StageRequests,
    are_awaited,
    is_awaited,
    required_slices,
    untold,
)

NEEDED = 5_000


@pytest.mark.parametrize(
    ("units", "seen", "awaited"),
    [
        (0, 100, False),
        (0, 100_000, False),
        (1, 5_033, True),
        (99, 14_999, True),
        (99, 15_000, False),
        (100, 15_000, True),
        (100, 20_000, False),
        (134, 20_000, True),
        (15_000, 15_000, True),
    ],
)
def test_a_metric_is_awaited_until_it_is_measured_or_long_enough(
    units: int, seen: int, awaited: bool
) -> None:
    assert is_awaited(units, StageRequests(seen, NEEDED)) is awaited
    of_many = are_awaited(np.array([[0.0, float(units)]]), np.array([[seen]]), NEEDED)
    assert of_many.tolist() == [[False, awaited]]


def test_a_metric_of_a_steady_share_is_awaited_once_at_most() -> None:
    """It does not promote, then hold as more of it comes."""
    for share in (0.003, 0.006, 0.008, 0.02, 1.0):
        awaited = [
            is_awaited(int(share * seen), StageRequests(seen, NEEDED))
            for seen in range(1_000, 60_000, 1_000)
        ]
        late = awaited[14:]
        assert len(set(late)) == 1, share
        assert all(awaited[:14])


@pytest.mark.parametrize(
    ("slices", "required", "units", "found"),
    [
        ("[all]", "if_measured", {"all": 1}, {"all"}),
        ("[all]", "if_measured", {"all": 0}, set()),
        ("[all]", "all", {"all": 0}, {"all"}),
        ("[all, each language]", "if_measured", {"all": 900, "language:ja": 900}, {"all"}),
        ("[all, each language]", "every", {"all": 9, "language:ja": 0}, {"all", "language:ja"}),
        ("[all]", "none", {"all": 9_000}, set()),
        ("[{language: ja}]", "if_measured", {"language:ja": 3}, {"language:ja"}),
        ("[{language: ja}]", "if_measured", {"language:ja": 0}, set()),
        ("[each language]", "all", {"language:ja": 100, "language:de": 99}, {"language:ja"}),
        ("[each language]", "if_measured", {"language:ja": 100, "language:de": 9}, {"language:ja"}),
        ("[each language]", "if_measured", {"language:ja": 9, "language:de": 0}, {"language:ja"}),
        ("[each language]", "all", {"language:ja": 9, "language:de": 0},
         {"language:ja", "language:de"}),
    ],
)  # fmt: skip
def test_what_must_be_shown_harmless(
    slices: str, required: str, units: dict[str, int], found: set[str]
) -> None:
    rest = f"slices: {slices}, required: {required}"
    other = "{name: other, metric: error_rate, max: 5%}"
    (guardrail, _) = policy(
        f"{{metric: json_valid_rate, max_drop: 1pp, {rest}}}, {other}"
    ).guardrails
    assert required_slices(guardrail, units, StageRequests(4_000, NEEDED)) == found


def test_what_a_promotion_does_not_rest_on() -> None:
    shown = JudgedSlice("errors", "all", 9_000, is_required=True, is_shown=True, is_beyond=False)
    small = JudgedSlice("errors", "language:ja", 40, False, False, False)
    harmed = JudgedSlice("errors", "language:nl", 400, False, False, True)
    chance = JudgedSlice("errors", "language:de", 12, False, False, True)
    absent = JudgedSlice("errors", "language:fr", 0, False, False, False)
    nothing = [JudgedSlice("json", name, 0, False, False, False) for name in ("all", "language:ja")]
    found = untold(["errors", "json", "cost"], [shown, small, harmed, chance, absent, *nothing])
    assert found.not_measured == ["json", "cost"]
    assert [one.name for one in found.too_few] == ["errors/language:ja", "errors/language:de"]
    assert [one.name for one in found.point_other_way] == ["errors/language:nl"]
