"""Fields of JSON answers, in a form in which equal ones are equal."""

from __future__ import annotations

import json

import pytest

from understudy.analyzers.evaluators.json_fields import MAX_FIELDS, json_fields


def test_fields_have_a_path_and_a_value() -> None:
    found = json_fields('{"city": "Rome", "lines": [{"n": 1}, {"n": 2.0}], "ok": true, "x": null}')
    assert found == [
        ("/city", "string", "Rome"),
        ("/lines/*/n", "number", 1),
        ("/lines/*/n", "number", 2.0),
        ("/ok", "literal", True),
        ("/x", "literal", None),
    ]


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
    assert json_fields("{}") == [("", "dict", None)]
    assert json_fields('{"a": []}') == [("/a", "list", None)]


@pytest.mark.parametrize("output", [None, "", "no JSON", "{", "```json\n{}\n```", "[" * 5000])
def test_what_is_no_json_has_none(output: str | None) -> None:
    assert json_fields(output) is None


def test_an_answer_of_any_size_is_bounded() -> None:
    found = json_fields(json.dumps(list(range(2 * MAX_FIELDS))))
    assert found is not None
    assert len(found) == MAX_FIELDS
