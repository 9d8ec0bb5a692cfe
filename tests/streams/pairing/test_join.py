"""Sides of a request find each other, once, within a time and a length of log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.pairing.log import event
from understudy.schemas.events import InvalidEvent, decode_side, request_time_ms
from understudy.streams.pairing.join import Duplicate, Join, JoinOutput, Side, UnmatchedReason
from understudy.streams.pairing.pairing_policy import PairingPolicy

SIZE = 100
WITH_CONTROL = {"sides": ["stable", "candidate", "control"]}


class Reader:
    """Feeds a join as a partition does."""

    def __init__(self, max_join_bytes: int = 10_000) -> None:
        self.join = Join(PairingPolicy(join_timeout_s=30, max_join_bytes=max_join_bytes))
        self.output = JoinOutput()
        self.offset = 0
        self.watermark_ms = 0

    def read(self, pair_id: str, side: str = "stable", at_s: float = 0.0, **changes: Any) -> None:
        decoded, wanted = decode_side(event(pair_id, side, at_s, **changes))
        time_ms = request_time_ms(decoded)
        one = Side(decoded, self.offset)
        self.offset += 1
        before_ms = self.watermark_ms or time_ms
        if time_ms > self.watermark_ms:
            self.watermark_ms = time_ms
            self.output.steps.rise(time_ms, self.offset, self.join.log_bytes)
        try:
            self.join.add(one, wanted, time_ms, before_ms, self.output)
        finally:
            self.join.log_bytes += SIZE

    def expire(self, pair_id: str, at_s: float) -> None:
        """Expire what a watermark of `at_s` has left behind."""
        decoded, _ = decode_side(event(pair_id, at_s=at_s))
        watermark_ms = request_time_ms(decoded)
        if watermark_ms > self.watermark_ms:
            self.output.steps.rise(watermark_ms, self.offset, self.join.log_bytes)
        self.join.expire(watermark_ms, self.output)

    @property
    def complete(self) -> list[tuple[str, list[str]]]:
        return [
            (one.key, sorted(side.event.side for side in one.sides.values()))
            for one in self.output.complete
        ]

    @property
    def unmatched(self) -> list[tuple[str, str, UnmatchedReason]]:
        return [
            (side.event.pair_id, side.event.side, request.reason)
            for request in self.output.given_up
            for side in request.sides
        ]


def test_two_sides_make_a_pair_in_either_order() -> None:
    for first, second in (("stable", "candidate"), ("candidate", "stable")):
        reader = Reader()
        reader.read("a", first)
        assert (reader.complete, reader.join.waiting_sides) == ([], 1)
        reader.read("a", second)
        assert reader.complete == [("r/a", ["candidate", "stable"])]
        assert reader.join.waiting_sides == 0


def test_requests_do_not_mix() -> None:
    reader = Reader()
    for pair_id in ("a", "b"):
        reader.read(pair_id)
    reader.read("b", "candidate")
    assert [key for key, _ in reader.complete] == ["r/b"]
    assert reader.join.waiting_sides == 1


def test_a_request_with_control_waits_for_all_three() -> None:
    reader = Reader()
    for side in ("stable", "candidate"):
        reader.read("a", side, **WITH_CONTROL)
    assert reader.complete == []
    reader.read("a", "control", **WITH_CONTROL)
    assert reader.complete == [("r/a", ["candidate", "control", "stable"])]


def test_without_its_control_a_request_is_still_a_pair_once_it_expires() -> None:
    reader = Reader()
    for side in ("stable", "candidate"):
        reader.read("a", side, **WITH_CONTROL)
    reader.expire("later", at_s=30.001)
    assert reader.complete == [("r/a", ["candidate", "stable"])]
    assert reader.unmatched == []


def test_a_side_alone_expires_behind_the_timeout_and_not_at_it() -> None:
    reader = Reader()
    reader.read("a")
    reader.expire("later", at_s=30.0)
    assert reader.unmatched == []
    reader.expire("later", at_s=30.001)
    assert reader.unmatched == [("a", "stable", UnmatchedReason.TIMEOUT)]
    assert reader.join.waiting_sides == 0
    assert reader.join.entries == {}


def test_a_side_too_many_bytes_behind_is_given_up_for_memory() -> None:
    reader = Reader(max_join_bytes=2 * SIZE)
    for pair_id in ("a", "b", "c"):
        reader.read(pair_id)
    reader.expire("later", at_s=0.0)
    assert reader.unmatched == [("a", "stable", UnmatchedReason.MEMORY)]


def test_a_partner_beyond_the_look_back_begins_a_new_request() -> None:
    reader = Reader()
    reader.read("a")
    reader.read("a", "candidate", at_s=30.001)
    assert reader.complete == []
    assert reader.unmatched == [("a", "stable", UnmatchedReason.TIMEOUT)]
    assert reader.join.waiting_sides == 1


def test_a_copy_is_a_duplicate_also_after_the_pair_was_handed_on() -> None:
    reader = Reader()
    reader.read("a")
    with pytest.raises(Duplicate):
        reader.read("a")
    reader.read("a", "candidate")
    for entry in reader.output.complete:
        entry.release()
    with pytest.raises(Duplicate):
        reader.read("a", "candidate")
    assert len(reader.complete) == 1


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"at_s": 5.001}, "request_time"),
        ({"mode": "interleave"}, "mode"),
        ({"workflow": "search"}, "workflow"),
        ({"language": "ja"}, "language"),
        (WITH_CONTROL, "sides"),
        ({"conversation_id": "c"}, "conversation_id"),
    ],
)
def test_a_side_that_disagrees_with_its_pair_is_invalid(changes: dict[str, Any], what: str) -> None:
    reader = Reader()
    reader.read("a")
    with pytest.raises(InvalidEvent, match=what) as raised:
        reader.read("a", "candidate", **changes)
    assert raised.value.reason == "disagrees"
    assert reader.join.waiting_sides == 1


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({"conversation_id": "c", "turn": 2}, {"conversation_id": "d", "turn": 2}, "conversation"),
        ({"conversation_id": "c", "turn": 2}, {"turn": 2}, "conversation"),
        ({"conversation_id": "c", "turn": 2}, {"conversation_id": "c", "turn": 3}, "turn"),
    ],
)
def test_sides_name_the_same_place_in_a_conversation(
    first: dict[str, Any], second: dict[str, Any], what: str
) -> None:
    for one, other in ((first, second), (second, first)):
        reader = Reader()
        reader.read("a", **one)
        with pytest.raises(InvalidEvent, match=what) as raised:
            reader.read("a", "candidate", **other)
        assert raised.value.reason == "disagrees"


def test_a_turn_that_a_side_does_not_tell_agrees_with_any() -> None:
    reader = Reader()
    for pair_id, turns in (("a", (None, 3)), ("b", (3, None)), ("c", (3, 3))):
        for side, turn in zip(("stable", "candidate"), turns, strict=True):
            reader.read(pair_id, side, conversation_id="c", turn=turn)
    reader.read("d", conversation_id="", turn=1)
    reader.read("d", "candidate", conversation_id=None, turn=2)
    assert [key for key, _ in reader.complete] == ["r/a", "r/b", "r/c", "r/d"]


def test_one_language_may_be_written_in_two_ways_or_left_out() -> None:
    reader = Reader()
    reader.read("a", language="en-US")
    reader.read("a", "candidate", language="en-us")
    reader.read("b", language=None)
    reader.read("b", "candidate", language="en")
    assert [key for key, _ in reader.complete] == ["r/a", "r/b"]


def test_at_the_end_of_the_input_whoever_waits_is_unmatched() -> None:
    reader = Reader()
    reader.read("a")
    reader.read("b", "candidate")
    reader.join.evict_all(reader.output)
    assert reader.unmatched == [
        ("a", "stable", UnmatchedReason.TIMEOUT), ("b", "candidate", UnmatchedReason.TIMEOUT),
    ]  # fmt: skip


def test_requests_that_have_ended_do_not_stay_listed_as_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("understudy.streams.pairing.join._MOST_ENDED", 10)
    reader = Reader()
    for number in range(50):
        for side in ("stable", "candidate"):
            reader.read(f"p{number}", side)
        for entry in reader.output.complete:
            entry.release()
        reader.expire("later", at_s=0.0)
        assert len(reader.join._waiting) <= 10
    reader.read("a")
    assert [entry.key for entry in reader.join.waiting()] == ["r/a"]
