"""Findings: what a fixed sample shows of each check in each slice, and what promotion lacks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from understudy.analyzers.fixed_sample.fixed_tests import FixedTest
from understudy.analyzers.fixed_sample.quantiles import QuantileTest
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.fixed_sample.tolerated_error import Cell, error_shares
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import ANY_SLICE, INTERVAL_ALPHA
from understudy.analyzers.guardrails.measured import (
    ENOUGH_MEASURED,
    JudgedSlice,
    StageRequests,
    Untold,
    required_slices,
    untold,
)
from understudy.analyzers.guardrails.sequential_tests import Observed
from understudy.analyzers.sequential.bets import FloatArray
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.schemas.fixed_sample import FindingStatus
from understudy.schemas.rollouts import Rollout

SUSPICION: Final = 0.05
"""p-value of harm in one slice, its share of the error left out, from which nothing is promoted.
Waiting costs no error of a rollback, so a small language needs no share to ask for it. Among many
it is one divided by their number: harm is held against a margin that alike models are within, so
that simulated ones, at base rates of 10 %, in one language or in thirty, then wait in a twentieth
of samples."""
AWAITED_SHARE: Final = 0.1
"""Of the cases: what fewer have is too little to wait for in a sample of some hundred."""


@dataclass(frozen=True)
class Finding:
    """A check in a slice: how it was tested, and what came of it."""

    check: Check
    slice: str
    test: FixedTest
    total: FloatArray
    """(k,) statistics of all units; of quantiles none."""
    is_required: bool
    error_share: float
    """Of its action's error; 0 where it cannot be tested."""
    threshold: float
    """What the p-value of a breach is held against."""
    p_harm: float
    p_within: float
    false_promotion: float
    """What the p-value of harm within the margin is held against."""

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the harm lies, 95 %."""
        return self.test.interval(INTERVAL_ALPHA)

    @cached_property
    def cases_needed(self) -> int | None:
        """In how many cases alike models would be shown to be within a limit that is not passed."""
        return None if self.is_within else self.test.cases_needed(self.false_promotion)

    @property
    def name(self) -> str:
        """As in `Decision.missing`."""
        return f"{self.check.name}/{self.slice}"

    @property
    def is_within(self) -> bool:
        """Whether harm is shown to lie within the margin."""
        return self.p_within <= self.false_promotion

    @cached_property
    def smallest_harm_found(self) -> float | None:
        """What harm would have been shown; only of what promotion waits for, as it takes time."""
        if not (self.is_required and self.error_share > 0.0):
            return None
        return self.test.smallest_harm_found(self.threshold)

    @property
    def is_breach(self) -> bool:
        """Whether harm beyond the margin is shown."""
        return self.error_share > 0.0 and self.p_harm <= self.threshold

    @property
    def may_hold(self) -> bool:
        """Whether a suspicion of harm keeps from promotion."""
        waits = self.check.stops_promotion and self.check.guardrail.required != "none"
        return waits and self.error_share > 0.0

    @property
    def status(self) -> FindingStatus:
        """In one word."""
        if self.is_breach:
            return "breach"
        if self.is_within:
            return "pass"
        return "open" if self.error_share > 0.0 else "untested"

    @property
    def weight(self) -> float:
        """By how many natural logs it is beyond what a breach takes."""
        return math.log(max(self.threshold, _TINY)) - math.log(max(self.p_harm, _TINY))


_TINY: Final = 1e-300
"""Instead of a chance that is 0 in floating point."""
NOTHING_MEASURED: Final = "guardrails"
"""In `missing`: no required guardrail was measured."""
UNMATCHED: Final = "unmatched_share"
"""In `missing`: too many cases lack a side."""


def findings(rollout: Rollout, sample: Sample) -> list[Finding]:
    """Return what is found of each check in each slice that has a case, in the policy's order."""
    shares: dict[Cell, float] = {}
    for number in range(len(sample.checks)):
        shares |= sample.shares(number)
    tests = {cell: sample.test(cell) for cell in shares}
    testable = [cell for cell, test in tests.items() if test.cases and test.is_testable]
    error = error_shares(sample.checks, shares, testable)
    required = _required(sample, tests)
    return [
        _finding(rollout, sample, cell, test, error.get(cell, 0.0), is_required=cell in required)
        for cell, test in tests.items()
        if test.cases
    ]


