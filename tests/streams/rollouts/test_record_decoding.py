"""Records and decisions are read only where this release knows what they mean."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest

from tests.streams.rollouts.records import evaluator, manifest
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import (
    MAX_COMMANDS,
    RolloutRecord,
    encode_rollout_record,
)
from understudy.streams.rollouts.record_decoding import merge_commands, read_decision, read_record

RECORD = RolloutRecord(manifest=manifest())
DECISION = evaluator().decision()
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def with_commands(record: RolloutRecord, *reasons: str) -> RolloutRecord:
    for reason in reasons:
        record = record.with_command("kill", NOON, reason=reason, by="")
    return record


def test_what_was_written_is_read() -> None:
    assert read_record("checkout", encode_rollout_record(RECORD)) == RECORD
    assert read_decision("checkout", encode_decision(DECISION)) == DECISION


@pytest.mark.parametrize(
    ("read", "payload"),
    [(read_record, encode_rollout_record(RECORD)), (read_decision, encode_decision(DECISION))],
)
def test_what_cannot_be_used_is_refused(
    read: Callable[[str, bytes], object], payload: bytes
) -> None:
    with pytest.raises(ValueError, match="checkout"):
        read("another", payload)
    newer = msgspec.json.encode({**msgspec.json.decode(payload), "schema_version": 2})
    with pytest.raises(ValueError, match="schema version 2; this release knows 1"):
        read("checkout", newer)
    for broken in (b"{", b"[]", b"{}", b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong with it
            read("checkout", broken)


def test_the_first_record_is_as_it_is() -> None:
    record = with_commands(RECORD, "a", "b")
    assert merge_commands(None, record) is record


def test_of_two_commands_with_one_number_the_first_was_applied() -> None:
    before = with_commands(RECORD, "first")
    raced = with_commands(RECORD, "lost", "later")
    merged = merge_commands(before, raced)
    assert [(one.number, one.reason) for one in merged.commands] == [(1, "first"), (2, "later")]


def test_no_more_commands_are_kept_than_a_record_holds() -> None:
    before = with_commands(RECORD, *map(str, range(MAX_COMMANDS)))
    merged = merge_commands(before, with_commands(before, "newest"))
    assert len(merged.commands) == MAX_COMMANDS
    assert merged.commands[-1].reason == "newest"
