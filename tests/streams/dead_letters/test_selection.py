"""Dead letters: identified by the source record's position, selected, counted, forecast."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.diagnostics.brokers import event, feedback, key
from understudy.streams.dead_letters.dead_letter_record import (
    DeadLetterRecord,
    RecordPosition,
    dead_letter_record,
    parse_position,
)
from understudy.streams.dead_letters.forecast import Forecaster, ReplayEffect
from understudy.streams.dead_letters.selection import DeadLetterSummary, Selection, once_each

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
OWN = RecordPosition("understudy.dead-letters", 2, 7)


def dead_letter(offset: int = 0, **changes: object) -> DeadLetterRecord:
    given: dict[str, object] = {
        "source": RecordPosition("understudy.events", 3, offset),
        "reason": "clock_ahead",
        "detail": "",
        "stored_at_ms": NOW_MS + offset,
        "key": key(offset),
        "payload": event(offset, at=NOW),
    }
    return DeadLetterRecord(**{**given, **changes})  # type: ignore[arg-type]


def test_headers_name_source_reason_and_detail() -> None:
    headers = {"reason": b"schema", "detail": b"why", "topic": b"t.e", "partition": b"3",
               "offset": b"12"}  # fmt: skip
    found = dead_letter_record(headers, OWN, 5, b"k", b"v")
    assert found == DeadLetterRecord(RecordPosition("t.e", 3, 12), "schema", "why", 5, b"k", b"v")


@given(st.dictionaries(st.sampled_from(["reason", "detail", "topic", "partition", "offset"]),
                       st.binary(max_size=40)))  # fmt: skip
def test_any_headers_make_a_dead_letter(headers: dict[str, bytes]) -> None:
    found = dead_letter_record(headers, OWN, 5, None, None)
    assert found.reason
    assert parse_position(str(found.source)) == found.source


def test_without_headers_its_own_position_identifies_it() -> None:
    found = dead_letter_record({}, OWN, 5, None, b"x")
    assert (found.source, found.reason, found.rollout_id) == (OWN, "unknown", "")


def test_the_rollout_is_the_keys_or_else_the_payloads() -> None:
    assert dead_letter(key=b"search/1").rollout_id == "search"
    assert dead_letter(key=None).rollout_id == "helpdesk"
    assert dead_letter(key=b"no slash", payload=b"\xff").rollout_id == ""


def test_what_was_written_again_counts_once() -> None:
    twice = [dead_letter(1), dead_letter(2), dead_letter(1, stored_at_ms=9), dead_letter(1)]
    assert list(once_each(twice)) == twice[:2]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"clock_ahead", "schema"})), True),
        (Selection(reasons=frozenset({"schema"})), False),
        (Selection(rollout_id="helpdesk"), True),
        (Selection(rollout_id="help"), False),
        (Selection(since_ms=NOW_MS), True),
        (Selection(since_ms=NOW_MS + 1), False),
        (Selection(source=RecordPosition("understudy.events", 3, 0)), True),
        (Selection(source=RecordPosition("understudy.events", 0, 3)), False),
        (Selection(reasons=frozenset({"clock_ahead"}), rollout_id="other"), False),
    ],
)
def test_selections(selection: Selection, wanted: bool) -> None:
    assert (dead_letter() in selection) is wanted


@pytest.mark.parametrize("text", ["", "a/b/c", "a/1", "a/1/2/3", "a/-1/2", "a b/1/2", "a/1/２"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="TOPIC/PARTITION/OFFSET"):
        parse_position(text)


def test_a_summary_counts_all_and_keeps_the_newest() -> None:
    summary = DeadLetterSummary(limit=2)
    for number in (3, 1, 4, 2):
        summary.add(dead_letter(number, reason="sides" if number == 4 else "schema"))
    assert summary.reasons == {"schema": 3, "sides": 1}
    assert [one.source.offset for one in summary.newest] == [4, 3]


def test_a_summary_may_keep_none() -> None:
    summary = DeadLetterSummary(limit=0)
    summary.add(dead_letter())
    assert summary.newest == []


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
        ({"payload": event(1, at=NOW, attributes={"long": "x" * 10_000})}, ReplayEffect.REFUSED),
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
