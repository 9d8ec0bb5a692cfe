"""What the HTTP API takes and answers; `schemas/openapi.py` says where."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.decisions import Bounds, Evidence, Verdict
from understudy.schemas.events import Mode
from understudy.schemas.rollout_records import Command
from understudy.schemas.rollouts import Rollout, RolloutManifest

Effect = Literal["created", "unchanged", "reworded", "changed"]
Time = Annotated[dt.datetime, Meta(tz=True)]


class RolloutStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout in short. Before the first decision it is `waiting`, and times are null."""

    rollout_id: str
    verdict: Verdict | Literal["waiting"]
    stage: Annotated[
        str | None, Meta(description="Null when the policy cannot be used by this release.")
    ]
    mode: Annotated[Mode | None, Meta(description="Of the stage.")]
    next_stage: str | None
    candidate_share: Annotated[
        float | None,
        Meta(description="What gateways give the candidate; null before the first decision."),
    ]
    since: Annotated[Time | None, Meta(description="When the verdict became what it is.")]
    decided_at: Annotated[Time | None, Meta(description="Event time of the newest decision.")]
    is_latched: Annotated[bool, Meta(description="Rolled back until an operator resumes.")]
    is_paused: Annotated[bool, Meta(description="A guardrail with the action pause was broken.")]
    is_outdated: Annotated[
        bool, Meta(description="The decision was made under an earlier policy than that in force.")
    ]
    reasons: Annotated[list[str], Meta(description="In words, the weightiest first.")]
    alerts: list[str]


class RolloutList(msgspec.Struct, frozen=True, kw_only=True):
    """All rollouts, in the order of their names."""

    rollouts: list[RolloutStatus]


class RolloutDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout: how it stands, its policy, and what operators asked for."""

    status: RolloutStatus
    manifest: Annotated[RolloutManifest, Meta(description="The policy as it was written.")]
    policy: Annotated[
        Rollout | None,
        Meta(description="The policy spelled out; null when this release cannot use it."),
    ]
    policy_hash: str | None
    policy_problem: Annotated[str, Meta(description="Why it cannot be used; empty when it can.")]
    commands: Annotated[tuple[Command, ...], Meta(description="The newest last.")]


class EvidenceList(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest decision rests on, by guardrail and slice."""

    rollout_id: str
    decided_at: Time
    policy_hash: str
    verdict: Verdict
    bounds: Bounds
    evidence: list[Evidence]


class PastDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was told, without its evidence."""

    decided_at: Time
    verdict: Verdict
    since: Time
    stage: str
    candidate_share: float
    is_latched: bool
    is_paused: bool
    reasons: list[str]
    alerts: list[str]
    policy_hash: str


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions, the newest first."""

    decisions: list[PastDecision]
    next_before: Annotated[
        str | None, Meta(description="`before` of the next page; null on the last one.")
    ]


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator says to another command."""

    reason: Annotated[str, Meta(max_length=1024, description="Why; kept with the command.")] = ""


class Kill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator says to a kill."""

    reason: Annotated[
        str,
        Meta(min_length=1, max_length=1024, description="Why; shown wherever the rollback is."),
    ]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was written, and whether the newest decision shows that it was obeyed."""

    rollout_id: str
    command: Command
    is_done: bool
    status: Annotated[
        RolloutStatus | None, Meta(description="As of now; null where it is not known here.")
    ]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a policy did, or would do."""

    rollout_id: str
    effect: Annotated[
        Effect, Meta(description="reworded: it means the same, and the evidence is kept.")
    ]
    changes: Annotated[
        list[str], Meta(description="Lines of the policy spelled out: - before, + after.")
    ]
    note: str
    is_dry_run: bool


class Gate(msgspec.Struct, frozen=True):
    """A decision as a gate: pass, fail, or neither yet."""

    verdict: Literal["pass", "fail", "inconclusive"]
    ok: Annotated[
        bool | None,
        Meta(
            description="True while nothing speaks against going on, false once rolled back, null "
            "while that is open: a rollout or policy unknown, paused, data that cannot be trusted, "
            "harm suspected."
        ),
    ]
    score: Annotated[
        float,
        Meta(
            description="Share of the required guardrails that are shown to be within their limits;"
            " 1 on pass."
        ),
    ]
    reason: str


class Measured(msgspec.Struct, frozen=True):
    """What Argo Rollouts' `web` provider reads, by `jsonPath: "{$.data}"`."""

    data: Gate


class HookCall(msgspec.Struct, frozen=True):
    """What Flagger posts to a webhook, as far as it matters here."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    metadata: dict[str, str] | None = None


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: Annotated[str, Meta(description="The status in words.")]
    status: int
    detail: Annotated[str, Meta(description="What is wrong and what to do.")]
    line: Annotated[int | None, Meta(description="Of the policy, where there is a place.")] = None
    column: int | None = None
