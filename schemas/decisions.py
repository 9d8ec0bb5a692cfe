"""The decision: a verdict on a rollout, with all that it takes to compute it again.

Key `rollout_id` in the topic `understudy.decisions`. Times come from the log, event time wherever
windows led to the decision: the same messages give the same bytes, whenever and by whichever worker
they are evaluated. `sequence` gives the order; times need not grow, since event time and the clock
of an operator differ.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.rollout_metrics import Limit
from understudy.schemas.rollout_records import CommandKind
from understudy.schemas.rollouts import Action, Stage

DECISIONS_SCHEMA_VERSION: Final = 1

Verdict = Literal["rollback", "hold", "promote"]
EvidenceStatus = Literal["breach", "pass", "open", "waiting"]
AlertKind = Literal["guardrail", "data_quality", "stable", "evaluator", "model"]
Time = Annotated[dt.datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0)]
Amount = Annotated[float, Meta(ge=0)]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail in one slice. Shares are fractions of 1, times milliseconds."""

    guardrail: str
    metric: str
    evaluator: Annotated[
        str | msgspec.UnsetType,
        Meta(description="`name@version` of whose evaluations it rests on, where it does."),
    ] = msgspec.UNSET
    slice: str
    action: Action
    limit: Limit
    margin: float
    relative: Annotated[bool, Meta(description="The margin is a share of stable's value.")]
    floor: Annotated[
        float, Meta(description="Of a multiple of stable's rate: the share tolerated beyond it.")
    ] = 0.0
    unit: Annotated[str, Meta(description="Of candidate and stable.")]
    required: Annotated[bool, Meta(description="Must be shown harmless before promotion.")]
    status: Annotated[
        EvidenceStatus,
        Meta(
            description="breach: its evidence alone is enough for its action; pass: shown "
            "harmless; waiting: nothing could be tested yet; open: none of these."
        ),
    ]
    units: Annotated[
        int, Meta(description="Pairs, or units of the candidate, since the rollout began.")
    ]
    units_closed: Annotated[int, Meta(description="In closed windows since the stage began.")]
    candidate: float | None
    stable: float | None
    harm: Annotated[
        float | None, Meta(description="What the margin limits; positive is worse, see limit.")
    ]
    interval: Annotated[
        tuple[float | None, float | None],
        Meta(description="Where the harm lies, 95 % at all looks together; null is unbounded."),
    ]
    harm_margin: Annotated[float, Meta(description="The margin on harm's scale.")]
    note: Annotated[str, Meta(description="Why it waits, or what its numbers mean.")] = ""
    weight: float
    log_rollback: Annotated[float | None, Meta(description="Natural log; null for no evidence.")]
    log_promotion: float
    design_effect: Annotated[
        float,
        Meta(
            description="Factor that divides new evidence: how much more the harm of requests "
            "varies than that of independent ones, since turns of a conversation share their fate.",
        ),
    ]
    independent_units: Annotated[
        int,
        Meta(description="As many independent units would tell as much: units / design_effect."),
    ]
    statistics: Annotated[
        dict[str, Count | Amount],
        Meta(
            description="Named sums since the rollout began, zeros left out; see "
            "docs/statistics.md."
        ),
    ]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator should look at although it rolls nothing back."""

    kind: Annotated[
        AlertKind,
        Meta(
            description="guardrail: one that alerts is broken; data_quality: the data cannot be "
            "trusted; stable: stable itself is no measure to judge by; evaluator: one sees a "
            "difference between two runs of stable; model: a side answers with another model than "
            "before."
        ),
    ]
    name: Annotated[str, Meta(description="Of the guardrail, the limit or the side.")]
    slice: Annotated[str, Meta(description="Where.")] = "all"
    sentence: str


class DataQuality(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the data can be trusted, over the closed windows of the stage."""

    unmatched_share: float
    late_share: float
    lost_stable_share: Annotated[
        float,
        Meta(
            description="Of the requests that should have both sides: stable's never came, though "
            "the join timeout passed."
        ),
    ] = 0.0
    lost_candidate_share: Annotated[
        float, Meta(description="The same, of the candidate's side: that is its failure.")
    ] = 0.0
    log_sample_ratio: Annotated[
        float, Meta(description="Log evidence that the shares are not as planned.")
    ]
    breaches: list[str]


class StageProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The stage of the rollout and how far it has come."""

    index: int
    stage: Stage
    next: str | None
    requests: Annotated[int, Meta(description="Of the candidate, in closed windows.")]
    duration_s: Annotated[float, Meta(description="Event time that its closed windows span.")]
    judged_share: Annotated[
        float,
        Meta(
            description="Share of its requests that the evidence rests on; the others lack a side "
            "or came late."
        ),
    ] = 1.0


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """What evidence is held against."""

    false_rollback: float
    false_promotion: float
    log_rollback: Annotated[
        float, Meta(description="Natural log of the weighted sum that a rollback takes.")
    ]
    log_promotion: Annotated[
        float, Meta(description="Natural log of what promotion takes of each required guardrail.")
    ]
    max_unmatched_share: float
    max_late_share: float


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The message that led to a decision, and its place in the log."""

    topic: Annotated[Literal["windows", "rollouts"], Meta(description="Without its prefix.")]
    partition: Count
    offset: Count
    written_at: Annotated[Time, Meta(description="The message's timestamp in Kafka.")]


