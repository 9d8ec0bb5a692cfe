from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.json_difference import (
    MAX_PATH_CHARACTERS,
    compare_documents,
    differences,
    json_equal,
)
from understudy.analyzers.compare.json_output import NO_DOCUMENT, check_json

INFINITY = float("inf")


def nested(depth: int, innermost: Any) -> Any:
    value = innermost
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (None, None, True),
        (1, 1.0, True),
        (0, -0.0, True),
        (2**53 + 1, float(2**53), False),
        (True, 1, False),
        (False, 0, False),
        (True, 1.0, False),
        (None, False, False),
        ("1", 1, False),
        ("é", "e\u0301", False),
        ("\ud800", "\ud800", True),
        (INFINITY, INFINITY, True),
        (INFINITY, -INFINITY, False),
        ([], {}, False),
        ([True, "\ud800"], [1, "\ud800"], False),
        ([[1, 0]], [[1, False]], False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}, True),
        ({"a": 1, "b": True}, {"b": 1, "a": 1}, False),
        ({"a": None}, {}, False),
        ([1, 2], [2, 1], False),
        (nested(900, 1), nested(900, 1.0), True),
        (nested(900, 1), nested(900, True), False),
        (nested(20_000, 1), nested(20_000, 1), True),
        (nested(20_000, 1), nested(20_000, 2), False),
    ],
)
def test_equality_is_that_of_json_values(left: Any, right: Any, equal: bool) -> None:
    assert json_equal(left, right) == equal
    assert json_equal(right, left) == equal


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        (1, 2, [("", "value")]),
        (1, "1", [("", "type")]),
        (True, 1, [("", "type")]),
        ([], {}, [("", "type")]),
        (None, {}, [("", "type")]),
        ({"a": 1}, {}, [("/a", "missing")]),
        ({}, {"a": 1}, [("/a", "extra")]),
        ({"a": None}, {}, [("/a", "missing")]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("/a/b/1", "value")]),
        ([1, 2, 3], [1, 2], [("/2", "missing")]),
        ([1], [1, 2, 3], [("/1", "extra"), ("/2", "extra")]),
        ([1, 2, 3], [3, 1, 2], [("", "order")]),
        ([1.0, {"a": 2}], [{"a": 2.0}, 1], [("", "order")]),
        (["1.0", "1"], ["1", "1.0"], [("", "order")]),
        ([True, 1], [1, True], [("", "order")]),
        ([True, 1], [1, 1], [("/0", "type")]),
        ([1, 1, 2], [1, 2, 2], [("/1", "value")]),
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}, [("/tags", "order")]),
        ([["a", "b"], 1], [["b", "a"], 1], [("/0", "order")]),
        ([{"a": True}], [{"a": 1}], [("/0/a", "type")]),
        (
            [{"a": 1}, {"a": True}, 3, ["b"]],
            [{"a": 1}, {"a": 1}, 4, ["b"]],
            [("/1/a", "type"), ("/2", "value")],
        ),
        (
            {"a/b": 1, "m~n": 2, "": 3},
            {},
            [("/a~1b", "missing"), ("/m~0n", "missing"), ("/", "missing")],
        ),
        ({"é": 1}, {"é": 2}, [("/é", "value")]),
        ({"\ud800": 1}, {"\ud800": 2}, [("/?", "value")]),
        (
            {"z": 1, "a": {"x": 1, "y": 2}, "b": 1},
            {"b": 2, "a": {"y": 3}, "n": 0, "z": 2},
            [
                ("/z", "value"),
                ("/a/x", "missing"),
                ("/a/y", "value"),
                ("/b", "value"),
                ("/n", "extra"),
            ],
        ),
    ],
)
def test_where_documents_differ(left: Any, right: Any, found: list[tuple[str, str]]) -> None:
    columns = compare_documents([left], [right])
    assert list(zip(columns.paths[0], columns.kinds[0], strict=True)) == found
    assert columns.count.tolist() == [len(found)]
    assert columns.compared.tolist() == [True]
    assert columns.equal.tolist() == [False]


def test_a_side_without_a_document_is_not_compared() -> None:
    columns = compare_documents(
        [NO_DOCUMENT, None, NO_DOCUMENT, None], [NO_DOCUMENT, NO_DOCUMENT, 1, None]
    )
    assert columns.compared.tolist() == [False, False, False, True]
    assert columns.equal.tolist() == [False, False, False, True]
    assert columns.count.tolist() == [0, 0, 0, 0]
    assert columns.paths == columns.kinds == [[], [], [], []]


def test_differences_are_bounded_in_number() -> None:
    columns = compare_documents([list(range(100))], [list(range(1, 101))], max_differences=7)
    assert columns.count.tolist() == [7]
    assert columns.paths[0] == [f"/{i}" for i in range(7)]


def test_a_difference_beyond_the_last_visit_is_one_of_the_root() -> None:
    left, right = [0] * 100 + [1], [0] * 100 + [2]
    assert differences(left, right, max_visits=50) == [("", "value")]
    assert differences(left, right, max_visits=101) == [("/100", "value")]


def test_paths_are_bounded_in_length() -> None:
    path = compare_documents([{"k" * 1000: 1}], [{"k" * 1000: 2}]).paths[0][0]
    assert len(path) == MAX_PATH_CHARACTERS
    assert path.endswith("…")
    deep = differences(nested(1200, 1), nested(1200, 2))
    assert len(deep) == 1
    assert len(deep[0][0]) <= MAX_PATH_CHARACTERS


