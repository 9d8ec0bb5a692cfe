"""What a policy finds and how soon, in words: for whoever is about to put it in force."""

from __future__ import annotations

import math
from itertools import groupby

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_percent,
    format_points,
    printable,
)
from understudy.analyzers.guardrails.power import STABLE_BAD, Detection, findings
from understudy.schemas.rollouts import Rollout


def power_sentences(rollout: Rollout) -> list[str]:
    """Return a sentence for each guardrail on a rate that rolls back, none without any."""
    found = findings(rollout)
    return [
        _sentence(list(of_check))
        for _, of_check in groupby(found, key=lambda detection: detection.check.name)
    ]


def assumption(rollout: Rollout) -> str:
    """Say what the numbers rest on."""
    stage = rollout.stages[0]
    return (
        f"half of all rollouts are stopped by then, in stage {printable(stage.name)}, if stable is "
        f"bad in {format_percent(STABLE_BAD)} of the requests and each is independent of the others"
    )


def _sentence(of_check: list[Detection]) -> str:
    first = of_check[0]
    parts = [_when(detection) for detection in of_check]
    return f"{printable(first.check.name)}: {_harm(first)} is found {', '.join(parts)}"


def _harm(detection: Detection) -> str:
    check, harm = detection.check, detection.harm
    if check.guardrail.limit in ("max", "min"):
        return format_percent(check.own_value(harm))
    change = "a fall" if check.metric.higher_is_better else "a rise"
    return f"{change} of {format_points(harm)}"


def _when(detection: Detection) -> str:
    if not math.isfinite(detection.requests):
        requests = "no number of requests"
    else:
        requests = f"about {format_count(_rounded(detection.requests))} requests"
    if detection.in_language:
        return f"in a language that turns up after {requests} of it"
    return f"after {requests}"


def _rounded(number: float) -> int:
    """Two digits: the number is a median, known within a sixth."""
    step = 10.0 ** max(0, math.floor(math.log10(max(number, 1.0))) - 1)
    return int(math.ceil(number / step) * step)
