"""Where two JSON documents differ.

Values are compared as JSON values: true is not 1, 1 is 1.0, the order of keys does not matter,
the order of elements does. Integers are equal only if all their digits are; other numbers are
doubles. Documents come from `json_output.check_json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain, compress, islice, repeat, zip_longest
from operator import ne
from typing import Any, Final

import numpy as np
import orjson

from understudy.analyzers.compare.arrays import Bools, Ints
from understudy.analyzers.compare.json_output import NO_DOCUMENT, parse_exactly

MAX_DIFFERENCES: Final = 32
"""Enough to show what kind of change it is; a row of `comparisons` stays small."""
MAX_VISITS: Final = 10_000
"""Bounds the time for one pair to some milliseconds."""
MAX_PATH_CHARACTERS: Final = 256
"""Longer paths are cut: keys may be as long as an answer."""


class DifferenceKind(StrEnum):
    """How two JSON documents differ at a path."""

    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    VALUE = "value"
    ORDER = "order"


Difference = tuple[str, DifferenceKind]
"""RFC 6901 JSON Pointer and kind."""


@dataclass(frozen=True, slots=True)
class JsonDifferenceColumns:
    """How the documents of each pair differ; n rows."""

    compared: Bools
    """Both sides have a document."""
    equal: Bools
    count: Ints
    """Differences found; bounded."""
    paths: list[list[str]]
    """JSON Pointers (RFC 6901), in document order."""
    kinds: list[list[str]]
    """A `DifferenceKind` for each path."""
    fields: list[list[str]]
    """The paths without indices, each once."""


def compare_documents(
    left: Sequence[Any],
    right: Sequence[Any],
    *,
    texts: tuple[Sequence[str | None], Sequence[str | None]] | None = None,
    max_differences: int = MAX_DIFFERENCES,
    max_visits: int = MAX_VISITS,
    as_compared: Callable[[Any], Any] | None = None,
) -> JsonDifferenceColumns:
    """Compare document by document; pairs without two documents have no difference.

    The `texts` from which the documents were read have digits of integers beyond 64 bits that the
    documents lack. The search for differences looks at no more than `max_visits` values of a pair.
    Documents that differ beyond that differ at the root. Of documents that differ, `as_compared`
    gives what is looked at.
    """
    n = len(left)
    compared = np.zeros(n, np.bool_)
    equal = np.zeros(n, np.bool_)
    count = np.zeros(n, np.int64)
    paths, kinds, fields = [_NONE] * n, [_NONE] * n, [_NONE] * n
    for row, (a, b) in enumerate(zip(left, right, strict=True)):
        if a is NO_DOCUMENT or b is NO_DOCUMENT:
            continue
        compared[row] = True
        same = a is b or json_equal(a, b)
        if same and a is not b and texts is not None:
            left_exact, right_exact = _exact(a, b, row, texts)
            if left_exact is not a or right_exact is not b:
                a, b = left_exact, right_exact
                same = json_equal(a, b)
        if not same and as_compared is not None:
            a, b = _exact(a, b, row, texts)
            a, b = as_compared(a), as_compared(b)
            same = json_equal(a, b)
        if same:
            equal[row] = True
            continue
        found = differences(a, b, max_differences, max_visits)
        count[row] = len(found)
        paths[row] = [path for path, _ in found]
        kinds[row] = [kind.value for _, kind in found]
        fields[row] = list(dict.fromkeys(map(_field, paths[row])))
    return JsonDifferenceColumns(compared, equal, count, paths, kinds, fields)


_NONE: Final[list[str]] = []
"""Shared by all pairs whose documents do not differ, and always empty."""
_index: Final = re.compile(r"/[0-9]+(?=/|$)")
"""Keys that are numbers are mostly ids, which differ from answer to answer as indices do."""


@lru_cache(maxsize=4096)
def _field(path: str) -> str:
    """A path with its indices of arrays as *; the same few paths differ again and again."""
    return _index.sub("/*", path)


def _exact(
    left: Any, right: Any, row: int, texts: tuple[Sequence[str | None], Sequence[str | None]] | None
) -> tuple[Any, Any]:
    """Both values with all digits of their integers."""
    if texts is None:
        return left, right
    return parse_exactly(texts[0][row] or "", left), parse_exactly(texts[1][row] or "", right)


def json_equal(left: Any, right: Any) -> bool:
    """Whether two parsed JSON values are equal as JSON values."""
    try:
        if left != right:
            return False
        # Python's == is right but for True and 1, False and 0, whose texts differ.
        if orjson.dumps(left) == orjson.dumps(right):
            return True
        if _sorted_text(left) == _sorted_text(right):
            return True
    except (RecursionError, TypeError):  # too deep for either, or not for UTF-8
        pass
    return _equal_step_by_step(left, right)


def _equal_step_by_step(left: Any, right: Any) -> bool:
    """Compare the same way without recursion, so that no nesting exhausts the stack."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        kind = type(a)
        if kind is not type(b) and not (kind in _NUMBERS and type(b) in _NUMBERS):
            return False
        if kind is dict:
            if a.keys() != b.keys():
                return False
            stack.extend((value, b[key]) for key, value in a.items())
        elif kind is list:
            if len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True


