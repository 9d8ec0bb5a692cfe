"""The metrics that a guardrail can name, which limits each takes, and how limits are written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from understudy.schemas.measure_kinds import (
    Better,
    Category,
    Distribution,
    GuardrailMetric,
    Outcome,
)
from understudy.schemas.measures import FEEDBACK, PAIR, SIDE

Limit = Literal["max", "min", "max_increase", "max_drop"]
Kind = Literal["rate", "lost", "agreement", "quantile", "mean", "excess", "accounting", "quality"]
Unit = Literal["share", "ms", "usd", "tokens", "characters"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: `limits` are what can be tested on what windows hold; `refused` says why not."""

    name: str
    title: str
    """For sentences: "JSON validity"."""
    harm: str
    """What counts as harm in one request, for the documentation."""
    kind: Kind
    unit: Unit
    better: Better
    limits: tuple[Limit, ...]
    refused: Mapping[Limit, str] = field(default_factory=dict)
    measure: str = ""
    """Of quantiles: the measure whose quantile it is, a key of `TIMES`."""
    quantile: float = 0.0
    per_rollout: bool = False
    counts: str = ""
    """What it counts, in words; empty for pairs or requests."""
    weight: float = 1.0
    """Its share of the tolerated error, relative to other metrics."""
    largest: float = 1.0
    """Of a limit in points: what tolerates everything."""

    @property
    def is_of_pairs(self) -> bool:
        """Whether only requests that both sides answered say anything about it."""
        return self.kind in ("agreement", "excess", "lost", "accounting", "quality")

    @property
    def higher_is_better(self) -> bool:
        """Whether a lower value is harm."""
        return self.better == "higher"


class Quantity(NamedTuple):
    """A limit as a number: a fraction, milliseconds, dollars or tokens; or a relative change."""

    value: float
    relative: bool


_LIMITS: Final[Mapping[Better, tuple[Limit, ...]]] = {
    "lower": ("max", "max_increase"),
    "higher": ("min", "max_drop"),
    "neither": ("max", "min", "max_increase", "max_drop"),
}
_REFUSED: Final[Mapping[Better, Mapping[Limit, str]]] = {
    "lower": {
        "min": "it is better when lower; use max",
        "max_drop": "it is better when lower; use max_increase",
    },
    "higher": {
        "max": "it is better when higher; use min",
        "max_increase": "it is better when higher; use max_drop",
    },
    "neither": {},
}
_BUT_MAX: Final[tuple[Limit, ...]] = ("min", "max_increase", "max_drop")
_BUT_MAX_DROP: Final[tuple[Limit, ...]] = ("max", "min", "max_increase")
_QUANTILES: Final = (50, 95, 99)
"""In percent: the median, and the tails that service level objectives name."""


def _metric(
    called: GuardrailMetric, kind: Kind, unit: Unit = "share", percent: int | None = None
) -> Metric:
    suffix = "" if percent is None else f"_p{percent}"
    return Metric(
        name=called.name + suffix,
        title=called.title + suffix.replace("_", " "),
        harm=called.harm,
        kind=kind,
        unit=unit,
        better=called.better,
        limits=_LIMITS[called.better],
        refused=_REFUSED[called.better],
        measure="" if percent is None else called.name,
        quantile=(percent or 0) / 100,
        counts=called.counts,
        weight=called.weight,
    )


def _max_only(
    called: GuardrailMetric, kind: Kind, why: str, *, per_rollout: bool = False
) -> Metric:
    """A metric that only an absolute limit makes sense for, and why."""
    refused = dict.fromkeys(_BUT_MAX, f"{why}; use max")
    plain = _metric(called, kind)
    return replace(plain, limits=("max",), refused=refused, per_rollout=per_rollout)


_UNMATCHED_SHARE: Final = GuardrailMetric(
    "unmatched_share", "unmatched share", "one side never came (paired modes, all requests only)"
)
"""No measure: it follows from where records ended."""
_LOST_RATE: Final = GuardrailMetric(
    "lost_rate", "lost answers", "its side never came though the other one did (paired modes)"
)
"""Likewise."""


QUALITY_PREFERENCE: Final = GuardrailMetric(
    "quality_preference", "answers preferred to stable's",
    "the [evaluator](evaluations.md) that the guardrail names prefers stable's answer; a tie "
    "counts half, and the drop is measured from 50 %",
    "higher", counts="judged pairs", weight=2.0,
)  # fmt: skip
"""No measure of an answer: evaluators say it, of pairs that were sampled."""
QUALITY_SCORE: Final = GuardrailMetric(
    "quality_score", "answers' score",
    "the [evaluator](evaluations.md) that the guardrail names gives it fewer points than stable's "
    "answer, of 100 between the lowest and the highest score",
    "higher", counts="judged pairs", weight=2.0,
)  # fmt: skip
"""Likewise."""


