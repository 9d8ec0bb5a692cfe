"""Rollouts as Prometheus series: what was decided, what was found, and what it is held against.

Base units, and each threshold a series of its own, so that an alert rule compares two series and
holds no number itself. Labels name rollouts, guardrails and slices; never a request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD
from understudy.analyzers.sequential.weights import weighted_log_evidence
from understudy.schemas.decisions import Decision, Evidence, Verdict
from understudy.streams.http.materialized_view import MaterializedView, Standing

PREFIX: Final = "understudy_"
UNITS: Final[Mapping[str, str]] = {"share": "_ratio", "usd": "_usd", "tokens": "_tokens"}
"""The unit of evidence to the ending of its series. Limits on times are judged as shares."""
QUALITY_LIMITS: Final = ("unmatched_share", "late_share", "sample_ratio")

Labels = tuple[str, ...]
Found = Iterable[tuple[Labels, float | None]]
"""Values by those labels that come after the first ones; None for none."""


@dataclass(frozen=True, slots=True)
class RolloutSeries:
    """One series of each rollout; `labels` stand beside `rollout_id`."""

    name: str
    meaning: str
    read: Callable[[Standing, Decision], Found]
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class GuardrailSeries:
    """One series of each guardrail in each slice; its unit ends the name where it has one."""

    name: str
    meaning: str
    read: Callable[[Evidence], float | None]
    unit: Callable[[Evidence], str] | None = None

    def full_name(self, evidence: Evidence) -> str | None:
        """With prefix and unit; None where the unit is one that this release does not know."""
        ending = UNITS.get(self.unit(evidence)) if self.unit else ""
        return None if ending is None else PREFIX + self.name + ending


@dataclass(frozen=True, slots=True)
class Sample:
    """One series and its value now."""

    name: str
    labels: dict[str, str]
    value: float
    meaning: str


def _one(read: Callable[[Decision], float | None]) -> Callable[[Standing, Decision], Found]:
    return lambda _, decision: [((), read(decision))]


def _log_evidence(_: Standing, decision: Decision) -> Found:
    return [((action,), log) for action, log in decision.log_evidence.items()]


def _quality(_: Standing, decision: Decision) -> Found:
    return [((name,), float(name in decision.quality.breaches)) for name in QUALITY_LIMITS]


def _verdicts(_: Standing, decision: Decision) -> Found:
    return [((name,), float(name == decision.verdict)) for name in get_args(Verdict)]


def _info(standing: Standing, decision: Decision) -> Found:
    models, stage = standing.record.manifest.models, decision.stage.stage
    return [((stage.name, stage.mode, models.stable, models.candidate), 1.0)]


def _weighted(evidence: Evidence) -> float | None:
    log = weighted_log_evidence(evidence.log_rollback, evidence.weight)
    return log if math.isfinite(log) else None


def _own_unit(evidence: Evidence) -> str:
    return evidence.unit


def _harm_unit(evidence: Evidence) -> str:
    return "share" if evidence.relative else evidence.unit


OF_ROLLOUT: Final = (
    RolloutSeries("rollout_info", "1, with the present stage, its mode and the models as labels",
                  _info, ("stage", "mode", "stable", "candidate")),
    RolloutSeries("rollout_verdict", "1 for the verdict in force, 0 for the others",
                  _verdicts, ("verdict",)),
    RolloutSeries("rollout_latched", "1 while rolled back, until an operator resumes",
                  _one(lambda d: float(d.is_latched))),
    RolloutSeries("rollout_paused", "1 once a guardrail with the action pause was broken, until "
                  "an operator resumes", _one(lambda d: float(d.is_paused))),
    RolloutSeries("rollout_candidate_share_ratio", "Share of requests that gateways give the "
                  "candidate", _one(lambda d: d.candidate_share)),
    RolloutSeries("rollout_decided_timestamp_seconds", "Event time of the newest decision; "
                  "refreshed once a minute while windows come",
                  _one(lambda d: d.decided_at.timestamp())),
    RolloutSeries("rollout_verdict_since_timestamp_seconds", "Event time since which the verdict "
                  "is in force", _one(lambda d: d.since.timestamp())),
    RolloutSeries("rollout_stage_index", "Present stage, counted from 0",
                  _one(lambda d: d.stage.index)),
    RolloutSeries("rollout_stage_requests", "Requests of the candidate in closed windows of the "
                  "stage", _one(lambda d: d.stage.requests)),
    RolloutSeries("rollout_stage_requests_threshold", "Requests that promotion takes",
                  _one(lambda d: d.stage.stage.min_requests)),
    RolloutSeries("rollout_stage_duration_seconds", "Event time that closed windows of the stage "
                  "span", _one(lambda d: d.stage.duration_s)),
    RolloutSeries("rollout_stage_duration_threshold_seconds", "Duration that promotion takes",
                  _one(lambda d: d.stage.stage.min_duration_s)),
    RolloutSeries("rollout_log_evidence", "Natural log of the evidence for an action: the weighted "
                  "sum over guardrails and slices; absent while there is none",
                  _log_evidence, ("action",)),
    RolloutSeries("rollout_log_evidence_threshold", "Log evidence at which an action follows",
                  _one(lambda d: d.bounds.log_rollback)),
    RolloutSeries("rollout_log_promotion_threshold", "Log evidence for promotion that each "
                  "required guardrail takes", _one(lambda d: d.bounds.log_promotion)),
    RolloutSeries("rollout_unmatched_ratio", "Share of requests without a partner, this stage",
                  _one(lambda d: d.quality.unmatched_share)),
    RolloutSeries("rollout_unmatched_threshold_ratio", "Above it nothing is promoted",
                  _one(lambda d: d.bounds.max_unmatched_share)),
    RolloutSeries("rollout_late_ratio", "Share of events that came too late, this stage",
                  _one(lambda d: d.quality.late_share)),
    RolloutSeries("rollout_late_threshold_ratio", "Above it nothing is promoted, either",
                  _one(lambda d: d.bounds.max_late_share)),
    RolloutSeries("rollout_skew_log_evidence", "Log evidence that the arms' shares are not as "
                  "planned", _one(lambda d: d.quality.log_sample_ratio)),
    RolloutSeries("rollout_skew_log_evidence_threshold", "From it on nothing is promoted",
                  _one(lambda _: LOG_THRESHOLD)),
    RolloutSeries("rollout_data_quality_breached", "1 while a limit on data quality is broken",
                  _quality, ("limit",)),
)  # fmt: skip
OF_GUARDRAIL: Final = (
    GuardrailSeries("guardrail_candidate", "The candidate's value; of quantiles, the share of its "
                    "requests over the time in question", lambda e: e.candidate, _own_unit),
    GuardrailSeries("guardrail_stable", "Stable's value, likewise", lambda e: e.stable, _own_unit),
    GuardrailSeries("guardrail_harm", "What the limit is about; positive is worse",
                    lambda e: e.harm, _harm_unit),
    GuardrailSeries("guardrail_harm_lower", "Lower end of the interval in which the harm lies, "
                    "95 % at all looks together", lambda e: e.interval[0], _harm_unit),
    GuardrailSeries("guardrail_harm_upper", "Upper end of it", lambda e: e.interval[1],
                    _harm_unit),
    GuardrailSeries("guardrail_harm_threshold", "The limit, as harm", lambda e: e.harm_margin,
                    _harm_unit),
    GuardrailSeries("guardrail_units", "Pairs, or requests of the candidate, that were measured",
                    lambda e: e.units),
    GuardrailSeries("guardrail_log_evidence", "Natural log of its weighted evidence of harm",
                    _weighted),
    GuardrailSeries("guardrail_log_promotion", "Natural log of its evidence for promotion",
                    lambda e: e.log_promotion),
    GuardrailSeries("guardrail_required", "1 where promotion takes its proof",
                    lambda e: float(e.required)),
    GuardrailSeries("guardrail_breached", "1 when its evidence of harm is enough by itself",
                    lambda e: float(e.standing == "breach")),
    GuardrailSeries("guardrail_passed", "1 when shown to be within its limit",
                    lambda e: float(e.standing == "pass")),
)  # fmt: skip
ROLLOUT_LABELS: Final = ("rollout_id",)
GUARDRAIL_LABELS: Final = ("rollout_id", "guardrail", "metric", "slice", "action")


def series_names() -> dict[str, tuple[Labels, str]]:
    """Labels and meaning of every series by its full name."""
    names = {PREFIX + one.name: ((*ROLLOUT_LABELS, *one.labels), one.meaning) for one in OF_ROLLOUT}
    for one in OF_GUARDRAIL:
        for ending in UNITS.values() if one.unit else ("",):
            names[PREFIX + one.name + ending] = (GUARDRAIL_LABELS, one.meaning)
    return names


def samples(standings: Mapping[str, Standing]) -> Iterator[Sample]:
    """All series of all rollouts about which something was decided."""
    for standing in standings.values():
        if standing.decision is not None:
            yield from _of_rollout(standing, standing.decision)
            yield from _of_guardrails(standing.decision)


def _of_rollout(standing: Standing, decision: Decision) -> Iterator[Sample]:
    for series in OF_ROLLOUT:
        for values, value in series.read(standing, decision):
            if value is not None:
                labels = dict(zip(series.labels, values, strict=True))
                yield Sample(PREFIX + series.name, {"rollout_id": decision.rollout_id, **labels},
                             value, series.meaning)  # fmt: skip


def _of_guardrails(decision: Decision) -> Iterator[Sample]:
    for evidence in decision.evidence:
        values = (decision.rollout_id, evidence.guardrail, evidence.metric, evidence.slice,
                  evidence.action)  # fmt: skip
        labels = dict(zip(GUARDRAIL_LABELS, values, strict=True))
        for series in OF_GUARDRAIL:
            name, value = series.full_name(evidence), series.read(evidence)
            if name is not None and value is not None:
                yield Sample(name, labels, value, series.meaning)


class RolloutCollector(Collector):
    """All series, for a registry. Used on the view's loop."""

    def __init__(self, view: MaterializedView) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Families in the order in which they first come up; none of a view half read."""
        if not self._view.is_complete:
            return
        families: dict[str, GaugeMetricFamily] = {}
        for sample in samples(self._view.all()):
            if sample.name not in families:
                families[sample.name] = GaugeMetricFamily(
                    sample.name, sample.meaning, labels=list(sample.labels)
                )
            families[sample.name].add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()

    def describe(self) -> list[Metric]:
        """Nothing is collected at registration."""
        return []
