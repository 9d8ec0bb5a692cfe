"""Fields of JSON answers, in a form in which equal ones are equal."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from understudy.analyzers.evaluators.json_fields import MAX_FIELDS, json_fields


def test_fields_have_a_path_and_a_value() -> None:
    found = json_fields('{"city": "Rome", "lines": [{"n": 1}, {"n": 2.0}], "ok": true, "x": null}')
    assert found is not None
    assert [field[1:] for field in found] == [
        ("string", "Rome"),
        ("number", 1),
        ("number", 2.0),
        ("literal", True),
        ("literal", None),
    ]
    city, first, second, ok, x = (field[0] for field in found)
    assert first == second
    assert len({city, first, ok, x}) == 4


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"a": {"b": 1}}', '{"b": {"a": 1}}'),
        ('{"a": {"b": 1}}', '{"a/b": 1}'),
        ('{"*": 1}', "[1]"),
        ('{"a": [1]}', '{"a": 1}'),
    ],
)
def test_a_value_in_another_place_is_another(left: str, right: str) -> None:
    assert json_fields(left) != json_fields(right)


def test_a_long_key_is_not_kept_for_each_field_under_it() -> None:
    output = json.dumps({"k" * 20_000: list(range(5_000))})
    tracemalloc.start()
    try:
        json_fields(output)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50 * len(output)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ('{"a": 1, "b": 2}', '{"b": 2.0, "a": 1}'),
        ('{"a": "x  y"}', '{"a": " x y"}'),
        ("[3, 1]", "[1, 3]"),
    ],
)
def test_what_a_caller_takes_for_the_same_is_the_same(left: str, right: str) -> None:
    assert sorted(map(str, map(hash, json_fields(left) or []))) == sorted(
        map(str, map(hash, json_fields(right) or []))
    )


def test_true_is_not_one() -> None:
    assert json_fields("[true]") != json_fields("[1]")


def test_empty_containers_are_fields() -> None:
    assert [field[1:] for field in json_fields("{}") or []] == [("dict", None)]
    assert [field[1:] for field in json_fields('{"a": []}') or []] == [("list", None)]


@pytest.mark.parametrize("output", [None, "", "no JSON", "{", "```json\n{}\n```", "[" * 5000])
def test_what_is_no_json_has_none(output: str | None) -> None:
    assert json_fields(output) is None


def test_an_answer_of_any_size_is_bounded() -> None:
    found = json_fields(json.dumps(list(range(2 * MAX_FIELDS))))
    assert found is not None
    assert len(found) == MAX_FIELDS
