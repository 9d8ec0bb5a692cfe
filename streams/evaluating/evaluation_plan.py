"""What is to be done with a sampled request: scored here and now, asked about, or left out. Pure.

An evaluator is known here if it is one of `analyzers/evaluators`, or has a rubric. Others belong to
other workers, to people or to jobs of their own.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from understudy.analyzers.evaluators.scoring import ScoringEvaluator
from understudy.schemas.evaluations import (
    Compared,
    Evaluation,
    EvaluationIdentity,
    Scores,
    fingerprint,
)
from understudy.streams.evaluating.sampled_pair import SampledPair
from understudy.streams.evaluating.sampling import Chosen
from understudy.streams.pairing.pair_place import place_of


class JudgeRequest(NamedTuple):
    """That a judge is to be asked about a pair."""

    chosen: Chosen
    compared: Compared


@dataclass(slots=True)
class EvaluationPlan:
    """Which evaluators a worker has."""

    scoring: Mapping[str, ScoringEvaluator]
    judging: Set[str]
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Pairs that an evaluator could say nothing about, by evaluator and reason."""
    scored: Counter[str] = field(default_factory=Counter)
    """Pairs that were scored, by evaluator."""

    def knows(self, evaluator: str) -> bool:
        """Whether an evaluator is this worker's."""
        return evaluator in self.scoring or evaluator in self.judging

    def leave_out(self, chosen: Iterable[Chosen], reason: str) -> None:
        """Count a request that cannot be judged at all."""
        for one in chosen:
            if self.knows(one.sampling.evaluator):
                self.left_out[one.sampling.evaluator, reason] += 1

    def carry_out(
        self, pair: SampledPair, chosen: Iterable[Chosen], at: dt.datetime
    ) -> tuple[list[Evaluation], list[JudgeRequest]]:
        """Return what can be said at once, and what a judge is to be asked."""
        records: list[Evaluation] = []
        asked: list[JudgeRequest] = []
        for one in chosen:
            evaluator = one.sampling.evaluator
            if evaluator in self.scoring:
                record = self._score(pair, one, at)
                records += [record] if record is not None else []
            elif evaluator in self.judging:
                asked += [JudgeRequest(one, compared) for compared in self._compared(pair, one)]
        return records, asked

    def _score(self, pair: SampledPair, chosen: Chosen, at: dt.datetime) -> Evaluation | None:
        evaluator = chosen.sampling.evaluator
        scoring = self.scoring[evaluator]
        if scoring.needs_control and not pair.has_control:
            self.left_out[evaluator, "no_control"] += 1
            return None
        scores = scoring.score(pair.answers)
        if scores is None:
            self.left_out[evaluator, "not_applicable"] += 1
            return None
        self.scored[evaluator] += 1
        return msgspec.structs.replace(
            pair.record(evaluator, "candidate", at, chosen.probability),
            scores=Scores(stable=scores.stable, candidate=scores.candidate),
            score_range=scoring.score_range,
        )

    def _compared(self, pair: SampledPair, chosen: Chosen) -> tuple[Compared, ...]:
        """Return with what stable is compared; a share of the controls shows the judge's noise."""
        evaluator = chosen.sampling.evaluator
        if pair.answers.prompt is None:
            self.left_out[evaluator, "no_prompt"] += 1
            return ()
        place = place_of(pair.rollout_id, pair.pair_id, f"control/{evaluator}")
        if pair.has_control and place < chosen.sampling.control_share:
            return "candidate", "control"
        return ("candidate",)


def identity_of(pair: SampledPair, evaluator: str, compared: str) -> int:
    """Return the fingerprint of `evaluation_identity` before there is a record."""
    name, _, version = evaluator.partition("@")
    return fingerprint(
        EvaluationIdentity(
            rollout_id=pair.rollout_id,
            pair_id=pair.pair_id,
            compared=compared,
            evaluator=name,
            evaluator_version=version,
        )
    )