RATES: Final[Mapping[str, Outcome | Category]] = {
    one.metric.name: one
    for one in (*SIDE, *FEEDBACK)
    if isinstance(one, Outcome | Category) and one.metric
}
"""Name in policies to the measure of a side: the share of requests with an outcome."""
AGREEMENTS: Final[Mapping[str, Outcome]] = {
    one.metric.name: one for one in PAIR if isinstance(one, Outcome) and one.metric
}
"""To the measure of pairs: the share of pairs that agree, against stable and its second run."""
TIMES: Final[Mapping[str, Distribution]] = {
    one.metric.name: one
    for one in SIDE
    if isinstance(one, Distribution) and one.metric and one.histogram
}
"""To the measure whose quantiles can be limited."""
MEANS: Final[Mapping[str, Distribution]] = {
    one.metric.name: one
    for one in SIDE
    if isinstance(one, Distribution) and one.metric and one.squares
}
"""To the measure whose mean can be limited."""
EXCESSES: Final[Mapping[str, Distribution]] = {
    one.metric.name: one for one in PAIR if isinstance(one, Distribution) and one.metric
}
"""To the measure of pairs of which only the excess over stable's own noise says anything."""


def _metrics() -> Iterator[Metric]:
    for one in (*SIDE, *FEEDBACK):
        match one:
            case Outcome(metric=GuardrailMetric() as called):
                yield _metric(replace(called, harm=called.harm or one.says), "rate")
            case Category(metric=GuardrailMetric() as called):
                yield _metric(called, "rate")
            case Distribution(metric=GuardrailMetric() as called, squares=True):
                yield _metric(called, "mean", _UNITS[one.unit])
            case Distribution(metric=GuardrailMetric() as called):
                yield from (_metric(called, "quantile", "ms", percent) for percent in _QUANTILES)
    for one in PAIR:
        match one:
            case Outcome(metric=GuardrailMetric() as called):
                yield _metric(called, "agreement")
            case Distribution(metric=GuardrailMetric() as called):
                why = "it is an excess over stable's own noise already"
                yield _max_only(called, "excess", why)
    yield _metric(_LOST_RATE, "lost")
    why = "a request without a partner belongs to no side"
    yield _max_only(_UNMATCHED_SHARE, "accounting", why, per_rollout=True)
    yield _drop_only(QUALITY_PREFERENCE, "either of two equal answers is preferred as often; use "
                     "max_drop, in points below 50 %", largest=0.5)  # fmt: skip
    yield _drop_only(QUALITY_SCORE, "a score tells little without stable's; use max_drop, in "
                     "points of the evaluator's range")  # fmt: skip


def _drop_only(called: GuardrailMetric, why: str, *, largest: float = 1.0) -> Metric:
    """A metric of which only the difference of the sides can be limited, and why."""
    refused = dict.fromkeys(_BUT_MAX_DROP, why)
    plain = _metric(called, "quality")
    return replace(plain, limits=("max_drop",), refused=refused, largest=largest)


_UNITS: Final[Mapping[str, Unit]] = {
    "tokens": "tokens", "characters": "characters", "US dollars": "usd",
}  # fmt: skip
METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _metrics()}

STABLE_LIMITS: Final[Mapping[str, float]] = {
    "error_rate": 0.2,
    "fallback_rate": 0.5,
    "truncation_rate": 0.5,
    "refusal_rate": 0.5,
    "empty_rate": 0.2,
    "incomplete_rate": 0.2,
    "reasoning_leak_rate": 0.5,
    "garbled_rate": 0.2,
    "repetition_rate": 0.2,
    "constant_answer_rate": 0.5,
    "tool_call_invalid_rate": 0.2,
    "json_valid_rate": 0.5,
    "json_schema_valid_rate": 0.5,
    "language_match_rate": 0.5,
}
"""Share of stable's own answers from which it is no measure to judge a candidate by: where one in
two has no valid JSON, or one in five is an error, something else is broken than the candidate.
None where stable may well differ: a model that is offered tools need not call one."""

RESERVED: Final[Mapping[str, str]] = {
    "duration": "say which quantile: duration_p50, duration_p95 or duration_p99",
    "time_to_first_token": "say which quantile: time_to_first_token_p50, …_p95 or …_p99",
    "similarity": "similarity to stable says nothing by itself; use similarity_excess, which "
    "takes off how much stable differs from itself",
}
"""Names that look like metrics but are none, and what to write instead."""

