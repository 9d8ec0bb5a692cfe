"""The columns that a comparison is made of.

`SideMeasures` holds one row a side, `PairMeasures` one row a pair, `ControlMeasures` one row a
pair that had a control side. Numbers stand in numpy arrays of shape (n,), labels in lists of the
same length. Missing numbers are NaN (floats) or -1 (integers); a verdict that was not reached
is -1, else 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum, StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Columns = TypeVar("Columns", bound=DataclassInstance)

Bools = NDArray[np.bool_]
Bytes = NDArray[np.int8]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float64]


class JsonState(IntEnum):
    """What became of an answer that should have been JSON."""

    NOT_EXPECTED = 0
    VALID = 1
    FENCED = 2
    TRUNCATED = 3
    TRAILING_TEXT = 4
    NOT_JSON = 5
    TOO_DEEP = 6


class SimilarityMethod(IntEnum):
    """How a similarity was computed."""

    NONE = 0
    IDENTICAL = 1
    INDEL = 2
    NGRAM = 3


class DifferenceKind(StrEnum):
    """How two JSON documents differ at a path."""

    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class SideMeasures:
    """What one side answered; n rows."""

    model: list[str]
    served: Bools
    error: Bools
    timeout: Bools
    error_type: list[str]
    error_status: Ints
    """HTTP status; 0 when there is none."""
    finish_reason: list[str]
    truncated: Bools
    content_filtered: Bools
    fallback: Bools
    attempts: Ints
    text: Bools
    """Answered, with text that is not empty."""
    output_characters: Ints
    output_hash: Hashes
    """xxHash64 of the output in UTF-8, as ClickHouse's `xxHash64` gives it; 0 without output."""
    json_state: Bytes
    """A `JsonState`; NOT_EXPECTED too where the side failed."""
    json_schema_valid: Bytes
    """-1 not checked, 0 no, 1 yes."""
    tools_offered: Bools
    tool_call_count: Ints
    tool_arguments_invalid: Bools
    output_language: list[str]
    """BCP 47 tag of the output; `und` when unsure, empty when not looked at."""
    language_match: Bytes
    """-1 not checked, 0 no, 1 yes: is the output in the request's language."""
    duration_ms: Floats
    first_token_ms: Floats
    """Time to first token; NaN unless streamed."""
    input_tokens: Ints
    output_tokens: Ints
    cost_usd: Floats

    def __len__(self) -> int:
        return len(self.model)


@dataclass(frozen=True, slots=True)
class PairMeasures:
    """How a candidate differs from its stable; n rows."""

    answered: Bools
    """Both sides answered without error."""
    texts: Bools
    """Both answered with text."""
    identical: Bools
    identical_folded: Bools
    similarity: Floats
    """0 to 1, NaN unless both have text."""
    similarity_method: Bytes
    json_compared: Bools
    """Both answers are valid JSON that was expected."""
    json_equal: Bools
    json_difference_count: Ints
    json_difference_paths: list[list[str]]
    json_difference_kinds: list[list[str]]
    tool_calls_compared: Bools
    """Both answered, and tools were offered or called."""
    tool_names_match: Bools
    tool_calls_match: Bools
    finish_reason_match: Bools

    def __len__(self) -> int:
        return len(self.answered)


@dataclass(frozen=True, slots=True)
class ControlMeasures:
    """How stable differs from a second run of itself; n rows."""

    answered: Bools
    texts: Bools
    identical: Bools
    identical_folded: Bools
    similarity: Floats
    json_compared: Bools
    json_equal: Bools
    tool_calls_compared: Bools
    tool_calls_match: Bools

    def __len__(self) -> int:
        return len(self.answered)


def concatenate(parts: Sequence[Columns]) -> Columns:
    """Several sets of the same columns as one, row after row; at least one part."""
    first, *others = parts
    if not others:
        return first
    return type(first)(
        *(_end_to_end([getattr(part, field.name) for part in parts]) for field in fields(first))
    )


def _end_to_end(columns: list[Any]) -> Any:
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return list(chain.from_iterable(columns))


def select(columns: Columns, rows: slice | list[int]) -> Columns:
    """The same columns of some rows."""
    return type(columns)(*(_some(getattr(columns, field.name), rows) for field in fields(columns)))


def _some(column: Any, rows: slice | list[int]) -> Any:
    if is_dataclass(column) and not isinstance(column, type):
        return select(column, rows)
    if isinstance(column, np.ndarray) or isinstance(rows, slice):
        return column[rows]
    return [column[row] for row in rows]
