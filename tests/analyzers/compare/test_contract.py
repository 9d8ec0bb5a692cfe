"""What holds of every analyzer of texts: deterministic, finite, empty-safe, free of batches."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from understudy.analyzers.compare.json_difference import compare_documents
from understudy.analyzers.compare.json_output import (
    check_json,
    check_json_schema,
    compile_json_schema,
)
from understudy.analyzers.compare.language import match_languages
from understudy.analyzers.compare.text import compare_text
from understudy.analyzers.compare.tool_calls import arguments_invalid, compare_tool_calls
from understudy.schemas.events import ToolCall

Rows = Sequence[tuple[str | None, str | None]]
Columns = dict[str, list[Any]]

ROWS: Rows = [
    (None, None),
    ("", "text"),
    ("same", "same"),
    ("two  words", "two words"),
    ("Here is the answer that you asked for.", "Voici la réponse que vous avez demandée."),
    ('{"a": [1, 2], "b": true}', '{"b": 1, "a": [2, 1]}'),
    ('{"a": 1}', '```json\n{"a": 1}\n```'),
    ('{"a": 1', '{"a": 1} indeed'),
    ("[" * 10_000, "]" * 10_000),
    ("שלום " * 600, "سلام " * 600),
    ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f468"),
    ("\ud800", "\x00\x01"),
    ("{" * 100_000, "garbage " * 12_500),
    ("繁體中文的說明", "简体中文的说明"),
]
SCHEMAS = {"object": compile_json_schema({"type": "object"})}


def _text(rows: Rows) -> Columns:
    return _lists(compare_text([a for a, _ in rows], [b for _, b in rows]))


def _json(rows: Rows) -> Columns:
    columns = check_json([a for a, _ in rows], np.ones(len(rows), np.bool_))
    valid = check_json_schema(columns.documents, columns.state, ["object"] * len(rows), SCHEMAS)
    return {**_lists(columns), "schema": valid.tolist()}


def _json_difference(rows: Rows) -> Columns:
    expected = np.ones(len(rows), np.bool_)
    left = check_json([a for a, _ in rows], expected).documents
    right = check_json([b for _, b in rows], expected).documents
    return _lists(compare_documents(left, right))


def _tool_calls(rows: Rows) -> Columns:
    def calls(text: str | None) -> tuple[ToolCall, ...] | None:
        if text is None:
            return None
        arguments = msgspec.json.encode(text.encode("utf-8", "replace").decode())
        return (ToolCall("tool", msgspec.Raw(arguments)),)

    left = [calls(a) for a, _ in rows]
    right = [calls(b) for _, b in rows]
    invalid = arguments_invalid(left).tolist()
    return {**_lists(compare_tool_calls(left, right)), "invalid": invalid}


def _language(rows: Rows) -> Columns:
    languages = [("en", "zh-Hant", "he", "und")[len(a or "") % 4] for a, _ in rows]
    return _lists(match_languages(languages, [a for a, _ in rows], np.ones(len(rows), np.bool_)))


def _lists(columns: Any) -> Columns:
    values = {f.name: getattr(columns, f.name) for f in dataclasses.fields(columns)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


ANALYZERS = [_text, _json, _json_difference, _tool_calls, _language]
each_analyzer = pytest.mark.parametrize("analyze", ANALYZERS, ids=lambda f: f.__name__.strip("_"))
Analyze = Callable[[Rows], Columns]


@each_analyzer
def test_nothing_gives_nothing(analyze: Analyze) -> None:
    assert all(column == [] for column in analyze([]).values())


@each_analyzer
def test_a_row_in_is_a_row_out(analyze: Analyze) -> None:
    assert {len(column) for column in analyze(ROWS).values()} == {len(ROWS)}


@each_analyzer
def test_the_same_rows_give_the_same_columns(analyze: Analyze) -> None:
    assert repr(analyze(ROWS)) == repr(analyze(ROWS))


@each_analyzer
@pytest.mark.parametrize("size", [1, 3, len(ROWS) - 1])
def test_batches_do_not_show(analyze: Analyze, size: int) -> None:
    whole = analyze(ROWS)
    parts = [analyze(ROWS[start : start + size]) for start in range(0, len(ROWS), size)]
    joined = {name: [value for part in parts for value in part[name]] for name in whole}
    assert repr(joined) == repr(whole)


@each_analyzer
def test_the_order_of_rows_does_not_show(analyze: Analyze) -> None:
    forward, backward = analyze(ROWS), analyze(ROWS[::-1])
    assert repr({k: v[::-1] for k, v in backward.items()}) == repr(forward)


@each_analyzer
def test_numbers_are_finite_or_missing(analyze: Analyze) -> None:
    numbers = [v for column in analyze(ROWS).values() for v in column if isinstance(v, float)]
    assert not any(math.isinf(number) for number in numbers)