class CausingCommand(msgspec.Struct, frozen=True, kw_only=True):
    """The command of an operator that a decision answers."""

    number: Count
    kind: CommandKind
    reason: str
    by: str
    at: Annotated[Time, Meta(description="When it was issued, by the clock of who issued it.")]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, its reasons and what it rests on."""

    schema_version: int = DECISIONS_SCHEMA_VERSION
    rollout_id: str
    rollout_created_at: Annotated[
        Time | None,
        Meta(
            description="When the rollout's first record was written; later for a rollout that was "
            "deleted and made anew. Null in a backtest."
        ),
    ] = None
    sequence: Annotated[
        Count, Meta(description="Counts the decisions since rollout_created_at: their order.")
    ] = 0
    cause: Annotated[
        Cause | None, Meta(description="What led to it; null where there is no log, in a backtest.")
    ] = None
    command: Annotated[
        CausingCommand | None, Meta(description="The command that it answers, if one led to it.")
    ] = None
    last_command: Annotated[
        Count, Meta(description="Number of the newest command applied or rejected; 0 for none.")
    ] = 0
    rejections: Annotated[
        dict[int, str],
        Meta(description="Number of a recent command that was rejected to the reason."),
    ] = {}
    policy_hash: str
    is_refresh: Annotated[
        bool,
        Meta(
            description="No command led to it; verdict, stage and alerts are unchanged, the "
            "numbers are newer. Emitted once a minute of event time."
        ),
    ] = False
    verdict: Verdict
    reasons: Annotated[list[str], Meta(description="Sentences, the weightiest first.")]
    decided_at: Annotated[
        Time,
        Meta(
            description="Where windows led to it, event time: the furthest watermark. Where a "
            "policy or a command did, when that was written: event time may stand still then."
        ),
    ]
    since: Annotated[
        Time,
        Meta(description="When the verdict became what it is: decided_at of the decision then."),
    ]
    windows_until: Annotated[
        Time | None,
        Meta(description="End of the newest window of events applied, event time; null for none."),
    ] = None
    candidate_share: Annotated[
        float,
        Meta(description="Share of requests that the candidate gets; 0 on rollback."),
    ]
    is_latched: Annotated[bool, Meta(description="Rolled back until an operator resumes.")]
    is_paused: Annotated[bool, Meta(description="A guardrail with the action pause was broken.")]
    is_within_tolerance: Annotated[
        bool, Meta(description="Some slice is worse beyond doubt, yet within its margin.")
    ]
    alerts: list[Alert]
    missing: Annotated[list[str], Meta(description="What promotion lacks.")]
    not_measured: Annotated[
        list[str], Meta(description="Guardrails that no request says anything about.")
    ] = []
    too_few: Annotated[
        list[str],
        Meta(
            description="`guardrail/slice` that promotion does not wait for and that is too small "
            "to tell."
        ),
    ] = []
    point_other_way: Annotated[
        list[str],
        Meta(
            description="The same, where the estimate lies beyond the limit, though that may be "
            "chance."
        ),
    ] = []
    stage: StageProgress
    quality: DataQuality
    thresholds: Thresholds
    log_evidence: dict[Action, float | None]
    evidence: list[Evidence]
    stable: Annotated[
        list[Evidence],
        Meta(
            description="Whether stable is a measure to judge by: its own rates against limits "
            "that are far off. These are no guardrails of the policy; they only alert."
        ),
    ] = []
    evaluators: Annotated[
        list[Evidence],
        Meta(
            description="Noise of the evaluators that guardrails name: what they say of stable and "
            "its second run (`control`), `candidate` being that run. These are no guardrails of "
            "the policy; they only alert."
        ),
    ] = []
    partitions: Annotated[
        dict[int, int], Meta(description="Partition of the events topic to the version applied.")
    ]
    feedback_partitions: Annotated[
        dict[int, int], Meta(description="The same, of the feedback topic.")
    ] = {}
    evaluation_partitions: Annotated[
        dict[int, int], Meta(description="The same, of the topic of evaluations.")
    ] = {}


def encode_decision(decision: Decision) -> bytes:
    """Return the decision as JSON for the topic; equal decisions give equal bytes."""
    return msgspec.json.encode(decision)


def decode_decision(payload: bytes) -> Decision:
    """Return the decision from JSON. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(payload, type=Decision)
