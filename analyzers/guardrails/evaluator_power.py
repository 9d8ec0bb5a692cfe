"""What a guardrail on preferences finds, and what an evaluator's budget can find, beforehand.

    quality_preference: a fall of 3 points below 50 % is found after about 3,700 judged pairs, in a
    language that turns up after about 4,900 of it; helpfulness@1 judges up to 72,000 pairs a day,
    in which a fall of 0.8 points and a fall of 2.7 points in a language with a tenth of them is
    found

How widely scores vary is not known before they have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.formatting import format_count, format_points, printable
from understudy.analyzers.guardrails.slices import ALL, Arrivals
from understudy.analyzers.sequential import detection_delay
from understudy.analyzers.sequential.bets import signed_bets
from understudy.schemas.evaluation_sampling import EvaluationSampling
from understudy.schemas.rollout_metrics import QUALITY_PREFERENCE
from understudy.schemas.rollouts import Rollout

BEYOND: Final = 0.03
"""Of the example, beyond the margin: what a judge that is right in 80 % of the pairs makes of five
points by which the candidate really is worse."""
SMALL_SHARE: Final = 0.1
"""Of the judged pairs: a language that is not the main one."""
MOST_HARM: Final = 0.5
"""Below one half there is no more than that."""
_ANY: Final = "any"
_HALVINGS: Final = 12
"""To a hundredth of a point."""


def evaluator_sentences(rollout: Rollout, sampling: Sequence[EvaluationSampling] = ()) -> list[str]:
    """Return a sentence for each guardrail on preferences that rolls back, none without any."""
    by_evaluator = {one.evaluator: one for one in sampling}
    return [
        _sentence(check, rollout, by_evaluator.get(check.evaluator))
        for check in checks_of(rollout)
        if check.is_guardrail
        and check.metric.name == QUALITY_PREFERENCE.name
        and check.action == "rollback"
    ]


def pairs_until_rollback(check: Check, rollout: Rollout, harm: float, slice_name: str) -> float:
    """Return the median number of judged pairs of a slice until this harm alone rolls back.

    `harm` is what the candidate lacks to one half of the preferences; every pair has a winner.
    """
    weights = Arrivals(languages=[_ANY]).weights(check.guardrail.slices)
    weight = check.weight * weights.get(slice_name, 0.0)
    if weight <= 0.0:
        return math.inf
    growth = detection_delay.growth(
        np.array([0.5, -0.5]),
        np.array([0.5 + harm, 0.5 - harm]),
        check.test.margin,
        signed_bets("rollback", check.test.margin, low=-0.5, high=0.5),
    )
    return detection_delay.median_units(growth, -math.log(rollout.false_rollback * weight))


def smallest_harm_found(check: Check, rollout: Rollout, pairs: float, slice_name: str) -> float:
    """Return the least harm that half of all rollouts find in so many judged pairs of a slice.

    Infinite where none is.
    """
    low, high = check.test.margin, MOST_HARM
    if pairs_until_rollback(check, rollout, high, slice_name) > pairs:
        return math.inf
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        is_found = pairs_until_rollback(check, rollout, middle, slice_name) <= pairs
        low, high = (low, middle) if is_found else (middle, high)
    return high


def _sentence(check: Check, rollout: Rollout, sampling: EvaluationSampling | None) -> str:
    harm = min(check.test.margin + BEYOND, MOST_HARM)
    found = [
        _after(pairs_until_rollback(check, rollout, harm, name), name) for name in _covered(check)
    ]
    text = f"a fall of {format_points(harm)} below 50 % is found {', '.join(found)}"
    budget = "" if sampling is None else f"; {_budget(check, rollout, sampling)}"
    return f"{printable(check.name)}: {text}{budget}"


def _budget(check: Check, rollout: Rollout, sampling: EvaluationSampling) -> str:
    """Say what a day's calls find; the money may end sooner."""
    pairs = sampling.pairs_per_day
    said = f"{printable(sampling.evaluator)} judges up to {format_count(pairs)} pairs a day"
    shares = {ALL: 1.0, _language(): SMALL_SHARE}
    parts = [
        _within(smallest_harm_found(check, rollout, pairs * shares[name], name), name)
        for name in _covered(check)
    ]
    return f"{said}, in which {' and '.join(parts)} is found"


def _within(harm: float, name: str) -> str:
    what = "no fall" if math.isinf(harm) else f"a fall of {format_points(_rounded_up(harm))}"
    return what if name == ALL else f"{what} in a language with a tenth of them"


def _after(pairs: float, name: str) -> str:
    count = "no number of" if math.isinf(pairs) else f"about {format_count(_two_digits(pairs))}"
    if name == ALL:
        return f"after {count} judged pairs"
    return f"in a language that turns up after {count} of it"


def _covered(check: Check) -> list[str]:
    weights = Arrivals(languages=[_ANY]).weights(check.guardrail.slices)
    return [name for name in (ALL, _language()) if name in weights]


def _language() -> str:
    return f"language:{_ANY}"


def _two_digits(number: float) -> int:
    """A median is known within a sixth."""
    step = 10.0 ** max(0, math.floor(math.log10(max(number, 1.0))) - 1)
    return int(math.ceil(number / step) * step)


def _rounded_up(harm: float) -> float:
    """To a tenth of a point."""
    return math.ceil(harm * 1_000) / 1_000
