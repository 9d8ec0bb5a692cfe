"""JSON records one a line, or in documents of several lines."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.schemas.adapters.json_records import json_records
from understudy.schemas.adapters.recording import Place, Problem


def read(content: str | bytes) -> list[Any]:
    return list(json_records(content.encode() if isinstance(content, str) else content))


def test_a_line_that_is_broken_takes_no_other_with_it() -> None:
    first, broken, last = read('{"a": 1}\n\n{"a": }\n{"a": 2}\n')
    assert first == (Place(1), {"a": 1})
    assert isinstance(broken, Problem)
    assert broken.place == Place(3)
    assert "is no JSON" in broken.detail
    assert last == (Place(4), {"a": 2})


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_documents_that_span_lines_follow_each_other(end: str) -> None:
    found = read('{\n "a": 1\n}\n{\n "a": 2\n}' + end)
    assert found == [(Place(1), {"a": 1}), (Place(4), {"a": 2})]


def test_the_elements_of_a_list_are_records() -> None:
    assert read('[{"a": 1}, {"a": 2}]') == [
        (Place(1, "[0]"), {"a": 1}),
        (Place(1, "[1]"), {"a": 2}),
    ]
    assert read('[\n{"a": 1},\n{"a": 2}\n]')[1] == (Place(1, "[1]"), {"a": 2})


def test_a_document_that_is_cut_off_is_told() -> None:
    (cut,) = read('{\n "a": [1,\n')
    assert isinstance(cut, Problem)
    assert "is no JSON" in cut.detail


def test_lines_are_read_as_leniently_as_events() -> None:
    assert read(b'\xef\xbb\xbf{"a": NaN}')[0][0] == Place(1)
    assert read(b'{"a": "\xff"}')[0][1] == {"a": "\udcff"}
    assert read('{"a": "\\ud83c"}')[0][1] == {"a": "\ud83c"}


def test_what_is_nested_too_deeply_is_a_problem_of_its_line() -> None:
    deep = '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"
    problem, other = read(deep + '\n{"a": 1}')
    assert isinstance(problem, Problem)
    assert other == (Place(2), {"a": 1})
