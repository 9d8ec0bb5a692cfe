"""Who waits, and who is answered early when places run out."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from understudy.streams.http.waiting_places import TooManyWaiting, WaitingPlaces


def test_one_client_may_hold_all_places_while_nobody_else_wants_any() -> None:
    places = WaitingPlaces(3)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(places.take("a"))
        with pytest.raises(TooManyWaiting, match="3 requests wait"), places.take("a"):
            pass
    assert len(places) == 0


def test_a_client_with_fewer_gets_the_oldest_place_of_the_largest() -> None:
    places = WaitingPlaces(4)
    with ExitStack() as held:
        first, second = (held.enter_context(places.take("greedy")) for _ in range(2))
        held.enter_context(places.take("greedy"))
        gateway = held.enter_context(places.take("gateway"))
        held.enter_context(places.take("gateway"))
        assert first.is_taken_away
        assert first.woken.is_set(), "it is answered at once"
        assert [second.is_taken_away, gateway.is_taken_away] == [False, False]
        with pytest.raises(TooManyWaiting), places.take("gateway"):
            pass  # two each is as fair as it gets
        assert len(places) == 4
    assert len(places) == 0


def test_a_place_is_given_back_once() -> None:
    places = WaitingPlaces(2)
    with places.take("a"), places.take("a"):
        with places.take("b"):
            assert len(places) == 2
        assert len(places) == 1
    assert len(places) == 0
