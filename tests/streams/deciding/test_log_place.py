"""Places in the log, when offsets and clocks are what they may be."""

from __future__ import annotations

from understudy.streams.deciding.log_place import LogPlace


def test_the_newest_place_is_the_last_one_whatever_the_clocks_of_writers_say() -> None:
    place = LogPlace(0, 5, 1_000)
    assert place.newest_with(None) == place
    assert LogPlace(0, 6, 900).newest_with(place) == LogPlace(0, 6, 1_000)
    assert LogPlace(0, 4, 900).newest_with(place) == place
    anew = LogPlace(0, 0, 2_000)
    assert anew.newest_with(place) == anew
    assert not LogPlace(0, 1, 2_001).is_applied(anew)
