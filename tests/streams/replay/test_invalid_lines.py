"""Invalid lines: the first of each kind with its place, bounded and printable."""

from __future__ import annotations

from understudy.streams.replay.invalid_lines import (
    MAX_KINDS,
    InvalidLines,
    invalid_json,
    invalid_text,
)
from understudy.streams.replay.recordings import Place


def place(index: int) -> Place:
    return Place("events.ndjson", index + 1)


def test_the_first_of_each_kind_with_file_line_and_field() -> None:
    invalid = InvalidLines()
    invalid.note("schema", "Expected `str`, got `int` - at `$.pair_id`", 4)
    invalid.note("schema", "Expected `array`, got `str` - at `$.sides`", 6)
    invalid.note("schema", "Expected `str`, got `bool` - at `$.pair_id`", 8)
    invalid.note("not_json", "JSON is malformed: invalid character (byte 12)", 9)
    invalid.note("sides", "side 'control' with sides ['stable']", 10)
    assert list(invalid_text(invalid, place)) == [
        "invalid: 1 not_json",
        "  events.ndjson:10 at byte 12: JSON is malformed: invalid character",
        "invalid: 3 schema",
        "  events.ndjson:5 at $.pair_id: Expected `str`, got `int` (2 like this)",
        "  events.ndjson:7 at $.sides: Expected `array`, got `str`",
        "invalid: 1 sides",
        "  events.ndjson:11: side 'control' with sides ['stable']",
    ]
    assert invalid_json(invalid, place)[1] == {
        "reason": "schema", "count": 2, "file": "events.ndjson", "line": 5, "where": "$.pair_id",
        "detail": "Expected `str`, got `int`",
    }  # fmt: skip


def test_every_reason_has_an_example_however_many_kinds_there_are() -> None:
    invalid = InvalidLines()
    for n in range(1000):
        invalid.note("schema", f"wrong - at `$.attributes[{n}]`", n)
    invalid.note("sides", "wrong", 1000)
    assert invalid.total == 1001
    assert len(invalid.examples()) == MAX_KINDS + 1
    assert invalid.examples()[-1].reason == "sides"


def test_names_from_the_data_do_not_act_on_the_terminal() -> None:
    invalid = InvalidLines()
    invalid.note("schema", "Invalid enum value '\x1b[31m\u202e' - at `$.mo\x1bde`", 0)
    text = "\n".join(invalid_text(invalid, place))
    assert "\x1b" not in text
    assert "\u202e" not in text
