"""Where two JSON documents differ.

Values are compared as JSON values: true is not 1, 1 is 1.0, the order of keys does not matter,
the order of elements does. Not for parsing: documents come from `json_output.check_json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import orjson
from understudy.analyzers.compare.json_output import NO_DOCUMENT
from understudy.analyzers.compare.measures import Bools, DifferenceKind, Ints

MAX_DIFFERENCES: Final = 32
MAX_VISITS: Final = 10_000
MAX_PATH_CHARACTERS: Final = 256

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


def compare_documents(
    left: Sequence[Any],
    right: Sequence[Any],
    *,
    max_differences: int = MAX_DIFFERENCES,
    max_visits: int = MAX_VISITS,
) -> JsonDifferenceColumns:
    """Compare document by document; pairs without two documents have no difference.

    The search for differences looks at no more than `max_visits` values of a pair. Documents
    that differ beyond that differ at the root.
    """
    n = len(left)
    compared = np.zeros(n, np.bool_)
    equal = np.zeros(n, np.bool_)
    count = np.zeros(n, np.int64)
    paths: list[list[str]] = [[] for _ in range(n)]
    kinds: list[list[str]] = [[] for _ in range(n)]
    rows = [
        i
        for i, (a, b) in enumerate(zip(left, right, strict=True))
        if a is not NO_DOCUMENT and b is not NO_DOCUMENT
    ]
    compared[rows] = True
    for row in rows:
        if json_equal(left[row], right[row]):
            equal[row] = True
            continue
        found = differences(left[row], right[row], max_differences, max_visits)
        count[row] = len(found)
        paths[row] = [path for path, _ in found]
        kinds[row] = [kind.value for _, kind in found]
    return JsonDifferenceColumns(compared, equal, count, paths, kinds)


def json_equal(left: Any, right: Any) -> bool:
    """Whether two parsed JSON values are equal as JSON values."""
    try:
        if left != right:
            return False
        # Python takes True for 1; their texts differ.
        if orjson.dumps(left) == orjson.dumps(right):
            return True
    except (RecursionError, TypeError):
        pass
    return not any(_unequal_leaves(left, right))


def _unequal_leaves(left: Any, right: Any) -> Iterator[bool]:
    """True for every place where the values differ; iterative, so nesting costs no stack."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        kind = _kind(a)
        if kind != _kind(b):
            yield True
        elif kind == "object":
            if a.keys() != b.keys():
                yield True
            else:
                stack.extend((value, b[key]) for key, value in a.items())
        elif kind == "array":
            if len(a) != len(b):
                yield True
            else:
                stack.extend(zip(a, b, strict=True))
        elif a != b:
            yield True


_KINDS: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}


def _kind(value: Any) -> str:
    return _KINDS[type(value)]


class _Absent:
    """Stands where the other side has a member or element and this one has none."""

    __slots__ = ()


_ABSENT: Final = _Absent()

Member = tuple[str | int, Any, Any]
"""A key or index and what stands there on the left and on the right."""
Place = tuple[Any, str | int] | None
"""A linked path: the place above and the key or index in it; None at the root."""


def differences(
    left: Any, right: Any, max_differences: int = MAX_DIFFERENCES, max_visits: int = MAX_VISITS
) -> list[Difference]:
    """The first differences of two unequal values, in document order.

    Arrays that hold the same elements in another order are one difference of the kind order.
    """
    kind = _difference(left, right)
    if kind is not None:
        return [("", kind)]
    found: list[Difference] = []
    levels: list[tuple[Place, Iterator[Member]]] = [(None, _members(left, right))]
    visits = 0
    while levels and len(found) < max_differences and visits < max_visits:
        above, members = levels[-1]
        member = next(members, None)
        if member is None:
            levels.pop()
            continue
        visits += 1
        key, a, b = member
        kind = _difference(a, b)
        if kind is not None:
            found.append((_pointer((above, key)), kind))
        elif isinstance(a, dict | list):
            levels.append(((above, key), _members(a, b)))
    return found or [("", DifferenceKind.VALUE)]


def _members(left: Any, right: Any) -> Iterator[Member]:
    """What two objects or two arrays hold, in the order of the left, then what it lacks."""
    if isinstance(left, list):
        pairs = zip_longest(left, right, fillvalue=_ABSENT)
        yield from ((index, a, b) for index, (a, b) in enumerate(pairs))
        return
    yield from ((key, a, right.get(key, _ABSENT)) for key, a in left.items())
    yield from ((key, _ABSENT, b) for key, b in right.items() if key not in left)


def _difference(left: Any, right: Any) -> DifferenceKind | None:
    """How two values differ by themselves; None when equal or when only their members may."""
    if right is _ABSENT:
        return DifferenceKind.MISSING
    if left is _ABSENT:
        return DifferenceKind.EXTRA
    kind = _kind(left)
    if kind != _kind(right):
        return DifferenceKind.TYPE
    if kind == "array":
        return DifferenceKind.ORDER if _is_reordered(left, right) else None
    if kind != "object" and left != right:
        return DifferenceKind.VALUE
    return None


def _is_reordered(left: list[Any], right: list[Any]) -> bool:
    """Whether two arrays hold the same elements, each as often, in another order."""
    if not 2 <= len(left) == len(right) <= MAX_VISITS:
        return False
    try:
        return left != right and sorted(map(_canonical, left)) == sorted(map(_canonical, right))
    except (RecursionError, TypeError):
        return False


def _canonical(value: Any) -> bytes:
    """Bytes that are equal for equal JSON values."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if b"." not in text and b"e" not in text and b"E" not in text:
        return text
    return orjson.dumps(json.loads(text, parse_float=_whole_if_whole))


def _whole_if_whole(digits: str) -> int | float:
    value = float(digits)
    return int(value) if value.is_integer() and -(2.0**63) <= value < 2.0**64 else value


def _pointer(place: Place) -> str:
    """The JSON Pointer of a place; a long one ends in an ellipsis."""
    tokens: list[str] = []
    while place is not None:
        place, key = place
        tokens.append(str(key).replace("~", "~0").replace("/", "~1"))
    pointer = "".join(f"/{token}" for token in reversed(tokens))
    if len(pointer) > MAX_PATH_CHARACTERS:
        pointer = pointer[: MAX_PATH_CHARACTERS - 1] + "…"
    # A key may hold a lone surrogate, which has no UTF-8.
    return pointer.encode("utf-8", "replace").decode()
