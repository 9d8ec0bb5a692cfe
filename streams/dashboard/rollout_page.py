"""What the page of one rollout shows. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import yaml

from understudy.analyzers.guardrails.evidence_figures import noise_figures
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_percent,
    visible,
)
from understudy.analyzers.guardrails.guardrail_titles import (
    guardrail_titles,
    missing_titles,
    slice_titles,
)
from understudy.analyzers.guardrails.slices import ALL
from understudy.schemas.api import RolloutStatus
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import Rollout, Stage
from understudy.streams.dashboard.evidence_rows import EvidenceRow, evidence_rows
from understudy.streams.dashboard.heat_map import HeatMap, heat_map
from understudy.streams.rollouts.attention import silence_of
from understudy.streams.rollouts.rollout_status import policy_in, status_of


@dataclass(frozen=True, slots=True)
class StageStep:
    """A stage of the ramp and whether the rollout is there."""

    name: str
    mode: str
    share: str
    state: str
    """`done`, `current` or `next`."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """Something that grows towards what a stage needs."""

    title: str
    text: str
    share: float
    """Of what is needed, at most 1."""


@dataclass(frozen=True, slots=True)
class RolloutPage:
    """A rollout and what its newest decision says."""

    status: RolloutStatus
    models: tuple[str, str]
    """Names of stable and candidate."""
    stages: list[StageStep]
    decision: Decision | None
    progress: list[Quantity]
    together: list[EvidenceRow]
    """All requests together, the worst first."""
    slices: list[EvidenceRow]
    """Slices in which the candidate is worse, the worst first."""
    heat: HeatMap | None
    quality: list[tuple[str, str]]
    missing: list[str]
    """What promotion waits for."""
    not_measured: list[str]
    too_few: list[str]
    """Slices, by guardrail, as those that follow."""
    point_other_way: list[str]
    silence: str
    """For how long no window has come; empty if that is no matter."""
    policy_problem: str

    @property
    def is_frozen(self) -> bool:
        """Whether the reasons are older than the figures."""
        return is_frozen(self.status)


def rollout_page(record: RolloutRecord, decision: Decision | None, now: dt.datetime) -> RolloutPage:
    """Return what the page of a rollout shows."""
    policy, status = policy_in(record), status_of(record, decision)
    silence = silence_of(status, now)
    models = record.manifest.models
    evidence = decision.evidence if decision else []
    rows = evidence_rows(decision, evidence) if decision else []
    return RolloutPage(
        status=status,
        models=(models.stable, models.candidate),
        stages=_stages(policy.rollout, decision),
        decision=decision,
        progress=_progress(decision) if decision else [],
        together=all_requests(rows),
        slices=worse_slices(rows),
        heat=heat_map(rows) if decision else None,
        quality=data_quality(decision) if decision else [],
        missing=missing_titles(decision.missing, evidence) if decision else [],
        not_measured=guardrail_titles(decision.not_measured, evidence) if decision else [],
        too_few=slice_titles(decision.too_few, evidence) if decision else [],
        point_other_way=slice_titles(decision.point_other_way, evidence) if decision else [],
        silence=format_duration(silence) if silence is not None else "",
        policy_problem=policy.problem,
    )


def is_frozen(status: RolloutStatus) -> bool:
    """Return whether the reasons are of an earlier time than the figures.

    A rollback keeps its reasons, while windows go on to be counted.
    """
    until, since = status.windows_until, status.since
    return status.is_latched and None not in (until, since) and until != since


def policy_text(record: RolloutRecord) -> str:
    """Return the policy as it was written, as YAML."""
    written = msgspec.to_builtins(record.manifest)
    return visible(yaml.safe_dump(written, sort_keys=False, allow_unicode=True, width=100))


def _stages(policy: Rollout | None, decision: Decision | None) -> list[StageStep]:
    current = decision.stage.index if decision else 0
    stages: tuple[Stage, ...] = policy.stages if policy else ()
    return [
        StageStep(
            name=stage.name,
            mode=stage.mode,
            share=format_percent(stage.share) if stage.share else "",
            state="done" if n < current else "current" if n == current else "next",
        )
        for n, stage in enumerate(stages)
    ]


def _progress(decision: Decision) -> list[Quantity]:
    done, stage = decision.stage, decision.stage.stage
    requests = f"{format_count(done.requests)} of {format_count(stage.min_requests)}"
    duration = f"{format_duration(done.duration_s)} of {format_duration(stage.min_duration_s)}"
    return [
        Quantity("Requests in closed windows", requests, _part(done.requests, stage.min_requests)),
        Quantity("Time in closed windows", duration, _part(done.duration_s, stage.min_duration_s)),
    ]


def _part(done: float, needed: float) -> float:
    return min(1.0, done / needed) if needed > 0 else 1.0


def all_requests(rows: Sequence[EvidenceRow]) -> list[EvidenceRow]:
    """Return the guardrails over all requests together, the worst first."""
    return sorted((row for row in rows if row.slice == ALL), key=lambda row: row.finding.rank)


def worse_slices(rows: Sequence[EvidenceRow]) -> list[EvidenceRow]:
    """Return the slices in which the candidate is worse, the worst first."""
    worse = [row for row in rows if row.slice != ALL and row.finding.is_worse]
    return sorted(worse, key=lambda row: (row.finding.rank, -row.rollback_multiple))


def data_quality(decision: Decision) -> list[tuple[str, str]]:
    """Return whether the data can be trusted: what was measured of it, and the share."""
    quality = decision.quality
    return [
        ("Requests that the evidence rests on", format_percent(decision.stage.judged_share)),
        ("Sides without a partner", format_percent(quality.unmatched_share)),
        ("Events that came late", format_percent(quality.late_share)),
        ("Candidate's sides that never came", format_percent(quality.lost_candidate_share)),
        ("Stable's sides that never came", format_percent(quality.lost_stable_share)),
        *((f"Evaluator {name}", text) for name, text in noise_figures(decision)),
    ]
