"""A pair's place is the same everywhere, and says nothing of another purpose."""

from __future__ import annotations

import pytest

from understudy.streams.pairing.pair_place import place_of


def test_a_place_is_a_function_of_rollout_pair_and_purpose() -> None:
    assert place_of("r", "a") == pytest.approx(0.5994, abs=1e-4), "or samples change with a release"
    others = {place_of("r", "b"), place_of("s", "a"), place_of("r", "a", "control")}
    assert len(others | {place_of("r", "a")}) == 4


def test_places_are_spread_evenly() -> None:
    places = [place_of("r", str(n)) for n in range(4_000)]
    assert min(places) >= 0.0
    assert max(places) < 1.0
    assert sum(place < 0.05 for place in places) == pytest.approx(200, abs=45)


def test_text_that_is_no_unicode_has_a_place() -> None:
    assert 0.0 <= place_of("r", "\ud800") < 1.0
