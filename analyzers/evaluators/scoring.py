"""Evaluators that score both answers of a request without a judge model, by name and version.

Agreement needs something to agree with. That is the request's control, a second run of stable: both
answers are held against it, so that two runs of one model differ by 0 on average whatever they are
asked, and no share of noise has to be guessed. Requests without a control are not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from understudy.analyzers.evaluators.agreement import agreement
from understudy.analyzers.evaluators.json_fields import json_fields
from understudy.analyzers.evaluators.stated_facts import dates, numbers, urls


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked and answered; control is None where the request has none."""

    prompt: str | None
    stable: str
    candidate: str
    control: str | None
    expects_json: bool
    language: str
    """BCP 47 tag; `und` where it is not known."""


class PairScores(NamedTuple):
    """How both answers score."""

    stable: float
    candidate: float


@dataclass(frozen=True, slots=True)
class ScoringEvaluator:
    """One evaluator: its scores lie within `score_range`."""

    score: Callable[[Answers], PairScores | None]
    """None where the evaluator says nothing about such answers."""
    score_range: tuple[float, float]
    needs_control: bool


Agreement = Callable[[str, str], float | None]
"""How far an answer agrees with a reference, in this order; None where it cannot be said."""


def against_control(agree: Agreement, *, json_only: bool = False) -> ScoringEvaluator:
    """Make an evaluator that holds both answers against the control."""

    def score(answers: Answers) -> PairScores | None:
        if answers.control is None or answers.expects_json != json_only:
            return None
        stable = agree(answers.control, answers.stable)
        candidate = agree(answers.control, answers.candidate)
        if stable is None or candidate is None:
            return None
        return PairScores(stable, candidate)

    return ScoringEvaluator(score, (0.0, 1.0), needs_control=True)


def json_agreement(reference: str, answer: str) -> float | None:
    """Return the share of JSON fields that agree; an answer that is no JSON agrees in none."""
    wanted = json_fields(reference)
    return None if wanted is None else agreement(wanted, json_fields(answer) or ())


def number_agreement(reference: str, answer: str) -> float | None:
    """Return the share of numbers, and of dates in digits, that both state."""
    return agreement([*numbers(reference), *dates(reference)], [*numbers(answer), *dates(answer)])


def url_agreement(reference: str, answer: str) -> float | None:
    """Return the share of URLs that both state."""
    return agreement(urls(reference), urls(answer))


SCORING: Final[Mapping[str, ScoringEvaluator]] = {
    "json_agreement@1": against_control(json_agreement, json_only=True),
    "number_agreement@1": against_control(number_agreement),
    "url_agreement@1": against_control(url_agreement),
}
"""By reference, as policies name them."""
