"""Rollouts as Prometheus series: what was decided, what was found, and what it is held against.

Base units, and each threshold a series of its own, so that an alert rule compares two series and
holds no number itself. Labels name rollouts, guardrails and slices; never a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from understudy.schemas.decisions import Decision, Evidence, Verdict
from understudy.streams.api.board import Board, Standing

PREFIX: Final = "understudy_"
BASE_UNITS: Final[Mapping[str, tuple[str, float]]] = {
    "share": ("ratio", 1.0),
    "ms": ("seconds", 1e-3),
    "s": ("seconds", 1.0),
    "USD": ("usd", 1.0),
    "tokens": ("tokens", 1.0),
}
"""A metric's unit to the ending of its series, and what to multiply by."""
ROLLOUT: Final = {
    "rollout_verdict": "1 for the verdict in force, 0 for the others; none before the first",
    "rollout_candidate_share_ratio": "Share of requests that gateways give the candidate",
    "rollout_stage_index": "Stage, counted from 0",
    "rollout_latched": "1 when rolled back until an operator resumes",
    "rollout_paused": "1 when a guardrail with the action pause was broken",
    "rollout_decided_timestamp_seconds": "Event time of the newest decision",
    "rollout_log_evidence": "Natural log of the evidence for an action",
    "rollout_log_evidence_threshold": "What the evidence for rollback is held against",
    "rollout_unmatched_ratio": "Share of requests without a partner, this stage",
    "rollout_unmatched_threshold_ratio": "What it is held against",
    "rollout_late_ratio": "Share of requests that came too late, this stage",
    "rollout_late_threshold_ratio": "What it is held against",
}
GUARDRAIL: Final = {
    "guardrail_candidate": "The candidate's value",
    "guardrail_stable": "Stable's value",
    "guardrail_harm": "What the margin limits; positive is worse",
    "guardrail_harm_threshold": "What the harm is held against",
}
"""Each with the ending of its unit."""
GUARDRAIL_BREACHED: Final = "guardrail_breached"
OF_ROLLOUT: Final = ("rollout_id",)
OF_GUARDRAIL: Final = ("rollout_id", "guardrail", "metric", "slice")


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value now."""

    name: str
    labels: dict[str, str]
    value: float
    meaning: str


def samples(standings: Mapping[str, Standing]) -> Iterator[Sample]:
    """All series of all rollouts."""
    for standing in standings.values():
        if standing.decision is not None:
            yield from _of_rollout(standing.decision)
            for evidence in standing.decision.evidence:
                yield from _of_guardrail(standing.decision.rollout_id, evidence)


def _of_rollout(decision: Decision) -> Iterator[Sample]:
    labels = {"rollout_id": decision.rollout_id}

    def sample(name: str, value: float, **more: str) -> Sample:
        return Sample(PREFIX + name, {**labels, **more}, value, ROLLOUT[name])

    for verdict in get_args(Verdict):
        yield sample("rollout_verdict", float(decision.verdict == verdict), verdict=verdict)
    quality, bounds = decision.quality, decision.bounds
    yield sample("rollout_candidate_share_ratio", decision.candidate_share)
    yield sample("rollout_stage_index", decision.stage.index)
    yield sample("rollout_latched", float(decision.is_latched))
    yield sample("rollout_paused", float(decision.is_paused))
    yield sample("rollout_decided_timestamp_seconds", decision.decided_at.timestamp())
    for action, log in decision.log_evidence.items():
        if log is not None:
            yield sample("rollout_log_evidence", log, action=action)
    yield sample("rollout_log_evidence_threshold", bounds.log_rollback)
    yield sample("rollout_unmatched_ratio", quality.unmatched_share)
    yield sample("rollout_unmatched_threshold_ratio", bounds.max_unmatched_share)
    yield sample("rollout_late_ratio", quality.late_share)
    yield sample("rollout_late_threshold_ratio", bounds.max_late_share)


def _of_guardrail(rollout_id: str, evidence: Evidence) -> Iterator[Sample]:
    labels = dict(
        zip(OF_GUARDRAIL, (rollout_id, evidence.guardrail, evidence.metric, evidence.slice),
            strict=True)
    )  # fmt: skip
    unit, factor = BASE_UNITS[evidence.unit]
    values = {
        "guardrail_candidate": evidence.candidate,
        "guardrail_stable": evidence.stable,
        "guardrail_harm": evidence.harm,
        "guardrail_harm_threshold": evidence.harm_margin,
    }
    for name, value in values.items():
        if value is not None:
            yield Sample(f"{PREFIX}{name}_{unit}", labels, factor * value, GUARDRAIL[name])
    yield Sample(PREFIX + GUARDRAIL_BREACHED, labels, float(evidence.standing == "breach"),
                 "1 when the evidence for harm is at its bar")  # fmt: skip


class RolloutCollector(Collector):
    """All series, for a registry. Used on the board's loop."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Families in the order in which they first come up."""
        families: dict[str, GaugeMetricFamily] = {}
        for sample in samples(self._board.all()):
            names = list(sample.labels)
            family = families.setdefault(
                sample.name, GaugeMetricFamily(sample.name, sample.meaning, labels=names)
            )
            family.add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()

    def describe(self) -> list[Metric]:
        """Nothing is collected at registration."""
        return []
