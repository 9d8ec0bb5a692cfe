"""Equal bodies have equal tags, whichever worker serves them."""

from __future__ import annotations

import msgspec

from understudy.streams.http.bodies import Body, body_of, encoded


class Record(msgspec.Struct):
    """Anything that a response holds."""

    name: str


def test_a_record_is_a_line_of_json() -> None:
    assert encoded(Record("名")) == '{"name":"名"}\n'.encode()


def test_no_character_of_a_response_acts_on_the_terminal_that_shows_it() -> None:
    hostile = "a\x1b[2J\x7f\x9b1m\u202e\U000e0001"
    body = encoded(Record(hostile))
    assert body.decode().rstrip("\n").isprintable()
    assert msgspec.json.decode(body, type=Record).name == hostile


def test_tags_follow_the_bytes_alone() -> None:
    assert body_of(Record("a")) == body_of(Record("a")) == Body.of(b'{"name":"a"}\n')
    assert body_of(Record("a")).tag != body_of(Record("b")).tag


def test_a_tag_can_stand_in_a_header() -> None:
    tag = Body.of(b"\x00").tag
    assert tag.isascii()
    assert tag.isalnum()
