"""The metrics that a guardrail can name, which limits each takes, and how limits are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

Limit = Literal["max", "min", "max_increase", "max_drop"]
Kind = Literal["rate", "agreement", "quantile", "mean", "excess", "accounting"]
Unit = Literal["share", "ms", "usd", "tokens"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: `limits` are what can be tested on what windows hold; `refused` says why not."""

    name: str
    title: str
    """For sentences: "JSON validity"."""
    kind: Kind
    unit: Unit
    higher_is_better: bool
    limits: tuple[Limit, ...]
    refused: Mapping[Limit, str] = field(default_factory=dict)
    measure: str = ""
    """Of quantiles: the measure whose quantile it is."""
    quantile: float = 0.0
    per_rollout: bool = False
    counts: str = ""
    """What it counts, in words; empty for pairs or requests."""


class Quantity(NamedTuple):
    """A limit as a number: a fraction, milliseconds, dollars or tokens; or a relative change."""

    value: float
    relative: bool


_LOWER: Final[Mapping[Limit, str]] = {
    "min": "it is better when lower; use max",
    "max_drop": "it is better when lower; use max_increase",
}
_HIGHER: Final[Mapping[Limit, str]] = {
    "max": "it is better when higher; use min",
    "max_increase": "it is better when higher; use max_drop",
}
_BUT_MAX: Final[tuple[Limit, ...]] = ("min", "max_increase", "max_drop")


def _rate(name: str, title: str, *, higher_is_better: bool = False, counts: str = "") -> Metric:
    limits: tuple[Limit, ...] = ("min", "max_drop") if higher_is_better else ("max", "max_increase")
    refused = _HIGHER if higher_is_better else _LOWER
    return Metric(name, title, "rate", "share", higher_is_better, limits, refused, counts=counts)


def _quantiles(name: str, title: str) -> list[Metric]:
    return [
        Metric(f"{name}_p{q}", f"{title} p{q}", "quantile", "ms", False, ("max", "max_increase"),
               _LOWER, measure=name, quantile=q / 100)
        for q in (50, 95, 99)
    ]  # fmt: skip


_ALL: Final = (
    _rate("error_rate", "error rate"),
    _rate("fallback_rate", "fallback rate"),
    _rate("truncation_rate", "truncation rate"),
    _rate("json_valid_rate", "JSON validity", higher_is_better=True),
    _rate("json_schema_valid_rate", "JSON Schema validity", higher_is_better=True),
    _rate("language_match_rate", "answers in the request's language", higher_is_better=True),
    _rate("feedback", "positive feedback", higher_is_better=True, counts="ratings"),
    Metric(
        "tool_call_match", "tool call match", "agreement", "share", True, ("min", "max_drop"),
        _HIGHER,
    ),
    *_quantiles("duration", "duration"),
    *_quantiles("time_to_first_token", "time to first token"),
    Metric("cost_usd", "mean cost", "mean", "usd", False, ("max", "max_increase"), _LOWER),
    Metric(
        "output_tokens", "mean output tokens", "mean", "tokens", False,
        ("max", "min", "max_increase", "max_drop"),
    ),
    Metric(
        "similarity_excess", "disagreement beyond the noise floor", "excess", "share", False,
        ("max",),
        dict.fromkeys(_BUT_MAX, "it is an excess over stable's own noise already; use max"),
    ),
    Metric(
        "unmatched_share", "unmatched share", "accounting", "share", False, ("max",),
        dict.fromkeys(_BUT_MAX, "a request without a partner belongs to no side; use max"),
        per_rollout=True,
    ),
)  # fmt: skip
METRICS: Final[Mapping[str, Metric]] = {metric.name: metric for metric in _ALL}

RESERVED: Final[Mapping[str, str]] = {
    "duration": "say which quantile: duration_p50, duration_p95 or duration_p99",
    "time_to_first_token": "say which quantile: time_to_first_token_p50, …_p95 or …_p99",
    "similarity": "similarity to stable says nothing by itself; use similarity_excess, which "
    "takes off how much stable differs from itself",
}
"""Names that look like metrics and are none, with what to do."""

_NUMBER: Final = re.compile(
    r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z%]*)\s*$"
)
_MS: Final = {"ms": 1.0, "s": 1_000.0, "m": 60_000.0}


def parse_share(written: str | int | float) -> float:
    """A fraction of 1 from `5%` or 0.05. Raises ValueError outside 0 to 100 %."""
    number, unit = _split(written)
    if unit not in ("", "%"):
        raise ValueError(f"{written!r} is no share; write 5% or 0.05")
    share = number / 100.0 if unit else number
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{written} is no share: it lies between 0 and 100%")
    return share


def parse_quantity(metric: Metric, limit: Limit, written: str | int | float) -> Quantity:
    """The limit as a number. Raises ValueError that says how to write it."""
    number, unit = _split(written)
    if number < 0.0:
        raise ValueError(f"{written} is negative; a limit is not")
    against_stable = limit in ("max_increase", "max_drop")
    if metric.unit == "share":
        return _share_quantity(written, number, unit, points=against_stable)
    if unit == "%" and against_stable:
        return _relative(number, limit)
    if metric.unit == "ms":
        if unit not in _MS:
            raise ValueError(f"{written!r} needs a unit: {'20%, ' * against_stable}800ms or 8s")
        quantity = Quantity(number * _MS[unit], False)
        if quantity.value == 0.0 and not against_stable:
            raise ValueError("a limit on a time lies above 0")
        return quantity
    if unit not in ("", metric.unit):
        change = " or 20%" if against_stable else ""
        raise ValueError(
            f"{written!r} is no limit on {metric.name}: write a number in {metric.unit}{change}"
        )
    return Quantity(number, False)


def _relative(number: float, limit: Limit) -> Quantity:
    if limit == "max_drop" and number >= 100.0:
        raise ValueError("a drop of 100% or more tolerates everything")
    return Quantity(number / 100.0, True)


def _share_quantity(
    written: str | int | float, number: float, unit: str, *, points: bool
) -> Quantity:
    if points:
        if unit != "pp":
            raise ValueError(
                f"{written!r} is ambiguous on a rate; write percentage points, such as 0.5pp "
                "(relative changes of rates are not judged: see docs/policies.md)"
            )
        if not number < 100.0:
            raise ValueError("100pp or more tolerates everything")
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
