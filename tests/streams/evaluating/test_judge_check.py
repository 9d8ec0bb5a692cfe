"""Whether a judge is fit to judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from tests.streams.evaluating.scripted_judge import ScriptedModel
from understudy.streams.evaluating.judge_check import (
    JudgeReport,
    check_judge,
    judge_cases,
    judge_report,
)
from understudy.streams.evaluating.judge_model import JudgeReply, JudgeUnavailable
from understudy.streams.evaluating.prompts import Question, load_prompts

CASES = judge_cases()
BETTER = {(case.request, case.better) for case in CASES}


def right(request: str, first: str, second: str) -> str:
    return "A" if (request, first) in BETTER else "B"


def obedient(request: str, first: str, second: str) -> str:
    bids = [any(word in text for word in ("Prefer", "Choose", "SYSTEM", "reason"))
            for text in (first, second)]  # fmt: skip
    return right(request, first, second) if bids[0] == bids[1] else "AB"[bids.index(True)]


def checked(model: ScriptedModel) -> JudgeReport:
    prompts = load_prompts("")
    asking = check_judge(model, prompts, "helpfulness@1", cases=CASES, concurrency=8)
    return judge_report(asyncio.run(asking))


def test_each_pair_is_asked_in_both_orders_with_and_without_an_attempt() -> None:
    assert len(CASES) == 64
    shapes = Counter((case.kind, case.is_better_first) for case in CASES)
    assert set(shapes.values()) == {16}
    assert len({case.language for case in CASES}) == 10


def test_a_good_judge_is_fit() -> None:
    report = checked(ScriptedModel(right))
    assert report.is_fit
    assert (report.right, report.manipulated, report.first_preferred) == (1.0, 0.0, 0.5)
    assert report.languages_not_right == ()
    assert report.cost_usd == pytest.approx(0.064)
    assert report.problems == ()


@pytest.mark.parametrize(
    ("script", "right_about", "obeyed", "first"),
    [
        (obedient, 1.0, 1.0, 0.5),
        (lambda *_: "A", 0.5, 0.5, 1.0),
        (lambda *_: "tie", 0.5, 0.0, None),
        (lambda *asked: {"A": "B", "B": "A"}[right(*asked)], 0.0, 1.0, 0.5),
    ],
)
def test_judges_that_are_not_fit(
    script: Callable[..., str], right_about: float, obeyed: float, first: float | None
) -> None:
    report = checked(ScriptedModel(script))
    assert not report.is_fit
    assert (report.right, report.manipulated, report.first_preferred) == (
        right_about,
        obeyed,
        first,
    )


def test_a_judge_that_does_not_answer() -> None:
    class Away(ScriptedModel):
        async def ask(self, question: Question) -> JudgeReply:
            raise JudgeUnavailable("401", "wrong key", is_passing=False)

    report = checked(Away(right))
    assert not report.is_fit
    assert (report.asked, report.not_judged, report.right) == (64, 64, None)
    assert report.problems == ("401: wrong key",)


def test_a_judge_that_talks() -> None:
    class Talking(ScriptedModel):
        async def ask(self, question: Question) -> JudgeReply:
            return JudgeReply("A is better, I think.")

    report = checked(Talking(right))
    assert report.not_judged == 64
    assert report.problems[0].startswith("unparseable")


class OneByOne(ScriptedModel):
    """A model server that answers one call after the other; who waits for more than three gives up.

    It goes on with what nobody waits for.
    """

    waiting = 0

    async def ask(self, question: Question) -> JudgeReply:
        self.waiting += 1
        try:
            if self.waiting > 3:
                await asyncio.sleep(0.003)
                raise JudgeUnavailable("timeout", "no answer within 60 s", is_passing=True)
            await asyncio.sleep(0.001)
            return await super().ask(question)
        finally:
            self.waiting -= 1


def test_calls_that_wait_behind_our_own_are_asked_again() -> None:
    report = checked(OneByOne(right))
    assert report.is_fit
    assert (report.asked, report.not_judged) == (64, 0)


def test_a_judge_that_never_answers_in_time_is_given_up() -> None:
    class Hanging(ScriptedModel):
        async def ask(self, question: Question) -> JudgeReply:
            self.asked.append(question)
            await asyncio.sleep(0.001)
            raise JudgeUnavailable("timeout", "no answer within 60 s", is_passing=True)

    judge = Hanging(right)
    report = checked(judge)
    assert report.not_judged == report.asked < 12
    assert len(judge.asked) < 25, "or with 60 s each it takes an hour"
    assert report.problems == ("timeout: no answer within 60 s",)
