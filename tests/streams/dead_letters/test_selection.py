"""Dead letters as records: told apart by place, selected, counted; whatever they hold."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.diagnostics.brokers import event, feedback, key
from understudy.streams.dead_letters.forecast import Fate, Forecaster
from understudy.streams.dead_letters.selection import (
    Digest,
    Letter,
    Place,
    Selection,
    letter_from,
    once_each,
    parse_place,
    since_ms,
)

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)
OWN = Place("understudy.dead-letters", 2, 7)


def letter(offset: int = 0, **changes: object) -> Letter:
    given: dict[str, object] = {
        "place": Place("understudy.events", 3, offset),
        "reason": "clock_ahead",
        "detail": "",
        "stored_at_ms": NOW_MS + offset,
        "key": key(offset),
        "payload": event(offset, at=NOW),
    }
    return Letter(**{**given, **changes})  # type: ignore[arg-type]


def test_headers_tell_place_reason_and_detail() -> None:
    headers = {"reason": b"schema", "detail": b"why", "topic": b"t.e", "partition": b"3",
               "offset": b"12"}  # fmt: skip
    found = letter_from(headers, OWN, 5, b"k", b"v")
    assert found == Letter(Place("t.e", 3, 12), "schema", "why", 5, b"k", b"v")


@given(st.dictionaries(st.sampled_from(["reason", "detail", "topic", "partition", "offset"]),
                       st.binary(max_size=40)))  # fmt: skip
def test_any_headers_make_a_letter(headers: dict[str, bytes]) -> None:
    found = letter_from(headers, OWN, 5, None, None)
    assert found.reason
    assert parse_place(str(found.place)) == found.place


def test_a_letter_without_headers_is_known_by_its_own_place() -> None:
    found = letter_from({}, OWN, 5, None, b"x")
    assert (found.place, found.reason, found.rollout_id) == (OWN, "unknown", "")


def test_the_rollout_is_the_keys_or_else_the_payloads() -> None:
    assert letter(key=b"search/1").rollout_id == "search"
    assert letter(key=None).rollout_id == "helpdesk"
    assert letter(key=b"no slash", payload=b"\xff").rollout_id == ""


def test_what_was_written_again_counts_once() -> None:
    twice = [letter(1), letter(2), letter(1, stored_at_ms=9), letter(1)]
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
        (Selection(place=Place("understudy.events", 3, 0)), True),
        (Selection(place=Place("understudy.events", 0, 3)), False),
        (Selection(reasons=frozenset({"clock_ahead"}), rollout_id="other"), False),
    ],
)
def test_selections(selection: Selection, wanted: bool) -> None:
    assert (letter() in selection) is wanted


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
def test_since(text: str, expected: dt.datetime) -> None:
    assert since_ms(text, NOW) == round(expected.timestamp() * 1000)


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3m", "3w", "1e3s", "999999d"])
def test_since_that_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="neither an age"):
        since_ms(text, NOW)


@pytest.mark.parametrize("text", ["", "a/b/c", "a/1", "a/1/2/3", "a/-1/2", "a b/1/2", "a/1/２"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="TOPIC/PARTITION/OFFSET"):
        parse_place(text)


def test_a_digest_counts_all_and_keeps_the_newest() -> None:
    digest = Digest(limit=2)
    for number in (3, 1, 4, 2):
        digest.add(letter(number, reason="sides" if number == 4 else "schema"))
    assert digest.reasons == {"schema": 3, "sides": 1}
    assert [one.place.offset for one in digest.newest] == [4, 3]


def test_a_digest_may_keep_none() -> None:
    digest = Digest(limit=0)
    digest.add(letter())
    assert digest.newest == []


FORECASTER = Forecaster(
    max_event_bytes=10_000,
    max_clock_skew_ms=60_000,
    join_timeout_ms=120_000,
    partitions=1,
    watermarks_ms={0: NOW_MS},
)
SECOND = dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({}, Fate.READ),
        ({"payload": event(1, at=NOW - 120 * SECOND)}, Fate.READ),
        ({"payload": event(1, at=NOW - 121 * SECOND)}, Fate.LATE),
        ({"payload": event(1, at=NOW + 60 * SECOND)}, Fate.READ),
        ({"payload": event(1, at=NOW + 61 * SECOND)}, Fate.REFUSED),
        ({"payload": b"{"}, Fate.REFUSED),
        ({"payload": None}, Fate.REFUSED),
        ({"payload": event(1, at=NOW, attributes={"long": "x" * 10_000})}, Fate.REFUSED),
    ],
)
def test_what_would_become_of_a_letter(changes: dict[str, object], fate: Fate) -> None:
    assert FORECASTER.forecast(letter(**changes), NOW_MS).fate is fate


@pytest.mark.parametrize(
    ("payload", "fate"),
    [
        (feedback(1, at=NOW), Fate.READ),
        (feedback(1, at=NOW - 121 * SECOND), Fate.LATE),
        (feedback(1, at=NOW + 61 * SECOND), Fate.REFUSED),
        (event(1, at=NOW), Fate.REFUSED),
    ],
)
def test_feedback_is_told_by_its_own_contract_and_time(payload: bytes, fate: Fate) -> None:
    forecaster = replace(FORECASTER, source="feedback")
    forecast = forecaster.forecast(letter(payload=payload, key=None), NOW_MS)
    assert forecast.fate is fate
    assert fate is Fate.REFUSED or forecast.key == key(1)


def test_without_a_watermark_nothing_is_late() -> None:
    fresh = Forecaster(10_000, 60_000, 120_000, 1, {})
    old = letter(payload=event(1, at=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    assert fresh.forecast(old, NOW_MS).fate is Fate.READ


def test_a_letter_without_a_key_gets_the_right_one() -> None:
    assert FORECASTER.forecast(letter(5, key=None), NOW_MS).key == key(5)
    assert FORECASTER.forecast(letter(5, key=b"as it was"), NOW_MS).key == b"as it was"
