"""What pairing would do with a dead letter that is written again."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from tests.streams.dead_letters.records import NOW, NOW_MS, dead_letter
from tests.streams.diagnostics.brokers import event, feedback, key
from understudy.streams.dead_letters.forecast import Forecaster, ReplayEffect

FORECASTER = Forecaster(
    max_event_bytes=10_000,
    max_clock_skew_ms=60_000,
    join_timeout_ms=120_000,
    partitions=1,
    watermarks_ms={0: NOW_MS},
)
SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "effect"),
    [
        ({}, ReplayEffect.ACCEPTED),
        ({"payload": event(1, at=NOW - 120 * SECOND)}, ReplayEffect.ACCEPTED),
        ({"payload": event(1, at=NOW - 121 * SECOND)}, ReplayEffect.LATE),
        ({"payload": event(1, at=NOW + 60 * SECOND)}, ReplayEffect.ACCEPTED),
        ({"payload": event(1, at=NOW + 61 * SECOND)}, ReplayEffect.REFUSED),
        ({"payload": b"{"}, ReplayEffect.REFUSED),
        ({"payload": None}, ReplayEffect.REFUSED),
        ({"payload": event(1, at=NOW, attributes={"long": "x" * 10_000})}, ReplayEffect.ACCEPTED),
        ({"payload": b"[" * 10_001}, ReplayEffect.REFUSED),
    ],
)
def test_what_would_become_of_a_dead_letter(
    changes: dict[str, object], effect: ReplayEffect
) -> None:
    assert FORECASTER.forecast(dead_letter(**changes), NOW_MS).effect is effect


@pytest.mark.parametrize(
    ("payload", "effect"),
    [
        (feedback(1, at=NOW), ReplayEffect.ACCEPTED),
        (feedback(1, at=NOW - 121 * SECOND), ReplayEffect.LATE),
        (feedback(1, at=NOW + 61 * SECOND), ReplayEffect.REFUSED),
        (event(1, at=NOW), ReplayEffect.REFUSED),
    ],
)
def test_feedback_is_judged_by_its_own_contract_and_time(
    payload: bytes, effect: ReplayEffect
) -> None:
    forecaster = replace(FORECASTER, source="feedback")
    forecast = forecaster.forecast(dead_letter(payload=payload, key=None), NOW_MS)
    assert forecast.effect is effect
    assert effect is ReplayEffect.REFUSED or forecast.key == key(1)


def test_without_a_watermark_nothing_is_late() -> None:
    fresh = Forecaster(10_000, 60_000, 120_000, 1, {})
    old = dead_letter(payload=event(1, at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    assert fresh.forecast(old, NOW_MS).effect is ReplayEffect.ACCEPTED


def test_a_record_without_a_key_gets_the_right_one() -> None:
    assert FORECASTER.forecast(dead_letter(5, key=None), NOW_MS).key == key(5)
    assert FORECASTER.forecast(dead_letter(5, key=b"as it was"), NOW_MS).key == b"as it was"