class _Absent:
    """The type of `_ABSENT`: this side lacks a member or element that the other has."""

    __slots__ = ()


_ABSENT: Final = _Absent()
_NUMBERS: Final = (int, float)
_CONTAINERS: Final = (dict, list)

Place = tuple[Any, str | int] | None
"""A linked path: the place above and the key or index in it; None at the root."""
Member = tuple[Place, Any, Any]
"""A place and the values there on the left and on the right."""


def differences(
    left: Any, right: Any, max_differences: int = MAX_DIFFERENCES, max_visits: int = MAX_VISITS
) -> list[Difference]:
    """The first differences of two unequal values, in document order.

    Arrays that hold the same elements in another order are one difference of the kind order.
    """
    found: list[Difference] = []
    stack: list[Member] = [(None, left, right)]
    while stack and len(found) < max_differences:
        place, a, b = stack.pop()
        kind = _difference(a, b)
        if kind is not None:
            found.append((_pointer(place), kind))
        elif max_visits > 0:
            unequal, visited = _unequal_members(
                place, a, b, max_differences - len(found), max_visits
            )
            stack.extend(reversed(unequal))
            max_visits -= visited
    return found or [("", DifferenceKind.VALUE)]


def _difference(left: Any, right: Any) -> DifferenceKind | None:
    """How two unequal values differ by themselves; None when only their members do."""
    if right is _ABSENT:
        return DifferenceKind.MISSING
    if left is _ABSENT:
        return DifferenceKind.EXTRA
    kind = type(left)
    if kind is not type(right) and not (kind in _NUMBERS and type(right) in _NUMBERS):
        return DifferenceKind.TYPE
    if kind is list:
        return DifferenceKind.ORDER if _is_reordered(left, right) else None
    return None if kind is dict else DifferenceKind.VALUE


def _unequal_members(
    above: Place, left: Any, right: Any, wanted: int, max_visits: int
) -> tuple[list[Member], int]:
    """The first members that differ, as many as wanted, and how many were looked at.

    In the order of the left, then those that it lacks. Each holds at least one difference.
    """
    found: list[Member] = []
    alike_left: list[Any] = []
    alike_right: list[Any] = []
    visited = 0
    try:
        for key, a, b in islice(_members(left, right), max_visits):
            visited += 1
            kind = type(a)
            if kind is not type(b):
                if json_equal(a, b):
                    continue
            elif a == b:
                if kind in _CONTAINERS:
                    alike_left.append(a)
                    alike_right.append(b)
                continue
            found.append(((above, key), a, b))
            if len(found) == wanted:
                break
        # Python's == is right but for True and 1, False and 0, whose texts differ.
        if not alike_left or orjson.dumps(alike_left) == orjson.dumps(alike_right):
            return found, visited
    except (RecursionError, TypeError):  # too deep for either, or not for UTF-8
        pass
    return _unequal_one_by_one(above, left, right, wanted, max_visits)


