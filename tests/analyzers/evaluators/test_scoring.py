"""Evaluators without a judge model: both answers are held against the control."""

from __future__ import annotations

import random

import pytest

from understudy.analyzers.evaluators.scoring import SCORING, Answers, PairScores


def answers(stable: str, candidate: str, control: str | None, *, json: bool = False) -> Answers:
    return Answers("what?", stable, candidate, control, json, "en")


def test_both_sides_are_compared_with_the_control() -> None:
    score = SCORING["number_agreement@1"].score
    assert score(answers("5 and 7", "5 and 8", "7 or 5")) == PairScores(1.0, 0.5)
    assert score(answers("no number", "5", "5")) == PairScores(0.0, 1.0)


def test_dates_count_among_the_numbers() -> None:
    score = SCORING["number_agreement@1"].score
    found = score(answers("on 17.5.2024", "on 2024-05-18", "2024-05-17"))
    assert found == PairScores(1.0, 0.0)


@pytest.mark.parametrize("evaluator", SCORING)
def test_without_a_control_nothing_is_said(evaluator: str) -> None:
    for json in (False, True):
        assert SCORING[evaluator].score(answers("5", "5", None, json=json)) is None
    assert SCORING[evaluator].needs_control


def test_json_is_left_to_one_evaluator_and_text_to_the_others() -> None:
    as_json = answers('{"n": 5}', '{"n": 6}', '{"n": 5}', json=True)
    assert SCORING["json_agreement@1"].score(as_json) == PairScores(1.0, 0.0)
    assert SCORING["number_agreement@1"].score(as_json) is None
    as_text = answers("5", "6", "5")
    assert SCORING["json_agreement@1"].score(as_text) is None


def test_broken_json_agrees_in_nothing() -> None:
    score = SCORING["json_agreement@1"].score
    assert score(answers('{"n": 5}', '{"n": 5', '{"n": 5}', json=True)) == PairScores(1.0, 0.0)
    assert score(answers('{"n": 5}', '{"n": 5}', "sorry", json=True)) is None


def test_urls_are_compared() -> None:
    score = SCORING["url_agreement@1"].score
    there = "https://x.example/a"
    assert score(answers(there, "none", f"see {there}.")) == PairScores(1.0, 0.0)


def test_two_runs_of_one_model_differ_by_nothing_on_average() -> None:
    rng = random.Random(7)

    def run() -> str:
        return " ".join(str(n) for n in range(10) if rng.random() < 0.7)

    score = SCORING["number_agreement@1"].score
    found = [score(answers(run(), run(), run())) for _ in range(4000)]
    differences = [one.candidate - one.stable for one in found if one is not None]
    assert abs(sum(differences) / len(differences)) < 0.01
