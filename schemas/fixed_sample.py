"""The verdict on two recorded runs: one look at a fixed number of cases.

A live rollout is judged again and again while requests come, by tests that stay valid however often
one looks. Two files are judged once, so exact tests for a fixed number of cases say more.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from understudy.schemas.decisions import Verdict
from understudy.schemas.rollout_metrics import Limit
from understudy.schemas.rollouts import Action

FindingStatus = Literal["breach", "pass", "open", "untested"]


class FixedSampleFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One guardrail in one slice. Shares are fractions of 1, times milliseconds."""

    guardrail: str
    metric: str
    slice: str
    action: Action
    limit: Limit
    margin: Annotated[float, Meta(description="As the policy writes it.")]
    relative: Annotated[bool, Meta(description="The margin is a share of stable's value.")]
    floor: Annotated[
        float, Meta(description="Of a multiple of stable's rate: the share tolerated beyond it.")
    ] = 0.0
    unit: Annotated[str, Meta(description="Of candidate and stable.")]
    required: Annotated[bool, Meta(description="Must be shown harmless before promotion.")]
    status: Annotated[
        FindingStatus,
        Meta(
            description="breach: harm beyond the margin is shown; pass: harm is shown to lie "
            "within it; open: neither; untested: too few cases to test, or none that has it."
        ),
    ]
    cases: Annotated[int, Meta(ge=0, description="Pairs, or answers of the candidate.")]
    stable: float | None
    candidate: float | None
    harm: Annotated[
        float | None, Meta(description="What the margin limits; positive is worse, see limit.")
    ]
    interval: Annotated[
        tuple[float | None, float | None],
        Meta(description="Where the harm lies, 95 %; null is unbounded."),
    ]
    harm_margin: Annotated[float, Meta(description="The margin on harm's scale.")]
    p_harm: Annotated[
        float, Meta(description="p-value: so much harm by chance, were it within the margin.")
    ]
    p_within: Annotated[
        float, Meta(description="p-value: so little harm by chance, were it beyond the margin.")
    ]
    error_share: Annotated[
        float,
        Meta(description="Share of the tolerated error that it has; p_harm below it is a breach."),
    ]
    design_effect: Annotated[
        float,
        Meta(description="By how much less cases tell, since turns of a conversation are alike."),
    ] = 1.0
    smallest_harm_found: Annotated[
        float | None,
        Meta(description="So much harm would have been a breach in as many cases; null: unknown."),
    ] = None
    cases_needed: Annotated[
        int | None,
        Meta(description="Cases in which models that are alike would pass; null where unknown."),
    ] = None
    sentence: Annotated[str, Meta(description="What was found, in words.")]
    note: Annotated[str, Meta(description="Why it could not be tested.")] = ""


class FixedSampleVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, its reasons and what it rests on."""

    rollout_id: str
    policy_hash: str
    verdict: Verdict
    reasons: Annotated[list[str], Meta(description="Sentences, the weightiest first.")]
    alerts: Annotated[
        list[str], Meta(description="Sentences on what is broken and rolls nothing back.")
    ] = []
    cases: Annotated[int, Meta(ge=0, description="Requests that at least one side answered.")]
    units: Annotated[
        int,
        Meta(ge=0, description="Independent ones among them: conversations, or single requests."),
    ]
    lost_stable: Annotated[int, Meta(ge=0, description="Cases that stable's side lacks.")] = 0
    lost_candidate: Annotated[int, Meta(ge=0, description="The same of the candidate's.")] = 0
    false_rollback: Annotated[float, Meta(description="Tolerated error of a rollback.")]
    false_promotion: Annotated[float, Meta(description="Tolerated error of a promotion.")]
    missing: Annotated[list[str], Meta(description="`guardrail/slice` that promotion lacks.")] = []
    not_measured: Annotated[
        list[str], Meta(description="Guardrails that no case says anything about.")
    ] = []
    too_few: Annotated[
        list[str],
        Meta(description="`guardrail/slice` that promotion does not wait for, too small to say."),
    ] = []
    point_other_way: Annotated[
        list[str],
        Meta(description="The same, where the estimate lies beyond the limit, perhaps by chance."),
    ] = []
    findings: list[FixedSampleFinding]


def encode_fixed_sample(verdict: FixedSampleVerdict) -> bytes:
    """Return the verdict as JSON; equal verdicts give equal bytes."""
    return msgspec.json.encode(verdict)


def decode_fixed_sample(payload: bytes) -> FixedSampleVerdict:
    """Return the verdict from JSON. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(payload, type=FixedSampleVerdict)
