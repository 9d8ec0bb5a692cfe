"""Two sides together: who is compared in what, by cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.analyzers.compare.test_sides import ERROR, event, read
from tests.analyzers.windows.events import random_pairs
from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_control, compare_pairs
from understudy.analyzers.compare.sides import read_sides
from understudy.schemas.measures import SimilarityMethod

OPTIONS = CompareOptions()
Changes = dict[str, Any]


def compared(left: Changes, right: Changes, **options: Any) -> PairMeasures:
    return compare_pairs(read(event(**left)), read(event(**right)), CompareOptions(**options))


def told(measures: PairMeasures | ControlMeasures, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(measures, name)[0].item() for name in names)


def text(output: str | None, **more: Any) -> Changes:
    return {"response": {"output": output, **more}}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (text("a"), text("a"), (True, True, True, True)),
        (text("a "), text("a"), (True, True, False, True)),
        (text("e\u0301"), text("\u00e9"), (True, True, False, True)),
        (text("a"), text("b"), (True, True, False, False)),
        (text("a"), text(""), (True, False, False, False)),
        (text(None), text(None), (True, False, False, False)),
        ({}, {}, (True, False, False, False)),
        (text("a"), {**text("a"), "error": ERROR}, (False, False, False, False)),
        ({"error": ERROR}, {"error": ERROR}, (False, False, False, False)),
    ],
)
def test_answered_with_text_and_equal(left: Changes, right: Changes, expected: Any) -> None:
    names = ("answered", "texts", "identical", "identical_folded")
    assert told(compared(left, right), *names) == expected
    assert told(compared(right, left), *names) == expected


def test_similarity_and_its_method() -> None:
    cases = [
        ("same", "same", 1.0, SimilarityMethod.IDENTICAL),
        ("abcd", "abxd", 0.75, SimilarityMethod.INDEL),
        ("a", "b", 0.0, SimilarityMethod.INDEL),
        ("ab" * 2000, "ab" * 2001, pytest.approx(1.0, abs=0.01), SimilarityMethod.NGRAM),
    ]
    for left, right, similarity, method in cases:
        found = compared(text(left), text(right))
        assert told(found, "similarity", "similarity_method") == (similarity, method)
    assert np.isnan(compared(text("a"), text(None)).similarity[0])


def test_without_similarity_only_equal_texts_have_one() -> None:
    assert np.isnan(compared(text("a"), text("b"), similarity=False).similarity[0])
    assert compared(text("a"), text("a"), similarity=False).similarity[0] == 1.0


def test_json_is_compared_where_both_are_valid_and_expected() -> None:
    request = {"expects": "json"}
    names = ("json_compared", "json_equal", "json_difference_count")
    one = {**text('{"a": 1, "b": 2}'), "request": request}
    assert told(compared(one, {**text('{"b":2,"a":1.0}'), "request": request}), *names) == (
        True, True, 0,
    )  # fmt: skip
    other = compared(one, {**text('{"a": true}'), "request": request})
    assert told(other, *names) == (True, False, 2)
    assert other.json_difference_paths == [["/a", "/b"]]
    assert other.json_difference_kinds == [["type", "missing"]]
    assert told(compared(one, {**text("no"), "request": request}), *names) == (False, False, 0)
    assert told(compared(one, {**text("{}"), "request": request, "error": ERROR}), *names) == (
        False, False, 0,
    )  # fmt: skip
    assert told(compared(text("{}"), text("{}")), *names) == (False, False, 0)


def calls(*names: str, arguments: Any = None) -> Changes:
    return {"response": {"tool_calls": [{"name": n, "arguments": arguments} for n in names]}}


OFFERED = {"request": {"tools": ["f"]}}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({}, {}, (False, False, False)),
        (OFFERED, {}, (True, True, True)),
        (OFFERED, calls("f"), (True, False, False)),
        (calls("f"), calls("f"), (True, True, True)),
        (calls("f", "g"), calls("g", "f"), (True, True, True)),
        (calls("f", "f"), calls("f", "g"), (True, False, False)),
        (calls("f", arguments={"a": 1}), calls("f", arguments='{"a":1.0}'), (True, True, True)),
        (calls("f", arguments={"a": 1}), calls("f", arguments={"a": True}), (True, True, False)),
        (calls("f"), {"error": ERROR, **OFFERED}, (False, False, False)),
    ],
)
def test_tool_calls_where_tools_were_offered_or_called(
    left: Changes, right: Changes, expected: Any
) -> None:
    names = ("tool_calls_compared", "tool_names_match", "tool_calls_match")
    assert told(compared(left, right), *names) == expected
    assert told(compared(right, left), *names) == expected


def test_finish_reasons_match_in_any_case_when_both_answered() -> None:
    left, right = text("a", finish_reason="stop"), text("b", finish_reason="STOP")
    assert compared(left, right).finish_reason_match[0]
    assert not compared(left, text("b", finish_reason="length")).finish_reason_match[0]
    assert not compared(left, {**right, "error": ERROR}).finish_reason_match[0]


def test_no_pairs_are_no_rows() -> None:
    assert len(compare_pairs(read(), read(), OPTIONS)) == 0
    assert len(compare_control(read(), read(), OPTIONS)) == 0


def test_rows_do_not_see_one_another() -> None:
    pairs = random_pairs(seed=5, count=60)
    languages = ["en"] * len(pairs)
    stable = read_sides([a for a, _ in pairs], languages, OPTIONS)
    candidate = read_sides([b for _, b in pairs], languages, OPTIONS)
    together = compare_pairs(stable, candidate, OPTIONS)
    for row, (a, b) in enumerate(pairs):
        alone = compare_pairs(read(a), read(b), OPTIONS)
        for name in alone.__dataclass_fields__:
            left, right = getattr(together, name)[row], getattr(alone, name)[0]
            assert left == right or (left != left and right != right), name


def test_a_control_is_measured_as_a_pair_is() -> None:
    pairs = random_pairs(seed=6, count=60)
    stable = read(*(a for a, _ in pairs))
    control = read(*(b for _, b in pairs))
    as_pair = compare_pairs(stable, control, OPTIONS)
    as_control = compare_control(stable, control, OPTIONS)
    for name in as_control.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(as_control, name), getattr(as_pair, name), name)


def test_a_side_against_itself_differs_in_nothing() -> None:
    side = read(*(a for a, _ in random_pairs(seed=7, count=80)))
    found = compare_pairs(side, side, OPTIONS)
    assert (found.identical == found.texts).all()
    assert (found.json_equal == found.json_compared).all()
    assert (found.tool_calls_match == found.tool_calls_compared).all()
    assert (found.similarity[found.texts] == 1.0).all()
    assert (found.answered == ~side.measures.error).all()
    assert (found.finish_reason_match == found.answered).all()


def json(output: str) -> Changes:
    return {"request": {"expects": "json"}, "response": {"output": output}}


def test_json_is_compared_without_what_always_differs() -> None:
    left, right = json('{"id": 1, "tags": ["a", "b"]}'), json('{"id": 2, "tags": ["b", "a"]}')
    assert told(compared(left, right), "json_equal") == (False,)
    assert compared(left, right).json_changed_fields == [["/id", "/tags"]]
    paths = {"json_ignore": (("id",),), "json_unordered": (("tags",),)}
    assert told(compared(left, right, **paths), "json_compared", "json_equal") == (True, True)
    assert compared(left, right, json_ignore=(("id",),)).json_changed_fields == [["/tags"]]


def test_control_sides_tell_which_fields_differ_by_themselves() -> None:
    stable, control = read(event(**json('{"id": 1}'))), read(event(**json('{"id": 2}')))
    assert compare_control(stable, control, OPTIONS).json_changed_fields == [["/id"]]
