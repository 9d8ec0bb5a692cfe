"""Requests and responses of the HTTP application; `schemas/openapi.py` says where they occur."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.audit import AuditRecord
from understudy.schemas.decisions import Evidence, Thresholds, Verdict
from understudy.schemas.events import Mode
from understudy.schemas.rollout_records import Command, CommandKind
from understudy.schemas.rollouts import Rollout, RolloutManifest

Effect = Literal["created", "unchanged", "reworded", "changed"]
Time = Annotated[dt.datetime, Meta(tz=True)]


class RolloutStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Summary of a rollout. Before the first decision it is `waiting`, and times are null."""

    rollout_id: str
    verdict: Verdict | Literal["waiting"]
    stage: Annotated[
        str | None, Meta(description="Current stage; null when this release cannot use the policy.")
    ]
    mode: Annotated[Mode | None, Meta(description="Mode of the stage.")]
    next_stage: str | None
    candidate_share: Annotated[
        float | None,
        Meta(
            description="Share of requests that gateways send to the candidate; null before the "
            "first "
            "decision."
        ),
    ]
    since: Annotated[
        Time | None, Meta(description="Since when the verdict is in force, as decided_at.")
    ]
    decided_at: Annotated[
        Time | None,
        Meta(
            description="Of the newest decision: event time where windows led to it, else when a "
            "policy or command was written."
        ),
    ]
    sequence: Annotated[
        int, Meta(description="Counts the decisions since the rollout was created; 0 before any.")
    ]
    windows_until: Annotated[
        Time | None, Meta(description="End of the newest window applied, event time.")
    ]
    is_latched: Annotated[bool, Meta(description="Rolled back until an operator resumes.")]
    is_paused: Annotated[bool, Meta(description="Paused by a guardrail until an operator resumes.")]
    is_outdated: Annotated[
        bool, Meta(description="The newest decision was made under an earlier policy.")
    ]
    reasons: Annotated[list[str], Meta(description="Sentences, the weightiest first.")]
    alerts: Annotated[list[str], Meta(description="Sentences.")]


class RolloutList(msgspec.Struct, frozen=True, kw_only=True):
    """All rollouts, in the order of their ids."""

    rollouts: list[RolloutStatus]


class RolloutDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout: its status, its policy, and the commands that operators issued."""

    status: RolloutStatus
    manifest: Annotated[RolloutManifest, Meta(description="The policy as it was written.")]
    policy: Annotated[
        Rollout | None,
        Meta(
            description="The policy with all defaults filled in; null when this release cannot "
            "use it."
        ),
    ]
    policy_hash: str | None
    policy_problem: Annotated[
        str, Meta(description="Why the policy cannot be used; empty when it can.")
    ]
    commands: Annotated[tuple[Command, ...], Meta(description="The newest last.")]


class EvidenceList(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence of the newest decision, by guardrail and slice."""

    rollout_id: str
    sequence: int
    decided_at: Time
    policy_hash: str
    verdict: Verdict
    thresholds: Thresholds
    evidence: list[Evidence]
    stable: Annotated[
        list[Evidence],
        Meta(description="Stable's own rates against limits that are far off; all of them."),
    ]
    evaluators: Annotated[
        list[Evidence],
        Meta(
            description="What the evaluators of guardrails say of stable and its second run, which "
            "is their noise; all of them."
        ),
    ]


class AnswerQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluator said in a span of time, of all languages together or of one.

    Shares are fractions of 1; what too few pairs say is null. Intervals are of 95 %, however often
    one looks, and approximate: verdicts rest on exact ones.
    """

    evaluator: Annotated[str, Meta(description="`name@version`.")]
    language: Annotated[str | None, Meta(description="BCP 47 tag; null for all together.")]
    pairs: Annotated[int, Meta(description="Pairs of stable and candidate that were judged.")]
    preferences: Annotated[int, Meta(description="Of these, with a preference.")]
    preferred: Annotated[
        float | None, Meta(description="Share of the preferences that the candidate has.")
    ]
    preferred_interval: tuple[float | None, float | None]
    tied: Annotated[float | None, Meta(description="Share of the pairs with neither better.")]
    scores: Annotated[int, Meta(description="Pairs with scores.")]
    stable_score: Annotated[float | None, Meta(description="Mean, on the evaluator's scale.")]
    candidate_score: float | None
    score_difference: Annotated[
        float | None, Meta(description="Candidate less stable, as a share of the scale.")
    ]
    score_interval: tuple[float | None, float | None]
    control_pairs: Annotated[
        int, Meta(description="Pairs of stable and its second run that were judged.")
    ]
    control_preferred: Annotated[
        float | None,
        Meta(description="Share of the preferences that the second run has: 0.5 but for noise."),
    ]
    control_interval: tuple[float | None, float | None]
    control_score_difference: Annotated[
        float | None, Meta(description="Second run less stable, as a share of the scale.")
    ]
    control_score_interval: tuple[float | None, float | None]
    orders: Annotated[int, Meta(description="Orders in which an answer was preferred.")]
    first_preferred: Annotated[
        float | None, Meta(description="Share of them in which it was the one shown first.")
    ]
    both_orders: Annotated[int, Meta(description="Pairs that were asked in both orders.")]
    both_orders_alike: Annotated[
        float | None, Meta(description="Share of them in which both answers are the same.")
    ]
    not_judged: Annotated[
        dict[str, Annotated[int, Meta(ge=0)]],
        Meta(description="Records that say why there is no judgement, by reason; the most first."),
    ]
    cost_usd: float
    models: Annotated[list[str], Meta(description="Judge models that answered, some of them.")]


class AnswerQualityList(msgspec.Struct, frozen=True, kw_only=True):
    """What evaluators said of pairs requested in a span of time.

    By evaluator: all languages together first, then each, those with the most pairs first.
    """

    rollout_id: str
    since: Time
    until: Time
    evaluators: list[AnswerQuality]


class PastDecision(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier decision, without its evidence."""

    rollout_created_at: Annotated[
        Time, Meta(description="Later for a rollout that was deleted and made anew.")
    ]
    sequence: Annotated[int, Meta(description="Counts the decisions; their order.")]
    decided_at: Time
    command: Annotated[
        CommandKind | Literal[""], Meta(description="Command that it answers; empty for none.")
    ]
    command_by: Annotated[str, Meta(description="Who issued it.")]
    command_reason: str
    command_rejection: Annotated[
        str, Meta(description="Why the command was rejected; empty when it was applied.")
    ]
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


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Changes by people, the newest first."""

    records: list[AuditRecord]


class CommandRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a command other than `kill`."""

    reason: Annotated[str, Meta(max_length=1024, description="Why; stored with the command.")] = ""


class KillRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `kill`."""

    reason: Annotated[
        str,
        Meta(
            min_length=1, max_length=1024, description="Why; shown wherever the rollback is shown."
        ),
    ]


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was stored, and whether a decision confirms that it was applied."""

    rollout_id: str
    command: Command
    is_applied: bool
    status: Annotated[
        RolloutStatus | None,
        Meta(description="The present status; null where this worker does not know it."),
    ]


class ApplyResult(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a policy changed, or would change."""

    rollout_id: str
    effect: Annotated[
        Effect,
        Meta(description="reworded: the policy means the same as before, so the evidence is kept."),
    ]
    changes: Annotated[
        list[str],
        Meta(description="Lines that differ, with all defaults filled in: - before, + after."),
    ]
    note: str
    is_dry_run: bool


class Gate(msgspec.Struct, frozen=True):
    """A decision as a gate: pass, fail, or neither yet."""

    verdict: Literal["pass", "fail", "inconclusive"]
    ok: Annotated[
        bool | None,
        Meta(
            description="True while nothing speaks against continuing, false once rolled back, "
            "null while that is unknown: an unknown rollout or policy, no events or old ones, a "
            "pause, data that cannot be trusted, suspected harm."
        ),
    ]
    score: Annotated[
        float,
        Meta(
            description="Share of the required guardrails that are shown to be within their "
            "limits; 1 "
            "on pass."
        ),
    ]
    reason: str


class ArgoMeasurement(msgspec.Struct, frozen=True):
    """What the `web` provider of Argo Rollouts reads with `jsonPath: "{$.data}"`."""

    data: Gate


class FlaggerHook(msgspec.Struct, frozen=True):
    """The payload that Flagger posts to a webhook, as far as it is used here."""

    name: str = ""
    namespace: str = ""
    phase: str = ""
    metadata: dict[str, str] | None = None


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a probe."""

    status: Annotated[
        Literal["ok", "degraded", "failing"],
        Meta(description="degraded: a service that the worker depends on is unavailable."),
    ]
    reasons: list[str]


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error (RFC 9457)."""

    type: Literal["about:blank"] = "about:blank"
    title: Annotated[str, Meta(description="The name of the status.")]
    status: int
    detail: Annotated[str, Meta(description="What is wrong and what to do.")]
    line: Annotated[int | None, Meta(description="Line of the policy, where there is one.")] = None
    column: int | None = None
