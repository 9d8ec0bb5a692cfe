"""Units keep their places, and places are spread evenly and independently."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.hashed_place import owner_of, place_of

UNITS = [f"user {number}" for number in range(10_000)]


@given(st.text(), st.text())
def test_a_place_is_the_same_each_time_and_below_1(rollout_id: str, unit: str) -> None:
    place = place_of(rollout_id, unit)
    assert 0.0 <= place < 1.0
    assert place == place_of(rollout_id, unit)


def test_places_are_those_of_every_release_and_process() -> None:
    assert place_of("checkout", "user 1") == 0.5938501596672761


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5])
def test_a_share_gets_that_share_of_units(share: float) -> None:
    found = sum(place_of("checkout", unit) < share for unit in UNITS) / len(UNITS)
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / len(UNITS)) ** 0.5)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "served"), ("b", "served")), (("a", "served"), ("a", "mirrored"))],
    ids=["of two rollouts", "of two purposes"],
)
def test_places_are_independent(one: tuple[str, str], other: tuple[str, str]) -> None:
    both = sum(
        place_of(one[0], unit, one[1]) < 0.5 and place_of(other[0], unit, other[1]) < 0.5
        for unit in UNITS
    )
    assert both / len(UNITS) == pytest.approx(0.25, abs=0.02)


def test_each_unit_belongs_to_one_rollout_and_stays_when_another_ends() -> None:
    owners = {unit: owner_of(unit, ["a", "b", "c"]) for unit in UNITS}
    for count in Counter(owners.values()).values():
        assert count / len(UNITS) == pytest.approx(1 / 3, abs=0.02)
    for unit, owner in owners.items():
        if owner != "c":
            assert owner_of(unit, ["b", "a"]) == owner
