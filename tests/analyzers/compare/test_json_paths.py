"""Paths that a comparison leaves out, and arrays whose order it does not look at."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.analyzers.compare.json_paths import MAX_PATTERNS, parse_patterns, without


def kept(document: Any, *ignored: str, unordered: tuple[str, ...] = ()) -> Any:
    return without(document, parse_patterns(ignored), parse_patterns(unordered))


ORDER = {
    "id": 7,
    "items": [{"id": 1, "price": 2}, {"id": 2, "price": 3}],
    "meta": {"trace": {"id": "x"}, "tags": ["b", "a"]},
}


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [
        ((), ORDER),
        (("/id",), {"items": ORDER["items"], "meta": ORDER["meta"]}),
        (("/nowhere", "/items/9/id", "/id/deeper"), ORDER),
        (("/items/0",), {**ORDER, "items": [None, {"id": 2, "price": 3}]}),
        (("/items/*/id",), {**ORDER, "items": [{"price": 2}, {"price": 3}]}),
        (("/items/1/id",), {**ORDER, "items": [{"id": 1, "price": 2}, {"price": 3}]}),
        (("/*/trace",), {**ORDER, "meta": {"tags": ["b", "a"]}}),
        (
            ("/**/id",),
            {"items": [{"price": 2}, {"price": 3}], "meta": {"trace": {}, "tags": ["b", "a"]}},
        ),
        (("/meta/**/id",), {**ORDER, "meta": {"trace": {}, "tags": ["b", "a"]}}),
        (("/id", "/items", "/meta"), {}),
        (("/**/*",), {}),
    ],
)
def test_ignored_paths_are_left_out(ignored: tuple[str, ...], expected: Any) -> None:
    assert kept(ORDER, *ignored) == expected


def test_keys_with_slashes_tildes_and_nothing() -> None:
    document = {"a/b": 1, "~": 2, "": 3, "*": 4}
    assert kept(document, "/a~1b", "/~0", "/") == {"*": 4}


def test_what_no_path_reaches_is_the_same_object() -> None:
    assert kept(ORDER, "/id")["items"] is ORDER["items"]
    assert kept([1], "/id") == [1]
    assert kept("text", "/id") == "text"


def test_an_unordered_array_has_an_order_of_its_own() -> None:
    left, right = (
        kept({"tags": tags}, unordered=("/tags",))
        for tags in (["b", "a", {"y": 1, "x": 2}, 1], [1.0, {"x": 2, "y": 1}, "a", "b"])
    )
    assert left == right
    assert kept([[2, 1], [3, 1]], unordered=("/*",)) == [[1, 2], [1, 3]]
    assert kept({"a": {"b": [2, 1]}}, unordered=("/**/b",)) == {"a": {"b": [1, 2]}}
    assert kept({"other": [2, 1]}, unordered=("/tags",)) == {"other": [2, 1]}


def test_elements_are_put_in_order_by_what_is_left_of_them() -> None:
    left, right = (
        kept(items, "/items/*/id", unordered=("/items",))
        for items in (
            {"items": [{"id": 1, "n": "b"}, {"id": 2, "n": "a"}]},
            {"items": [{"id": 9, "n": "a"}, {"id": 8, "n": "b"}]},
        )
    )
    assert left == right


@pytest.mark.parametrize(
    ("written", "problem"),
    [("id", "begins with a slash"), ("", "begins with a slash"), ("/a/**", "ends with")],
)
def test_what_is_no_path_is_refused(written: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_patterns([written])


def test_too_many_paths_are_refused() -> None:
    with pytest.raises(ValueError, match="the most are 200"):
        parse_patterns(["/a"] * (MAX_PATTERNS + 1))