def test_large_and_deep_documents_take_bounded_time() -> None:
    wide = [{"id": i, "name": f"n{i}", "tags": ["a", "b"]} for i in range(20_000)]
    other = [{"id": i, "name": f"m{i}", "tags": ["b", "a"]} for i in range(20_000)]
    knotted: list[Any] = [1, 2]
    tied: list[Any] = [2, 1]
    for _ in range(120):
        knotted, tied = [knotted, "x" * 8000], [tied, "x" * 8000]
    started = time.process_time()
    columns = compare_documents([wide, knotted], [other, tied])
    assert time.process_time() - started < 5.0
    assert columns.count.tolist() == [32, 1]


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 0.5, 1e22, INFINITY])
    | st.sampled_from(["", "a", "1", "1.0", "\ud800"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab/~"), inner),
    max_leaves=8,
)


def tagged(value: Any) -> Any:
    """The value with its JSON types spelt out, so that Python's own equality is right for it."""
    if isinstance(value, dict):
        return "object", {key: tagged(member) for key, member in value.items()}
    if isinstance(value, list):
        return "array", [tagged(element) for element in value]
    return type(value).__name__.replace("float", "int"), value


@given(VALUES, VALUES)
def test_equality_agrees_with_another_definition_and_is_symmetric(left: Any, right: Any) -> None:
    assert json_equal(left, left)
    assert json_equal(left, right) == json_equal(right, left) == (tagged(left) == tagged(right))


MIRRORED = {"missing": "extra", "extra": "missing"}


@given(VALUES, VALUES)
def test_differences_mirror_when_the_sides_change_places(left: Any, right: Any) -> None:
    there = compare_documents([left], [right], max_differences=1000)
    back = compare_documents([right], [left], max_differences=1000)
    forward = sorted(zip(there.paths[0], there.kinds[0], strict=True))
    mirrored = [
        (path, MIRRORED.get(kind, kind))
        for path, kind in zip(back.paths[0], back.kinds[0], strict=True)
    ]
    assert forward == sorted(mirrored)
    assert (there.count[0] == 0) == bool(there.equal[0])


WRITABLE = VALUES.filter(lambda value: "\\ud800" not in repr(value) and "inf" not in repr(value))


@given(st.lists(WRITABLE, min_size=2, max_size=5), st.randoms())
def test_a_shuffled_array_differs_in_order_alone(elements: list[Any], random: Any) -> None:
    columns = compare_documents([elements], [random.sample(elements, len(elements))])
    assert columns.equal[0] or columns.kinds == [["order"]]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ('{"wei": 1000000000000000000001}', '{ "wei": 1000000000000000000001}', True),
        ('{"wei": 1000000000000000000001}', '{"wei": 1000000000000000000002}', False),
        ('{"wei": -1000000000000000000001}', '{"wei": -1000000000000000000002}', False),
        ('{"wei": 9007199254740993}', '{"wei": 9007199254740992}', False),
        ('{"wei": 18446744073709551616}', '{"wei": 18446744073709551617}', False),
        ('{"wei": 18446744073709551616}', '{"wei": 1.8446744073709551616e19}', True),
        ('{"wei": 0.1}', '{"wei": 0.10000000000000000001}', True),
        ("1" + "0" * 5_000, " 1" + "0" * 5_000, True),
        ("1" + "0" * 5_000, "1" + "0" * 4_999 + "1", False),
        ('["12345678901234567890"]', '[ "12345678901234567890"]', True),
        ('{"a": 1, "b": 100000000000000000000}', '{"b": 100000000000000000000, "a": 1}', True),
    ],
)
def test_integers_are_equal_only_if_all_digits_are(left: str, right: str, equal: bool) -> None:
    documents = check_json([left, right], np.ones(2, np.bool_)).documents
    columns = compare_documents(documents[:1], documents[1:], texts=([left], [right]))
    assert columns.equal.tolist() == [equal]
    assert columns.count.tolist() == [int(not equal)]
    assert columns.kinds == [[] if equal else ["value"]]


@pytest.mark.parametrize("place", range(20))
@pytest.mark.parametrize("digits", [19, 20, 21])
def test_long_integers_are_told_apart_wherever_they_stand(place: int, digits: int) -> None:
    key, zeros = "a" * place, "0" * (digits - 2)
    texts = [f'{{"{key}": 1{zeros}{last}}}' for last in (1, 2)]
    documents = check_json(list(texts), np.ones(2, np.bool_)).documents
    found = compare_documents(documents[:1], documents[1:], texts=([texts[0]], [texts[1]]))
    assert found.equal.tolist() == [False]


def test_fields_are_paths_without_indices_each_once() -> None:
    found = compare_documents(
        [{"a": [1, {"b": 2}, {"b": 3}], "7": 1, "a7": 2}],
        [{"a": [2, {"b": 3}, {"b": 4}], "7": 2, "a7": 3}],
    )
    assert found.fields == [["/a/*", "/a/*/b", "/*", "/a7"]]


def test_what_is_compared_is_what_is_left_of_a_document() -> None:
    def half(document: Any) -> Any:
        return {key: value for key, value in document.items() if key != "id"}

    left = [{"id": 1, "n": 1}, {"id": 1, "n": 1}, {"id": 1}]
    right = [{"id": 2, "n": 1}, {"id": 2, "n": 2}, {"id": 1}]
    found = compare_documents(left, right, as_compared=half)
    assert found.equal.tolist() == [True, False, True]
    assert found.paths == [[], ["/n"], []]


def test_digits_beyond_64_bits_are_there_when_a_part_is_left_out() -> None:
    texts = ['{"id": 1, "n": 10000000000000000000001}', '{"id": 2, "n": 10000000000000000000002}']
    documents = [[json.loads(text, parse_int=float)] for text in texts]
    found = compare_documents(
        *documents, texts=([texts[0]], [texts[1]]),
        as_compared=lambda document: {"n": document["n"]},
    )  # fmt: skip
    assert found.equal.tolist() == [False]
