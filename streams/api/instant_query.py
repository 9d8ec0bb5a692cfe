"""As much of PromQL as tools need that ask for one number at a time. Pure.

Answered are numbers, `vector(1)` and series by name and labels:
`understudy_guardrail_harm_ratio{rollout_id="checkout",slice=~"language=.*"}`. In patterns `|`
separates, and `.*` and `.+` stand for text; the rest is taken literally, so that no pattern takes
long. Whatever else PromQL knows is refused; who needs it scrapes `/metrics`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from understudy.streams.api.series import Sample

MAX_CHARACTERS: Final = 4_096
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:Inf|NaN)", re.I)
_VECTOR: Final = re.compile(r"vector\s*\(\s*(.*?)\s*\)", re.DOTALL)
_SELECTOR: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\})?", re.DOTALL)
_MATCHER: Final = re.compile(
    r"\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"
    r"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)\s*(?:,|$)"
)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_WILD: Final = re.compile(r"\.[*+]")
_SPECIAL: Final = re.compile(r"[()\[\]{}^$?*+]|\\[^.\-|/\\]")

Test = Callable[[str], bool]


class BadQuery(ValueError):
    """A query that is not answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a label's value must be like."""

    label: str
    test: Test


def answer(query: str, samples: Iterable[Sample], time_s: float) -> dict[str, Any]:
    """The `data` of Prometheus's response. Raises `BadQuery`."""
    if len(query) > MAX_CHARACTERS:
        raise BadQuery(f"the query is longer than {MAX_CHARACTERS} characters")
    text = query.strip()
    if _NUMBER.fullmatch(text):
        return {"resultType": "scalar", "result": [time_s, written(float(text))]}
    constant = _VECTOR.fullmatch(text)
    if constant is not None and _NUMBER.fullmatch(constant[1]):
        result = [{"metric": {}, "value": [time_s, written(float(constant[1]))]}]
        return {"resultType": "vector", "result": result}
    matchers = selector(text)
    labelled = ((labels_of(one), one.value) for one in samples)
    found = [
        {"metric": labels, "value": [time_s, written(value)]}
        for labels, value in labelled
        if all(matcher.test(labels.get(matcher.label, "")) for matcher in matchers)
    ]
    return {"resultType": "vector", "result": found}


def labels_of(sample: Sample) -> dict[str, str]:
    """A series' labels, its name among them."""
    return {"__name__": sample.name, **sample.labels}


def selector(text: str) -> list[Matcher]:
    """What a series must be like. Raises `BadQuery`."""
    found = _SELECTOR.fullmatch(text)
    if not text or found is None:
        raise BadQuery(
            f"cannot answer {text[:200]!r}: only numbers, vector(number) and series by name and "
            "labels are answered here; scrape /metrics for more"
        )
    name, inside = found[1], found[2] or ""
    matchers = [Matcher("__name__", _equals(name))] if name else []
    position = 0
    while inside[position:].strip():
        matcher = _MATCHER.match(inside, position)
        if matcher is None:
            raise BadQuery(f"cannot read the labels at {inside[position:][:100]!r}")
        matchers.append(Matcher(matcher[1], _test(matcher[2], _unquoted(matcher[3]))))
        position = matcher.end()
    if not matchers:
        raise BadQuery("name a series")
    return matchers


def written(value: float) -> str:
    """A number as Prometheus writes it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def _unquoted(text: str) -> str:
    inside = text[1:-1]
    if text[0] == "`":
        return inside
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), inside)


def _test(operator: str, value: str) -> Test:
    wanted = _matches(value) if operator.endswith("~") else _equals(value)
    return wanted if operator.startswith("=") else lambda text: not wanted(text)


def _equals(value: str) -> Test:
    return lambda text: text == value


def _matches(pattern: str) -> Test:
    """Raises `BadQuery` for what would need a whole engine."""
    if _SPECIAL.search(_WILD.sub("", pattern)):
        raise BadQuery(f"of patterns only |, .* and .+ are known, not {pattern[:100]!r}")
    choices = [_pieces(choice) for choice in _split(pattern)]
    return lambda text: any(_fits(text, choice) for choice in choices)


def _split(pattern: str) -> list[str]:
    return re.split(r"(?<!\\)\|", pattern)


def _pieces(choice: str) -> list[str]:
    """Literal texts with the wildcards between them, in turn."""
    return [
        part if index % 2 else re.sub(r"\\(.)", r"\1", part)
        for index, part in enumerate(re.split(r"(\.[*+])", choice))
    ]


def _fits(text: str, pieces: list[str]) -> bool:
    """Whether literals come in this order, the first at the beginning, the last at the end."""
    first, *rest = pieces
    if not rest:
        return text == first
    if not text.startswith(first):
        return False
    position = len(first)
    *middle, wild, last = rest
    for between, literal in zip(middle[::2], middle[1::2], strict=True):
        found = text.find(literal, position + (between == ".+"))
        if found < 0:
            return False
        position = found + len(literal)
    return text.endswith(last) and len(text) - len(last) >= position + (wild == ".+")