def _unequal_one_by_one(
    above: Place, left: Any, right: Any, wanted: int, max_visits: int
) -> tuple[list[Member], int]:
    """The same, where what Python calls equal has to be compared one by one."""
    found: list[Member] = []
    visited = 0
    for key, a, b in islice(_members(left, right), max_visits):
        visited += 1
        if not _same(a, b):
            found.append(((above, key), a, b))
            if len(found) == wanted:
                break
    return found, visited


def _members(left: Any, right: Any) -> Iterator[tuple[str | int, Any, Any]]:
    if type(left) is list:
        if len(left) == len(right):
            return zip(range(len(left)), left, right, strict=True)
        pairs = zip_longest(left, right, fillvalue=_ABSENT)
        return ((index, a, b) for index, (a, b) in enumerate(pairs))
    if left.keys() == right.keys():
        return zip(left, left.values(), map(right.__getitem__, left), strict=True)
    kept = zip(left, left.values(), map(right.get, left, repeat(_ABSENT)), strict=True)
    return chain(kept, ((key, _ABSENT, b) for key, b in right.items() if key not in left))


def _same(left: Any, right: Any) -> bool:
    kind = type(left)
    if kind is type(right) and kind not in _CONTAINERS:
        return bool(left == right)
    return json_equal(left, right)


def _is_reordered(left: list[Any], right: list[Any]) -> bool:
    """Whether two unequal arrays hold the same elements, each as often."""
    if not 2 <= len(left) == len(right) <= MAX_VISITS:
        return False
    if type(left[0]) is str and {*map(type, left), *map(type, right)} == {str}:
        return sorted(left) == sorted(right)
    moved = list(compress(zip(left, right, strict=True), map(ne, left, right)))
    elsewhere = [b for _, b in moved]
    for a, _ in moved[:_LOOKED_FOR]:
        if a not in elsewhere:
            return False
    try:
        return sorted(map(canonical, left)) == sorted(map(canonical, right))
    except RecursionError:
        return False


_LOOKED_FOR: Final = 8
"""So many of the moved elements are searched for before all are sorted, which costs more."""

_fraction = re.compile(rb"\d[.eE]").search


def _sorted_text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical(value: Any) -> bytes:
    """Bytes that are equal for equal JSON values, and for no others. Raises `RecursionError`."""
    try:
        text = _sorted_text(value)
    except TypeError:  # long integers, lone surrogates, or too deep for orjson
        text = _sorted_slowly(value)
        return _sorted_slowly(json.loads(text, parse_float=_whole_if_whole))
    if not _fraction(text):
        return text
    return orjson.dumps(json.loads(text, parse_float=_whole_if_whole))


def _sorted_slowly(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


def _whole_if_whole(digits: str) -> int | float:
    value = float(digits)
    return int(value) if value.is_integer() and -(2.0**63) <= value < 2.0**64 else value


def _pointer(place: Place) -> str:
    """The JSON Pointer of a place; a long one ends in an ellipsis."""
    tokens: list[str] = []
    while place is not None:
        place, key = place
        tokens.append(str(key))
    tokens.append("")
    tokens.reverse()
    pointer = "/".join(tokens)
    if "~" in pointer or pointer.count("/") != len(tokens) - 1:
        pointer = "/".join(t.replace("~", "~0").replace("/", "~1") for t in tokens)
    if len(pointer) > MAX_PATH_CHARACTERS:
        pointer = pointer[: MAX_PATH_CHARACTERS - 1] + "…"
    # A key may hold a lone surrogate, which has no UTF-8.
    return pointer if pointer.isascii() else pointer.encode("utf-8", "replace").decode()
