"""Which tool calls of two answers differ, and in which arguments, side by side. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from understudy.analyzers.compare.field_difference import (
    FieldDifference,
    document_differences,
    json_text,
)

MAX_CALLS: Final = 50
"""More are not shown; agents make some dozens at most."""


class CallStatus(StrEnum):
    """How a call of one side stands to the other side's."""

    SAME = "same"
    ARGUMENTS = "arguments"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class CallDifference:
    """A call of stable's and the candidate's of the same tool, or one that has no counterpart."""

    name: str
    status: CallStatus
    stable: str
    candidate: str
    """Arguments as JSON; empty where the side made no such call."""
    fields: list[FieldDifference] = field(default_factory=list)
    """Arguments that differ, where both are JSON objects."""


def tool_call_differences(stable: str, candidate: str) -> list[CallDifference] | None:
    """Return how calls differ that are given as JSON lists of `name` and `arguments`.

    None where a list cannot be read, as it is when it was cut. Calls of one tool are paired in
    their order.
    """
    left, right = _calls(stable), _calls(candidate)
    if left is None or right is None:
        return None
    waiting: dict[str, deque[int]] = defaultdict(deque)
    for place, (name, _) in enumerate(right):
        waiting[name].append(place)
    found, paired = [], set()
    for name, arguments in left:
        if waiting[name]:
            place = waiting[name].popleft()
            paired.add(place)
            found.append(_pair(name, arguments, right[place][1]))
        else:
            found.append(CallDifference(name, CallStatus.MISSING, _shown(arguments), ""))
    found += [
        CallDifference(name, CallStatus.EXTRA, "", _shown(arguments))
        for place, (name, arguments) in enumerate(right)
        if place not in paired
    ]
    return found[:MAX_CALLS]


def _calls(text: str) -> list[tuple[str, Any]] | None:
    """Names and arguments; a string that holds JSON is what it holds."""
    if not text:
        return []
    try:
        calls = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if not isinstance(calls, list):
        return None
    return [
        (_name(call.get("name", "")), _arguments(call.get("arguments")))
        for call in calls
        if isinstance(call, dict)
    ]


def _name(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def _arguments(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError):
        return value


def _pair(name: str, stable: Any, candidate: Any) -> CallDifference:
    fields = document_differences(stable, candidate)
    status = CallStatus.ARGUMENTS if fields else CallStatus.SAME
    is_document = isinstance(stable, (dict, list)) and isinstance(candidate, (dict, list))
    return CallDifference(
        name, status, _shown(stable), _shown(candidate), fields if is_document else []
    )


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)
