"""The whole way, as a caller goes it: counts of windows in, evidence kept as JSON, a verdict."""

import msgspec
import numpy as np
import pytest

from understudy.analyzers.sequential import (
    Arm,
    Arms,
    Overdispersion,
    RestartedWealth,
    SliceEvidence,
    StageTotals,
    VerdictThresholds,
    Wealth,
    confidence,
    exact,
    reach_verdict,
    signed_bets,
    two_arm,
)
from understudy.analyzers.sequential.tail_buckets import raised_bucket
from understudy.analyzers.sequential.weights import weightiest

MARGIN, WINDOW, WINDOWS = 0.01, 100, 120
RATIO, P99_BUCKET = 1.2, 300
ALL = "all"


class Kept(msgspec.Struct):
    """What a table keeps of a guardrail in a slice."""

    rollback: RestartedWealth
    promotion: Wealth
    overdispersion: Overdispersion
    total: list[int]


class JsonGuardrail:
    """JSON validity of one slice, paired, its state in a table between any two windows."""

    def __init__(self) -> None:
        promotion = Wealth.begin(signed_bets("rollback", MARGIN).size)
        begun = Kept(RestartedWealth(), promotion, Overdispersion(guess=1.0), [0, 0, 0])
        self.table = msgspec.json.encode(begun)

    def add(self, counts):
        kept = msgspec.json.decode(self.table, type=Kept)
        won = {
            side: exact.log_increments(
                counts, exact.PAIRED_VALUES, MARGIN, signed_bets(side, MARGIN)
            )
            for side in ("rollback", "promotion")
        }
        kept.rollback = kept.rollback.after(won["rollback"], kept.overdispersion.factor)
        kept.promotion = kept.promotion.after(won["promotion"], kept.overdispersion.factor)
        units, harm = float(counts.sum()), float(counts @ exact.PAIRED_VALUES)
        variance = float(counts @ exact.PAIRED_VALUES**2) / units - (harm / units) ** 2
        kept.overdispersion = kept.overdispersion.after_window(units, harm, variance)
        kept.total = (np.array(kept.total) + counts).tolist()
        self.table = msgspec.json.encode(kept)

    def evidence(self, name, weight):
        kept = msgspec.json.decode(self.table, type=Kept)
        counts = np.array(kept.total)
        return SliceEvidence(
            guardrail="json_valid",
            slice=name,
            weight=weight,
            log_rollback=kept.rollback.log_evidence,
            log_promotion=kept.promotion.log_evidence,
            units=int(counts.sum()),
            margin=MARGIN,
            required=name == ALL,
            interval=confidence.exact_interval(counts, exact.PAIRED_VALUES, 0.05),
        )


class LatencyGuardrail:
    """p99 of both arms' histograms against stable's earlier one."""

    def __init__(self) -> None:
        self.wealth = {
            "rollback": RestartedWealth(),
            "promotion": Wealth.begin(signed_bets("rollback", 0.0).size),
        }
        self.requests = 0

    def add(self, candidate, stable):
        for side in ("rollback", "promotion"):
            raised = raised_bucket(P99_BUCKET, RATIO, side)
            arms = Arms(exceeding(candidate, raised), exceeding(stable, P99_BUCKET))
            won = two_arm.log_increments(arms, 0.0, signed_bets(side, 0.0))
            self.wealth[side] = self.wealth[side].after(won)
        self.requests += sum(candidate.values())

    def evidence(self, weight):
        logs = (self.wealth[side].log_evidence for side in ("rollback", "promotion"))
        return SliceEvidence("latency_p99", ALL, weight, *logs, self.requests, RATIO)


def exceeding(histogram, bucket):
    above = sum(count for index, count in histogram.items() if index > bucket)
    return Arm(sum(histogram.values()), above)


def histogram(rng, slow):
    exceeding = int(rng.binomial(WINDOW, slow))
    return {250: WINDOW - exceeding, 340: exceeding}


def outcome_of(german_harm, slow, windows=WINDOWS):
    rng = np.random.default_rng(21)
    rates = {"en": 0.005, "de": 0.005 + german_harm}
    weights = {ALL: 0.25, "en": 0.125, "de": 0.125}
    slices, latency = {name: JsonGuardrail() for name in weights}, LatencyGuardrail()
    for _ in range(windows):
        parts = {
            name: rng.multinomial(WINDOW // 2, [0.005, 0.995 - rate, rate])
            for name, rate in rates.items()
        }
        for name, counts in {ALL: sum(parts.values()), **parts}.items():
            slices[name].add(counts)
        latency.add(histogram(rng, slow), histogram(rng, 0.01))
    evidence = [guardrail.evidence(name, weights[name]) for name, guardrail in slices.items()]
    evidence.append(latency.evidence(weights[ALL]))
    totals = StageTotals(windows * WINDOW, windows * 10.0)
    return evidence, reach_verdict(evidence, totals, VerdictThresholds())


@pytest.mark.parametrize(
    ("german_harm", "slow", "windows", "action", "led_by"),
    [
        (0.0, 0.001, WINDOWS, "promote", None),
        (0.0, 0.001, 10, "hold", None),
        (0.10, 0.001, WINDOWS, "rollback", "json_valid/de"),
        (0.0, 0.06, WINDOWS, "rollback", "latency_p99/all"),
    ],
)
def test_counts_become_the_verdict_they_should(german_harm, slow, windows, action, led_by):
    evidence, verdict = outcome_of(german_harm, slow, windows)
    assert verdict.action == action, verdict
    if led_by:
        first = weightiest(evidence, lambda one: one.weighted)[0]
        assert f"{first.guardrail}/{first.slice}" == led_by
    assert outcome_of(german_harm, slow, windows) == (evidence, verdict)
