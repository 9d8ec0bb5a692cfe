"""As much of PromQL as tools need that query one number at a time. Pure.

It evaluates series by name and labels, their `max`, `min`, `sum` or `count`, `vector(1)`, and sums
of numbers such as `1+1`, with which tools check the connection:

    understudy_guardrail_harm_ratio{rollout_id="checkout", guardrail="error_rate", slice="all"}
    max(understudy_guardrail_breached{rollout_id="checkout", slice=~"language:.*"})

Everything else in PromQL is refused; for that, let a Prometheus server scrape `/metrics`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import re2

from understudy.streams.http.rollout_series import Sample

MAX_CHARACTERS: Final = 4_096
"""Far beyond any query of a tool; bounds the time that one can take."""
NAME_LABEL: Final = "__name__"
_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.:]))
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<sign>=~|!~|!=|[-+={}(),])
    )""",
    re.VERBOSE | re.ASCII,
)
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_NUMBERS_BY_NAME: Final = ("inf", "nan")
_OPERATORS: Final = ("=", "!=", "=~", "!~")
_AGGREGATES: Final[dict[str, Callable[[list[float]], float]]] = {
    "max": lambda values: max(_numbers(values), default=math.nan),
    "min": lambda values: min(_numbers(values), default=math.nan),
    "sum": sum,
    "count": lambda values: float(len(values)),
}


_RE2: Final = re2.Options()
"""As Prometheus compiles the patterns of label matchers: `.` matches a newline, too."""
_RE2.dot_nl = True
_RE2.log_errors = False

Test = Callable[[str], bool]
"""Whether a label's value is as it must be."""


class BadQuery(ValueError):
    """A query that is refused; the message says why."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on the value of a label."""

    label: str
    test: Test


def answer(query: str, samples: Iterable[Sample], time_s: float) -> dict[str, Any]:
    """Evaluate a query; returns the `data` of Prometheus's response. Raises `BadQuery`."""
    reader = _QueryReader(query)
    if reader.next_is_number():
        result = [time_s, written(reader.number_sum())]
        reader.end()
        return {"resultType": "scalar", "result": result}
    function = reader.function()
    if function == "vector":
        found: list[tuple[dict[str, str], float]] = [({}, reader.number_sum())]
    else:
        found = _matching(samples, reader.selector())
    if function:
        reader.take(")")
    reader.end()
    if function in _AGGREGATES and found:
        found = [({}, _AGGREGATES[function]([value for _, value in found]))]
    vector = [{"metric": labels, "value": [time_s, written(value)]} for labels, value in found]
    return {"resultType": "vector", "result": vector}


