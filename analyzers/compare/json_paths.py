"""Places in JSON documents that a comparison leaves out, or whose order it does not look at.

Patterns are JSON Pointers (RFC 6901) in which `*` stands for any key or index, and `**` for any
number of them, none included: `/id`, `/items/*/price`, `/**/created_at`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from understudy.analyzers.compare.json_difference import canonical

ANY: Final = "*"
ANY_DEPTH: Final = "**"
MAX_PATTERNS: Final = 200
"""Each is looked for at every place of every pair of documents that differ."""

Pattern = tuple[str, ...]
_States = tuple[tuple[Pattern, int], ...]
"""Patterns of which a place has matched so many steps."""


def parse_patterns(written: Sequence[str]) -> tuple[Pattern, ...]:
    """The steps of each pattern. Raises a ValueError that says what is wrong."""
    if len(written) > MAX_PATTERNS:
        raise ValueError(f"{len(written)} paths, the most are {MAX_PATTERNS}")
    return tuple(map(_parse, written))


def _parse(written: str) -> Pattern:
    if not written.startswith("/"):
        raise ValueError(f"{written!r} is no path: it begins with a slash, as /id does")
    steps = tuple(one.replace("~1", "/").replace("~0", "~") for one in written[1:].split("/"))
    if steps[-1] == ANY_DEPTH:
        raise ValueError(f"{written!r} ends with **; name what lies there")
    return steps


def without(document: Any, ignored: Sequence[Pattern], unordered: Sequence[Pattern]) -> Any:
    """A document as it is compared.

    What lies at ignored paths is left out of objects and null in arrays; arrays at unordered paths
    have their elements in an order of their own. What no pattern reaches is not copied. Documents
    nest no deeper than `json_output.MAX_DEPTH`.
    """
    return _kept(document, _begun(ignored), _begun(unordered))


def _begun(patterns: Sequence[Pattern]) -> _States:
    return _closed((pattern, 0) for pattern in patterns)


def _closed(states: Iterable[tuple[Pattern, int]]) -> _States:
    """With those that come from a `**` that stands for nothing."""
    found: dict[tuple[Pattern, int], None] = {}
    for pattern, at in states:
        found.setdefault((pattern, at))
        while at < len(pattern) and pattern[at] == ANY_DEPTH:
            at += 1
            found.setdefault((pattern, at))
    return tuple(found)


def _next(states: _States, step: str) -> _States:
    """The states after one step down."""
    further: list[tuple[Pattern, int]] = []
    for pattern, at in states:
        if at == len(pattern):
            continue
        wanted = pattern[at]
        if wanted == ANY_DEPTH:
            further.append((pattern, at))
        elif wanted in (ANY, step):
            further.append((pattern, at + 1))
    return _closed(further) if further else ()


def _is_there(states: _States) -> bool:
    return any(at == len(pattern) for pattern, at in states)


def _kept(value: Any, ignored: _States, unordered: _States) -> Any:
    if not ignored and not unordered:
        return value
    if type(value) is dict:
        return {key: one for key, one, keep in _members(value, ignored, unordered) if keep}
    if type(value) is not list:
        return value
    inside = ((str(index), one) for index, one in enumerate(value))
    elements = [one if keep else None for _, one, keep in _members(inside, ignored, unordered)]
    return sorted(elements, key=canonical) if _is_there(unordered) else elements


def _members(
    members: dict[str, Any] | Iterable[tuple[str, Any]], ignored: _States, unordered: _States
) -> Iterable[tuple[str, Any, bool]]:
    """Each member by its step, as it is compared, and whether it is."""
    for step, value in members.items() if isinstance(members, dict) else members:
        left_out = _next(ignored, step)
        if left_out and _is_there(left_out):
            yield step, None, False
        else:
            yield step, _kept(value, left_out, _next(unordered, step)), True
