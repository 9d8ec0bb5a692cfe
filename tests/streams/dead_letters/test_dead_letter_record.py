"""Dead letters as Kafka holds them: whatever the headers, there is a record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.dead_letters.records import dead_letter
from understudy.streams.dead_letters.dead_letter_record import (
    DeadLetterRecord,
    RecordPosition,
    dead_letter_record,
    parse_position,
)

OWN = RecordPosition("understudy.dead-letters", 2, 7)


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


@pytest.mark.parametrize("text", ["", "a/b/c", "a/1", "a/1/2/3", "a/-1/2", "a b/1/2", "a/1/２"])
def test_what_is_no_position(text: str) -> None:
    with pytest.raises(ValueError, match="TOPIC/PARTITION/OFFSET"):
        parse_position(text)
