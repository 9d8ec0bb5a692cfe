"""What a policy finds and how soon, computed before the rollout begins.

Only for rates: how often the harm of one request occurs is all that their tests depend on. How
widely costs and durations vary is not known before they have been seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec.structs import replace

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.slices import ALL, MIRRORED_MODE, Arrivals
from understudy.analyzers.sequential import detection_delay
from understudy.analyzers.sequential.bets import FloatArray, signed_bets
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.rollouts import Rollout, Stage

STABLE_BAD: Final = 0.01
"""Share of stable's requests that is bad, where nobody knows better: 99 % valid, 1 % errors."""
SHARED: Final = 0.5
"""Chance that one draw decides both sides of a pair: hard prompts are hard for both models."""
EXAMPLE: Final = 4.0
"""Margins that the example of a finding amounts to: unmistakable, and still small."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A regression and after how many requests of its slice half of all rollouts are stopped."""

    check: Check
    harm: float
    """Of the candidate in excess of stable, or its own share under a limit; a share of 1."""
    requests: float
    """Of the slice, both arms together; infinite where it is not found."""
    in_language: bool
    """In one language that turned up early, instead of in all requests."""


def findings(
    rollout: Rollout, *, stable_bad: float = STABLE_BAD, design_effect: float = 1.0
) -> list[Detection]:
    """Return what the guardrails on rates that roll back find in the policy's first stage.

    `design_effect` is by how much clustered requests count less than independent ones, where it is
    known: 1 for single questions.
    """
    return list(_findings(rollout, stable_bad, design_effect))


def _findings(rollout: Rollout, stable_bad: float, design_effect: float) -> Iterator[Detection]:
    language = "language:any"
    for check in checks_of(rollout):
        if not has_known_power(check):
            continue
        weights = Arrivals(languages=["any"]).weights(check.guardrail.slices)
        harm = example_of(check)
        for name in (ALL, language):
            if name in weights:
                requests = requests_until_rollback(
                    check,
                    rollout,
                    weight=check.weight * weights[name],
                    harm=harm,
                    stable_bad=stable_bad,
                )
                yield Detection(check, harm, requests * design_effect, name == language)


def has_known_power(check: Check) -> bool:
    """Return whether power is known before anything was seen: of rates of answers it is."""
    is_plain_rate = check.metric.kind == "rate" and not check.metric.counts
    return is_plain_rate and check.action == "rollback" and not check.guardrail.relative


def example_of(check: Check) -> float:
    """Return a harm that a check should find, as `requests_until_rollback` takes it."""
    return min(EXAMPLE * check.test.margin, 0.5 + 0.5 * check.test.margin)


def requests_until_rollback(
    check: Check,
    rollout: Rollout,
    *,
    weight: float,
    harm: float,
    stable_bad: float = STABLE_BAD,
    stage: Stage | None = None,
) -> float:
    """Return the median number of requests of a slice until this harm alone is enough to roll back.

    `weight` is the check's share of the error in the slice. `harm` is the candidate's share of bad
    requests beyond stable's; under an absolute limit, the candidate's own share. In `canary` and
    `ab` the requests of both arms are counted; where some are mirrored, those that find it first,
    served or mirrored, each with half of the error. Checked against simulation: within a sixth.
    """
    stage = stage or rollout.stages[0]
    if rollout.mirrors:
        weight /= 2.0
    own = _requests(check, rollout, weight, harm, stable_bad, stage)
    if stage.mirror <= 0.0:
        return own
    as_pairs = replace(stage, mode=MIRRORED_MODE)
    pairs = _requests(check, rollout, weight, harm, stable_bad, as_pairs)
    return min(own, pairs / (stage.mirror * (1.0 - stage.share)))


def _requests(
    check: Check, rollout: Rollout, weight: float, harm: float, stable_bad: float, stage: Stage
) -> float:
    """Return the same of requests in the stage's own mode."""
    log_threshold = -math.log(rollout.false_rollback * weight)
    margin = check.test.margin
    if check.guardrail.limit in ("max", "min"):
        units = detection_delay.median_units(_limit_growth(harm, margin), log_threshold)
        return units if stage.mode in PAIRED_MODES else units / stage.share
    bets = signed_bets("rollback", margin)
    harm = min(harm, 1.0 - stable_bad)
    if stage.mode in PAIRED_MODES:
        chances = detection_delay.paired_chances(stable_bad, harm, SHARED)
        return detection_delay.median_units(
            detection_delay.paired_growth(*chances, margin, bets), log_threshold
        )
    share = min(stage.share, 1.0 - stage.share)
    if share <= 0.0:
        return math.inf
    growth = detection_delay.arms_growth(stable_bad + harm, stable_bad, share, margin, bets)
    return detection_delay.median_units(growth, log_threshold) / share


def _limit_growth(share: float, limit: float) -> FloatArray:
    bets = signed_bets("rollback", limit, low=0.0)
    return detection_delay.growth(np.array([0.0, 1.0]), np.array([1.0 - share, share]), limit, bets)
