"""Evaluations laid out as columns to insert, and apart from them what they say in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from understudy.schemas.evaluations import (
    Evaluation,
    EvaluationUsage,
    evaluation_time_ms,
    evaluator_reference,
    preference_value,
)
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.tables import Columns

if TYPE_CHECKING:
    from understudy.schemas.redaction.redact import Redacted


def evaluation_columns(evaluations: Sequence[Evaluation], languages: Sequence[str]) -> Columns:
    """n evaluations as columns of `evaluations`, but for their place in the log."""
    usages = [one.usage or EvaluationUsage() for one in evaluations]
    return {
        **_identity(evaluations, languages),
        "preference": list(map(preference_value, evaluations)),
        "preferred": [[order.preferred for order in one.preferences] for one in evaluations],
        "shown_first": [[order.first or "" for order in one.preferences] for one in evaluations],
        "stable_score": [one.scores.stable if one.scores else math.nan for one in evaluations],
        "compared_score": list(map(_compared_score, evaluations)),
        "lowest_score": [one.score_range[0] if one.score_range else math.nan
                         for one in evaluations],
        "highest_score": [one.score_range[1] if one.score_range else math.nan
                          for one in evaluations],
        "error": [one.error or "" for one in evaluations],
        "conversation_id": [one.conversation_id or "" for one in evaluations],
        "turn": [one.turn or 0 for one in evaluations],
        "sampling_share": [one.sampling_share or 1.0 for one in evaluations],
        "policy_hash": [one.policy_hash or "" for one in evaluations],
        "model": [one.model or "" for one in evaluations],
        "input_tokens": [_count(one.input_tokens) for one in usages],
        "output_tokens": [_count(one.output_tokens) for one in usages],
        "cost_usd": [_amount(one.cost_usd) for one in usages],
        "duration_ms": [_amount(one.duration_ms) for one in evaluations],
    }  # fmt: skip


def explanation_columns(
    evaluations: Sequence[Evaluation], languages: Sequence[str], texts: Sequence[Redacted]
) -> Columns:
    """n evaluations as columns of `explanations`, but for their place in the log."""
    return {
        **_identity(evaluations, languages),
        "explanation": [one.text for one in texts],
        "is_cut": [one.is_cut for one in texts],
        "redacted": [list(one.names) for one in texts],
    }


def _identity(evaluations: Sequence[Evaluation], languages: Sequence[str]) -> Columns:
    """What both tables say of who judged which pair, and when."""
    return {
        "rollout_id": [one.rollout_id for one in evaluations],
        "pair_id": [one.pair_id for one in evaluations],
        "evaluator": list(map(evaluator_reference, evaluations)),
        "compared": [one.compared for one in evaluations],
        "mode": [one.mode for one in evaluations],
        "language": list(languages),
        "workflow": [one.workflow or "" for one in evaluations],
        "request_time": [to_epoch_ms(one.request_time) for one in evaluations],
        "evaluation_time": list(map(evaluation_time_ms, evaluations)),
    }


def _compared_score(evaluation: Evaluation) -> float:
    scores = evaluation.scores
    return math.nan if scores is None else getattr(scores, evaluation.compared)


def _count(value: int | None) -> int:
    """Unknown is −1."""
    return -1 if value is None else value


def _amount(value: float | None) -> float:
    """Unknown is NaN."""
    return math.nan if value is None else value