_LARGEST: Final[Mapping[Unit, float]] = {
    "share": 1.0,
    "ms": 86_400_000.0,
    "usd": 1e6,
    "tokens": 1e9,
    "characters": 1e9,
}
"""Of a limit per request: a day, a million dollars, a billion tokens."""
_FACTOR: Final = "x"
"""Of a limit on the ratio to stable's value: `3x`."""
_LARGEST_CHANGE: Final = 1_000.0
"""Of a relative one: a thousand times stable."""
_SMALLEST: Final = 1e-9
"""Above 0. No traffic can tell such a limit from 0, and numbers near 0 have inverses beyond all."""
_NUMBER: Final = re.compile(
    r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z%]*)\s*$"
)
_MS: Final = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0}


def parse_share(written: str | int | float) -> float:
    """Return the fraction of 1 that `5%` or 0.05 means. Raises ValueError outside 0 to 100 %."""
    number, unit = _split(written)
    if unit not in ("", "%"):
        raise ValueError(f"{written!r} is no share; write 5% or 0.05")
    share = number / 100.0 if unit else number
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{written} is no share: it lies between 0 and 100%")
    return share


def parse_floor(written: str | int | float) -> float:
    """Return the share that `0.1pp` means, tolerated beyond a multiple of stable's rate.

    Raises a ValueError that says how to write it.
    """
    number, unit = _split(written)
    if unit != "pp" or not 0.0 <= number < 100.0:
        raise ValueError(f"{written!r} is no floor; write percentage points, such as 0.1pp")
    floor = number / 100.0
    if 0.0 < floor < _SMALLEST:
        raise ValueError(f"{written} cannot be told from 0")
    return floor


def parse_quantity(metric: Metric, limit: Limit, written: str | int | float) -> Quantity:
    """Return the limit as a number. Raises a ValueError that says how to write it."""
    quantity = _quantity(metric, limit, written)
    largest = _LARGEST_CHANGE if quantity.relative else _LARGEST[metric.unit]
    if quantity.value > largest:
        raise ValueError(f"{written} is more than any limit on {metric.name} can be")
    if 0.0 < quantity.value < _SMALLEST:
        raise ValueError(f"{written} cannot be told from 0")
    return quantity


def _quantity(metric: Metric, limit: Limit, written: str | int | float) -> Quantity:
    number, unit = _split(written)
    if number < 0.0:
        raise ValueError(f"{written} is negative; a limit must not be")
    against_stable = limit in ("max_increase", "max_drop")
    if unit == _FACTOR:
        return _factor(metric, limit, written, number)
    if metric.unit == "share":
        return _share_quantity(metric, written, number, unit, points=against_stable)
    if unit == "%" and against_stable:
        return _relative(number, limit)
    if metric.unit == "ms":
        if unit not in _MS:
            raise ValueError(f"{written!r} needs a unit: {'20%, ' * against_stable}800ms or 8s")
        quantity = Quantity(number * _MS[unit], False)
        if quantity.value == 0.0 and not against_stable:
            raise ValueError("a limit on a time must lie above 0")
        return quantity
    if unit not in ("", metric.unit):
        change = " or 20%" if against_stable else ""
        raise ValueError(
            f"{written!r} is no limit on {metric.name}: write a number in {metric.unit}{change}"
        )
    return Quantity(number, False)


def _factor(metric: Metric, limit: Limit, written: str | int | float, number: float) -> Quantity:
    """`3x` is an increase by 200 %."""
    if limit != "max_increase" or metric.kind in ("agreement", "excess", "accounting", "quality"):
        raise ValueError(
            f"{written!r} is a multiple of stable's value, which goes with max_increase"
        )
    if number < 1.0:
        raise ValueError(f"{written} of stable's value would be a decrease; write at least 1x")
    return Quantity(number - 1.0, True)


def _relative(number: float, limit: Limit) -> Quantity:
    if limit == "max_drop" and number >= 100.0:
        raise ValueError("a drop of 100% or more tolerates everything")
    return Quantity(number / 100.0, True)


def _share_quantity(
    metric: Metric, written: str | int | float, number: float, unit: str, *, points: bool
) -> Quantity:
    if points:
        if unit != "pp":
            raise ValueError(
                f"{written!r} is ambiguous on a rate; write percentage points, such as 0.5pp, or a "
                "multiple of stable's rate, such as 3x"
            )
        if not number / 100.0 < metric.largest:
            raise ValueError(f"{100 * metric.largest:g}pp or more tolerates everything")
        return Quantity(number / 100.0, False)
    share = number / 100.0 if unit in ("%", "pp") else number
    if unit not in ("", "%", "pp") or not 0.0 <= share <= 1.0:
        raise ValueError(f"{written!r} is no share; write 1% or 0.01")
    if share == 1.0 or share == 0.0:
        raise ValueError(f"{written} leaves nothing to test; a limit lies between 0 and 100%")
    return Quantity(share, False)


def _split(written: str | int | float) -> tuple[float, str]:
    if not isinstance(written, str):
        return float(written), ""
    match = _NUMBER.match(written)
    if match is None:
        raise ValueError(f"{written!r} is no quantity")
    return float(match[1]), match[2]
