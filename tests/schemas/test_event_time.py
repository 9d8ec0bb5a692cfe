"""Times as milliseconds and back, exact in both directions."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.event_time import from_epoch_ms, to_epoch_ms, zoned

KOLKATA = dt.timezone(dt.timedelta(hours=5, minutes=30))


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_come_back(epoch_ms: int) -> None:
    assert to_epoch_ms(from_epoch_ms(epoch_ms)) == epoch_ms


@pytest.mark.parametrize(
    ("time", "epoch_ms"),
    [
        (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 0),
        (dt.datetime(2026, 3, 2, 12, 0, 0, 1_999, tzinfo=dt.UTC), 1_772_452_800_001),
        (dt.datetime(2026, 3, 2, 17, 30, tzinfo=KOLKATA), 1_772_452_800_000),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_500, tzinfo=dt.UTC), -1),
    ],
)
def test_a_time_is_rounded_down_whatever_its_zone(time: dt.datetime, epoch_ms: int) -> None:
    assert to_epoch_ms(time) == epoch_ms


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        to_epoch_ms(dt.datetime(2026, 3, 2))


@pytest.mark.parametrize("epoch_ms", [-62_135_596_800_001, 253_402_300_800_000, 10**18])
def test_what_python_cannot_hold_is_refused(epoch_ms: int) -> None:
    with pytest.raises(OverflowError):
        from_epoch_ms(epoch_ms)


def test_a_time_without_zone_is_one_in_utc() -> None:
    assert zoned(dt.datetime(2026, 3, 2)) == dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    assert zoned(dt.datetime(2026, 3, 2, tzinfo=KOLKATA)).tzinfo is KOLKATA