def _numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def written(value: float) -> str:
    """Format a number as Prometheus does."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value)).removesuffix(".0")


def _matching(
    samples: Iterable[Sample], matchers: list[Matcher]
) -> list[tuple[dict[str, str], float]]:
    found = []
    for sample in samples:
        labels = {NAME_LABEL: sample.name, **sample.labels}
        if all(matcher.test(labels.get(matcher.label, "")) for matcher in matchers):
            found.append((labels, sample.value))
    return found


class _QueryReader:
    """Reads a query from left to right. Every method raises `BadQuery` for anything unexpected."""

    def __init__(self, query: str) -> None:
        if len(query) > MAX_CHARACTERS:
            raise BadQuery(f"the query is longer than {MAX_CHARACTERS} characters")
        self._tokens = _tokens(query)
        self._at = 0

    def next_is_number(self) -> bool:
        kind, text = self._tokens[self._at]
        return kind == "number" or text in ("+", "-") or text.lower() in _NUMBERS_BY_NAME

    def number_sum(self) -> float:
        """`1`, `-1.5e3`, `1 + 1`."""
        total = self._number()
        while self._tokens[self._at][1] in ("+", "-"):
            total += self._number()
        return total

    def function(self) -> str:
        """The name of a function and its opening bracket; empty when there is none."""
        name, after = self._tokens[self._at][1], self._tokens[self._at + 1 :]
        if not after or after[0][1] != "(":
            return ""
        if name != "vector" and name not in _AGGREGATES:
            known = ", ".join(["vector", *_AGGREGATES])
            raise BadQuery(f"the functions known here are {known}, not {name[:100]!r}")
        self._at += 2
        return name

    def selector(self) -> list[Matcher]:
        """A name, labels in braces, or both."""
        matchers = []
        if self._tokens[self._at][0] == "name":
            matchers.append(Matcher(NAME_LABEL, _equals(self._take_kind("name"))))
        if self._tokens[self._at][1] == "{":
            self.take("{")
            while self._tokens[self._at][1] != "}":
                matchers.append(self._matcher())
                if self._tokens[self._at][1] != "}":
                    self.take(",")
            self.take("}")
        if all(matcher.test("") for matcher in matchers):
            raise BadQuery("name a series, or a label with a value")
        return matchers

    def take(self, text: str) -> None:
        """Read a certain sign."""
        if self._tokens[self._at] != ("sign", text):
            raise BadQuery(f"expected {text!r}, not {self._found()}")
        self._at += 1

    def end(self) -> None:
        """Check that nothing is left."""
        if self._tokens[self._at][0] != "end":
            raise _unknown(self._found())

    def _number(self) -> float:
        sign = 1.0
        while self._tokens[self._at][1] in ("+", "-"):
            sign = -sign if self._tokens[self._at][1] == "-" else sign
            self._at += 1
        kind, text = self._tokens[self._at]
        if kind != "number" and text.lower() not in _NUMBERS_BY_NAME:
            raise BadQuery(f"expected a number, not {self._found()}")
        self._at += 1
        return sign * float(text)

    def _matcher(self) -> Matcher:
        label = self._take_kind("name")
        if not _LABEL.fullmatch(label):
            raise BadQuery(f"{label[:100]!r} is not the name of a label")
        operator = self._take_kind("sign")
        if operator not in _OPERATORS:
            raise BadQuery(f"expected one of {' '.join(_OPERATORS)}, not {operator!r}")
        return Matcher(label, _test(operator, _unquoted(self._take_kind("string"))))

    def _take_kind(self, wanted: str) -> str:
        kind, text = self._tokens[self._at]
        if kind != wanted:
            raise BadQuery(f"expected a {wanted}, not {self._found()}")
        self._at += 1
        return text

    def _found(self) -> str:
        kind, text = self._tokens[self._at]
        return "the end" if kind == "end" else repr(text[:100])


def _tokens(query: str) -> list[tuple[str, str]]:
    """Split a query into pairs of kind and text; the last has the kind `end`."""
    tokens, position, text = [], 0, query.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None or token.lastgroup is None:
            raise _unknown(repr(text[position : position + 100].strip()))
        tokens.append((token.lastgroup, token[token.lastgroup]))
        position = token.end()
    return [*tokens, ("end", "")]


def _unknown(rest: str) -> BadQuery:
    return BadQuery(
        f"cannot answer what begins with {rest}: known here are numbers, vector(number), series by "
        "name and labels, and their max, min, sum and count; scrape /metrics for more"
    )


def _unquoted(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]

    def escaped(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise BadQuery(f"unknown escape {match[0]!r}; write \\\\ for a backslash")
        return _ESCAPES[match[1]]

    return _ESCAPE.sub(escaped, text[1:-1])


def _test(operator: str, value: str) -> Test:
    wanted = _matches(value) if operator.endswith("~") else _equals(value)
    return wanted if operator.startswith("=") else lambda text: not wanted(text)


def _equals(value: str) -> Test:
    return lambda text: text == value


def _matches(pattern: str) -> Test:
    """Whether the whole value matches. Few values occur in many series, so each is tested once."""
    try:
        compiled = re2.compile(pattern, _RE2)
    except (re2.error, ValueError) as error:
        detail = error.args[0]
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(error)
        raise BadQuery(f"invalid regular expression: {text}") from None
    return cache(lambda value: compiled.fullmatch(value) is not None)
