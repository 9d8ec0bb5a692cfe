"""The whole way, as a caller goes it: counts of windows in, evidence kept as JSON, a verdict."""

import json

import numpy as np
import pytest

from understudy.analyzers.sequential import (
    Arms,
    Bar,
    Evidence,
    Finding,
    Overdispersion,
    Progress,
    confidence,
    exact,
    judge,
    signed_bets,
    slice_weights,
    tail,
    two_arm,
)
from understudy.analyzers.sequential.weights import ALL

MARGIN, WINDOW, WINDOWS = 0.01, 100, 120
RATIO, P99_BUCKET = 1.2, 300


class JsonGuardrail:
    """JSON validity of one slice, paired, its state in a table between any two windows."""

    def __init__(self) -> None:
        begun = Evidence.begin(signed_bets("rollback", MARGIN).size)
        self.table = json.dumps([begun.to_list(), Overdispersion(guess=1.0).to_list(), [0, 0, 0]])

    def fold(self, counts):
        kept, scatter_kept, total = json.loads(self.table)
        evidence, scatter = Evidence.from_list(kept), Overdispersion.from_list(scatter_kept)
        won = {
            side: exact.log_increments(
                counts, exact.PAIRED_VALUES, MARGIN, signed_bets(side, MARGIN)
            )
            for side in ("rollback", "promotion")
        }
        evidence = evidence.fold_rollback(won["rollback"], scatter.phi)
        evidence = evidence.fold_promotion(won["promotion"], scatter.phi)
        units, harm = float(counts.sum()), float(counts @ exact.PAIRED_VALUES)
        variance = float(counts @ exact.PAIRED_VALUES**2) / units - (harm / units) ** 2
        scatter = scatter.fold(units, harm, variance)
        total = (np.array(total) + counts).tolist()
        self.table = json.dumps([evidence.to_list(), scatter.to_list(), total], allow_nan=False)

    def finding(self, name, weight):
        kept, _, total = json.loads(self.table)
        evidence, counts = Evidence.from_list(kept), np.array(total)
        return Finding(
            guardrail="json_valid",
            slice=name,
            weight=weight,
            log_rollback=evidence.rollback.log_evidence,
            log_promotion=evidence.promotion.log_evidence,
            requests=int(counts.sum()),
            margin=MARGIN,
            required=name == ALL,
            interval=confidence.exact_interval(counts, exact.PAIRED_VALUES, 0.05),
        )


class LatencyGuardrail:
    """p99 of both arms' histograms against stable's earlier one."""

    def __init__(self) -> None:
        self.evidence, self.requests = Evidence.begin(signed_bets("rollback", 0.0).size), 0
        self.waiting = {"rollback": Arms(), "promotion": Arms()}

    def fold(self, candidate, stable):
        for side in ("rollback", "promotion"):
            arms = self.waiting[side] + tail.tail_arms(candidate, stable, P99_BUCKET, RATIO, side)
            self.waiting[side] = Arms() if arms.ready else arms
            if arms.ready:
                won = two_arm.log_increments(arms, 0.0, signed_bets(side, 0.0))
                fold = getattr(self.evidence, f"fold_{side}")
                self.evidence = fold(won)
        self.requests += sum(candidate.values())

    def finding(self, weight):
        rollback, promotion = self.evidence.rollback, self.evidence.promotion
        logs = rollback.log_evidence, promotion.log_evidence
        return Finding("latency_p99", ALL, weight, *logs, self.requests, RATIO)


def histogram(rng, slow):
    exceeding = int(rng.binomial(WINDOW, slow))
    return {250: WINDOW - exceeding, 340: exceeding}


def verdict_of(german_harm, slow, windows=WINDOWS):
    rng = np.random.default_rng(21)
    rates = {"en": 0.005, "de": 0.005 + german_harm}
    weights = slice_weights(2, list(rates), named=list(rates))
    slices, latency = {name: JsonGuardrail() for name in weights}, LatencyGuardrail()
    for _ in range(windows):
        parts = {
            name: rng.multinomial(WINDOW // 2, [0.005, 0.995 - rate, rate])
            for name, rate in rates.items()
        }
        for name, counts in {ALL: sum(parts.values()), **parts}.items():
            slices[name].fold(counts)
        latency.fold(histogram(rng, slow), histogram(rng, 0.01))
    findings = [guardrail.finding(name, weights[name]) for name, guardrail in slices.items()]
    findings.append(latency.finding(weights[ALL]))
    return judge(findings, Progress(windows * WINDOW, windows * 10.0), Bar())


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
    verdict = verdict_of(german_harm, slow, windows)
    assert verdict.action == action, verdict
    if led_by:
        assert f"{verdict.reasons[0].guardrail}/{verdict.reasons[0].slice}" == led_by
    assert verdict_of(german_harm, slow, windows) == verdict
