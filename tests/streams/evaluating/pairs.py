"""Pairs and tasks for tests."""

from __future__ import annotations

from typing import Any, Literal

from tests.streams.evaluating.test_sampling import sampling
from tests.streams.pairing.log import EPOCH
from understudy.analyzers.evaluators.scoring import Answers
from understudy.streams.evaluating.pair_queue import JudgeTask
from understudy.streams.evaluating.partition_progress import PartitionProgress
from understudy.streams.evaluating.sampled_pair import SampledPair
from understudy.streams.evaluating.sampling import Chosen

PROGRESS = PartitionProgress(0, position=0)


def sampled(pair_id: str = "p", rollout_id: str = "r", **changes: Any) -> SampledPair:
    fields: dict[str, Any] = {
        "mode": "shadow",
        "request_time": EPOCH,
        "language": "en",
        "workflow": "chat",
        "conversation_id": None,
        "turn": None,
        "policy_hash": "hash",
        "answers": Answers("2 + 2?", "4", "5", "four", expects_json=False, language="en"),
        "keeps_text": False,
    }
    return SampledPair(rollout_id=rollout_id, pair_id=pair_id, **{**fields, **changes})


def task(
    pair: SampledPair | None = None,
    compared: Literal["candidate", "control"] = "candidate",
    *,
    is_floor: bool = False,
    evaluator: str = "helpfulness@1",
    **changes: Any,
) -> JudgeTask:
    one = pair or sampled()
    PROGRESS.begin(one.pair_id, 0, 0)
    ticket = PROGRESS.add_task(one.pair_id)
    chosen = Chosen(sampling(evaluator, **changes), 0.1, is_floor, ("en", "chat"))
    return JudgeTask(one, chosen, compared, ticket)
