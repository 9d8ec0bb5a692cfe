"""Rollouts as Prometheus series: decisions, evidence and thresholds.

All are in base units. Each threshold is a series of its own, so that an alert rule compares two
series and repeats no number of a policy. Labels name rollouts, guardrails and slices; never a
request.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, get_args

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from understudy.analyzers.guardrails.formatting import printable
from understudy.analyzers.sequential.sample_ratio import LOG_THRESHOLD
from understudy.analyzers.sequential.weights import weighted_log_evidence
from understudy.schemas.decisions import Decision, Evidence, Verdict
from understudy.streams.http.materialized_view import RolloutView
from understudy.streams.logs import LogLimit

_limited_log: Final = LogLimit(structlog.get_logger(__name__))

PREFIX: Final = "understudy_"
UNITS: Final[Mapping[str, str]] = {
    "share": "_ratio",
    "usd": "_usd",
    "tokens": "_tokens",
    "characters": "_characters",
}
"""The ending of a series by the unit of its evidence. Limits on times are judged as shares."""
ROLLOUTS_KNOWN: Final = f"{PREFIX}rollouts_known"
ROLLOUTS_KNOWN_MEANING: Final = (
    "1 while this worker knows all rollouts; otherwise it exposes none of their series"
)
QUALITY_LIMITS: Final = ("unmatched_share", "late_share", "sample_ratio")

Labels = tuple[str, ...]
LabelledValues = Iterable[tuple[Labels, float | None]]
"""Values by the labels after the common ones; None is left out."""


@dataclass(frozen=True, slots=True)
class RolloutSeries:
    """A series of each rollout; it has `labels` in addition to `rollout_id`."""

    name: str
    meaning: str
    read: Callable[[RolloutView, Decision], LabelledValues]
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class GuardrailSeries:
    """A series of each guardrail in each slice; its name ends with its unit, if it has one."""

    name: str
    meaning: str
    read: Callable[[Evidence], float | None]
    unit: Callable[[Evidence], str] | None = None

    def full_name(self, evidence: Evidence) -> str | None:
        """The name with prefix and unit; None for a unit that this release does not know."""
        ending = UNITS.get(self.unit(evidence)) if self.unit else ""
        return None if ending is None else PREFIX + self.name + ending


@dataclass(frozen=True, slots=True)
class Sample:
    """A series and its present value."""

    name: str
    labels: dict[str, str]
    value: float
    meaning: str


def _one(
    read: Callable[[Decision], float | None],
) -> Callable[[RolloutView, Decision], LabelledValues]:
    return lambda _, decision: [((), read(decision))]


def _log_evidence(_: RolloutView, decision: Decision) -> LabelledValues:
    return [((action,), log) for action, log in decision.log_evidence.items()]


def _quality(_: RolloutView, decision: Decision) -> LabelledValues:
    return [((name,), float(name in decision.quality.breaches)) for name in QUALITY_LIMITS]


def _verdicts(_: RolloutView, decision: Decision) -> LabelledValues:
    return [((name,), float(name == decision.verdict)) for name in get_args(Verdict)]


def _info(rollout: RolloutView, decision: Decision) -> LabelledValues:
    models, stage = rollout.record.manifest.models, decision.stage.stage
    return [((stage.name, stage.mode, models.stable, models.candidate), 1.0)]


def _windows_until(decision: Decision) -> float | None:
    return decision.windows_until.timestamp() if decision.windows_until else None


def _weighted(evidence: Evidence) -> float | None:
    log = weighted_log_evidence(evidence.log_rollback, evidence.weight)
    return log if math.isfinite(log) else None


def _own_unit(evidence: Evidence) -> str:
    return evidence.unit


def _harm_unit(evidence: Evidence) -> str:
    return "share" if evidence.relative else evidence.unit


OF_ROLLOUT: Final = (
    RolloutSeries("rollout_info", "1, with the current stage, its mode and the models as labels",
                  _info, ("stage", "mode", "stable", "candidate")),
    RolloutSeries("rollout_verdict", "1 for the verdict in force, 0 for the others",
                  _verdicts, ("verdict",)),
    RolloutSeries("rollout_latched", "1 from a rollback until an operator resumes the rollout",
                  _one(lambda d: float(d.is_latched))),
    RolloutSeries("rollout_paused", "1 from the breach of a guardrail with the action pause until "
                  "an operator resumes the rollout", _one(lambda d: float(d.is_paused))),
    RolloutSeries("rollout_candidate_share_ratio", "Share of requests that gateways send to "
                  "the candidate", _one(lambda d: d.candidate_share)),
    RolloutSeries("rollout_decided_timestamp_seconds", "Event time of the newest decision; "
                  "refreshed once a minute while windows come",
                  _one(lambda d: d.decided_at.timestamp())),
    RolloutSeries("rollout_windows_until_timestamp_seconds", "End of the newest window that was "
                  "counted, event time; gates stay closed while it is old", _one(_windows_until)),
    RolloutSeries("rollout_verdict_since_timestamp_seconds", "Event time since which the verdict "
                  "is in force", _one(lambda d: d.since.timestamp())),
    RolloutSeries("rollout_stage_index", "Current stage, counted from 0",
                  _one(lambda d: d.stage.index)),
    RolloutSeries("rollout_stage_requests", "Requests of the candidate in closed windows of the "
                  "stage", _one(lambda d: d.stage.requests)),
    RolloutSeries("rollout_stage_requests_threshold", "Requests that promotion requires",
                  _one(lambda d: d.stage.stage.min_requests)),
    RolloutSeries("rollout_stage_duration_seconds", "Event time that the closed windows of "
                  "the stage span", _one(lambda d: d.stage.duration_s)),
    RolloutSeries("rollout_stage_duration_threshold_seconds", "Duration that promotion requires",
                  _one(lambda d: d.stage.stage.min_duration_s)),
    RolloutSeries("rollout_log_evidence", "Natural log of the evidence for an action: the weighted "
                  "sum over guardrails and slices; absent while there is no evidence",
                  _log_evidence, ("action",)),
    RolloutSeries("rollout_log_evidence_threshold", "Log evidence at which an action is taken",
                  _one(lambda d: d.thresholds.log_rollback)),
    RolloutSeries("rollout_log_promotion_threshold", "Log evidence that promotion requires of "
                  "each required guardrail", _one(lambda d: d.thresholds.log_promotion)),
    RolloutSeries("rollout_unmatched_ratio", "Share of requests without a partner in the "
                  "current stage", _one(lambda d: d.quality.unmatched_share)),
    RolloutSeries("rollout_unmatched_threshold_ratio", "Share of unmatched requests above which "
                  "the rollout is not promoted", _one(lambda d: d.thresholds.max_unmatched_share)),
    RolloutSeries("rollout_late_ratio", "Share of late events in the current stage",
                  _one(lambda d: d.quality.late_share)),
    RolloutSeries("rollout_late_threshold_ratio", "Share of late events above which the rollout "
                  "is not promoted", _one(lambda d: d.thresholds.max_late_share)),
    RolloutSeries("rollout_skew_log_evidence", "Log evidence that requests are not "
                  "split as planned", _one(lambda d: d.quality.log_sample_ratio)),
    RolloutSeries("rollout_skew_log_evidence_threshold", "Log evidence of a wrong split "
                  "from which the rollout is not promoted", _one(lambda _: LOG_THRESHOLD)),
    RolloutSeries("rollout_data_quality_breached", "1 while a limit on data quality is exceeded",
                  _quality, ("limit",)),
)  # fmt: skip
OF_GUARDRAIL: Final = (
    GuardrailSeries("guardrail_candidate", "The candidate's value; for quantiles, the share of its "
                    "requests that took longer than the limit", lambda e: e.candidate, _own_unit),
    GuardrailSeries("guardrail_stable", "Stable's value; for quantiles as for the candidate",
                    lambda e: e.stable, _own_unit),
    GuardrailSeries("guardrail_harm", "How much worse the candidate is; negative when it is better",
                    lambda e: e.harm, _harm_unit),
    GuardrailSeries("guardrail_harm_lower", "Lower end of the confidence sequence of the harm, "
                    "95 % over all looks together", lambda e: e.interval[0], _harm_unit),
    GuardrailSeries("guardrail_harm_upper", "Upper end of the confidence sequence of the harm",
                    lambda e: e.interval[1], _harm_unit),
    GuardrailSeries("guardrail_harm_threshold", "Harm that the policy tolerates",
                    lambda e: e.harm_margin, _harm_unit),
    GuardrailSeries("guardrail_units", "Pairs, or requests of the candidate, that were measured",
                    lambda e: e.units),
    GuardrailSeries("guardrail_log_evidence", "Natural log of the weighted evidence of harm",
                    _weighted),
    GuardrailSeries("guardrail_log_promotion", "Natural log of the evidence for promotion",
                    lambda e: e.log_promotion),
    GuardrailSeries("guardrail_required", "1 where promotion requires the guardrail to pass",
                    lambda e: float(e.required)),
    GuardrailSeries("guardrail_breached", "1 when the evidence of harm suffices by itself",
                    lambda e: float(e.status == "breach")),
    GuardrailSeries("guardrail_passed", "1 when the candidate is shown to be within the limit",
                    lambda e: float(e.status == "pass")),
)  # fmt: skip
ROLLOUT_LABELS: Final = ("rollout_id",)
GUARDRAIL_LABELS: Final = ("rollout_id", "guardrail", "metric", "slice", "action")


def series_names() -> dict[str, tuple[Labels, str]]:
    """Labels and meaning of every series by its full name."""
    names: dict[str, tuple[Labels, str]] = {ROLLOUTS_KNOWN: ((), ROLLOUTS_KNOWN_MEANING)}
    names |= {
        PREFIX + one.name: ((*ROLLOUT_LABELS, *one.labels), one.meaning) for one in OF_ROLLOUT
    }
    for one in OF_GUARDRAIL:
        for ending in UNITS.values() if one.unit else ("",):
            names[PREFIX + one.name + ending] = (GUARDRAIL_LABELS, one.meaning)
    return names


def samples(rollouts: Mapping[str, RolloutView]) -> Iterator[Sample]:
    """All series of all rollouts with a decision, with labels that any terminal can show."""
    for rollout_id, rollout in rollouts.items():
        if rollout.decision is not None:
            yield from _all_or_none(rollout_id, rollout, rollout.decision)


def _all_or_none(rollout_id: str, rollout: RolloutView, decision: Decision) -> list[Sample]:
    """The series of a rollout. Those of others must not depend on what its decision holds."""
    try:
        found = [*_of_rollout(rollout, decision), *_of_guardrails(decision)]
        return [_exposable(sample) for sample in found]
    except Exception as error:
        _limited_log.error("http.series_failed", rollout_id=rollout_id, error=repr(error)[:200])
        return []


def _exposable(sample: Sample) -> Sample:
    """With labels that any terminal can show, and a value that is one for Prometheus."""
    labels = {name: printable(value) for name, value in sample.labels.items()}
    return replace(sample, labels=labels, value=float(sample.value))


def _of_rollout(rollout: RolloutView, decision: Decision) -> Iterator[Sample]:
    for series in OF_ROLLOUT:
        for values, value in series.read(rollout, decision):
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
    """All series of some rollouts; of None where the rollouts are not known."""

    def __init__(self, rollouts: Mapping[str, RolloutView] | None) -> None:
        self._rollouts = rollouts

    def collect(self) -> Iterator[Metric]:
        """Metric families in the order of their first sample."""
        is_known = float(self._rollouts is not None)
        yield GaugeMetricFamily(ROLLOUTS_KNOWN, ROLLOUTS_KNOWN_MEANING, value=is_known)
        families: dict[str, GaugeMetricFamily] = {}
        for sample in samples(self._rollouts or {}):
            if sample.name not in families:
                families[sample.name] = GaugeMetricFamily(
                    sample.name, sample.meaning, labels=list(sample.labels)
                )
            families[sample.name].add_metric(list(sample.labels.values()), sample.value)
        yield from families.values()
