"""Small tools that readers share: paths, hashes, documents in text."""

from __future__ import annotations

from understudy.schemas.adapters.recording import (
    Place,
    hash_id,
    look_up,
    parsed,
    without_unknown,
)


def test_a_place_names_file_line_and_path() -> None:
    assert str(Place(3)) == "3"
    assert str(Place(3, file="a.jsonl")) == "a.jsonl:3"
    assert str(Place(1, "results[2]", "a.json")) == "a.json:1 at results[2]"


def test_names_are_looked_up_whole_before_they_are_paths() -> None:
    record = {"a.b": 1, "a": {"b": 2, "c": [{"d": 3}]}}
    assert look_up(record, "a.b") == 1
    assert look_up(record, "a.c.0.d") == 3
    assert look_up(record, "a.c.1.d") is None
    assert look_up(record, "x.y") is None


def test_equal_inputs_have_equal_hashes_and_nothing_has_none() -> None:
    assert hash_id({"a": 1, "b": 2}) == hash_id({"b": 2, "a": 1})
    assert hash_id("a") != hash_id("b") != hash_id("a", "b")
    assert hash_id(None, "", []) is None
    assert hash_id("\ud83c") is not None


def test_documents_in_text_are_parsed_and_other_text_is_left() -> None:
    assert parsed('{"a": 1}') == {"a": 1}
    assert parsed("[see above") == "[see above"
    assert parsed("7") == "7"
    assert parsed({"a": 1}) == {"a": 1}


def test_what_is_unknown_leaves_and_what_is_zero_stays() -> None:
    assert without_unknown({"id": "a", "usage": {"x": None}, "timing": {"y": 0}, "z": None}) == {
        "id": "a",
        "timing": {"y": 0},
    }
