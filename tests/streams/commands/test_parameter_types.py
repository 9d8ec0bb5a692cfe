"""Values on the command line: ages and times, positions."""

from __future__ import annotations

import datetime as dt

import click
import pytest

from understudy.streams.commands.parameter_types import PositionType, TimeType, epoch_ms
from understudy.streams.dead_letters.dead_letter_record import RecordPosition

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", NOW - dt.timedelta(minutes=30)),
        ("2d", NOW - dt.timedelta(days=2)),
        ("45s", NOW - dt.timedelta(seconds=45)),
        ("2026-03-01", dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
        ("2026-03-01T10:00", dt.datetime(2026, 3, 1, 10, tzinfo=dt.UTC)),
        ("2026-03-01T10:00+02:00", dt.datetime(2026, 3, 1, 8, tzinfo=dt.UTC)),
    ],
)
def test_ages_and_times(text: str, expected: dt.datetime) -> None:
    assert epoch_ms(text, NOW) == round(expected.timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3m", "3w", "1e3s", "999999d"])
def test_what_is_neither_age_nor_time(text: str) -> None:
    with pytest.raises(ValueError, match="neither an age"):
        epoch_ms(text, NOW)


def test_a_wrong_value_is_wrong_usage_that_says_what_would_do() -> None:
    with pytest.raises(click.BadParameter, match="neither an age"):
        TimeType().convert("yesterday", None, None)
    with pytest.raises(click.BadParameter, match="TOPIC/PARTITION/OFFSET"):
        PositionType().convert("nowhere", None, None)
    assert PositionType().convert("a/1/2", None, None) == RecordPosition("a", 1, 2)