def _finding(
    rollout: Rollout, sample: Sample, cell: Cell, test: FixedTest, share: float, *,
    is_required: bool,
) -> Finding:  # fmt: skip
    threshold, most = rollout.false_rollback * share, rollout.false_promotion
    return Finding(
        check=sample.checks[cell.check],
        slice=cell.slice,
        test=test,
        total=sample.total(cell),
        is_required=is_required,
        error_share=share,
        threshold=threshold,
        p_harm=test.p_harm(threshold) if share > 0.0 else 1.0,
        p_within=test.p_within(most),
        false_promotion=most,
    )


def _required(sample: Sample, tests: Mapping[Cell, FixedTest]) -> set[Cell]:
    """Return what must be shown harmless before promotion; its cases may be none."""
    required: set[Cell] = set()
    for number, check in enumerate(sample.checks):
        cases = {cell.slice: test.cases for cell, test in tests.items() if cell.check == number}
        if check.stops_promotion and check.is_guardrail:
            slices = required_slices(check.guardrail, cases, _ANY_CASE)
            required |= {Cell(number, name) for name in slices if _is_awaited(check, cases[name],
                         sample.cases)}  # fmt: skip
    return required


_ANY_CASE: Final = StageRequests(seen=0, needed=1)
"""With which a metric is awaited as soon as one case has it."""


def _is_awaited(check: Check, measured: int, cases: int) -> bool:
    """Whether so many cases that have a metric are enough to wait for it."""
    if check.guardrail.required != "if_measured":
        return True
    return measured >= max(1.0, min(ENOUGH_MEASURED, AWAITED_SHARE * cases))


class Lack(NamedTuple):
    """What promotion lacks: a name for `FixedSampleVerdict.missing`, and whose finding it is."""

    name: str
    finding: Finding | None = None


def lacks(rollout: Rollout, sample: Sample, found: Sequence[Finding]) -> list[Lack]:
    """Return what promotion lacks, nothing where it is earned."""
    return [*_of_data(rollout, sample, found), *_of_findings(sample, found)]


def _of_data(rollout: Rollout, sample: Sample, found: Iterable[Finding]) -> Iterator[Lack]:
    if not any(one.is_required for one in found):
        yield Lack(NOTHING_MEASURED)
    if sample.cases and sample.counts.unmatched > rollout.max_unmatched_share * sample.cases:
        yield Lack(UNMATCHED)


def _of_findings(sample: Sample, found: Sequence[Finding]) -> Iterator[Lack]:
    suspicion = min(SUSPICION, 1.0 / max(1, sum(one.may_hold for one in found)))
    for one in found:
        if one.check.action == "pause" and one.is_breach:
            yield Lack(f"paused/{one.name}", one)
        elif one.may_hold and one.p_harm <= suspicion:
            yield Lack(f"{SUSPECTED_HARM}/{one.name}", one)
    yield from (Lack(one.name, one) for one in found if one.is_required and not one.is_within)
    measured = {one.check.name for one in found if one.is_required}
    for check in sample.checks:
        must = check.stops_promotion and check.guardrail.required in ("all", "every")
        if must and check.name not in measured:
            yield Lack(f"{check.name}/{ANY_SLICE}")


def untold_of(sample: Sample, found: Iterable[Finding]) -> Untold:
    """Return what a promotion would not rest on, of the guardrails that could stop one."""
    checks = [check for check in sample.checks if check.stops_promotion]
    judged = [
        JudgedSlice(
            one.check.name,
            one.slice,
            one.test.cases,
            one.is_required,
            one.is_within,
            is_beyond(one),
        )
        for one in found
        if one.check.stops_promotion
    ]
    return untold([check.name for check in checks], judged)


def is_beyond(one: Finding) -> bool:
    """Return whether the estimate lies beyond the limit."""
    harm = levels(one).harm
    return harm is not None and harm > one.test.margin


def levels(one: Finding) -> Observed:
    """Return what was observed, in the metric's unit."""
    if not isinstance(one.test, QuantileTest):
        return one.check.test.observed(one.total)
    stable, candidate = one.test.levels
    return Observed(one.test.cases, candidate, stable, one.test.harm)
