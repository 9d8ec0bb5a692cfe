"""What becomes of a sampled pair."""

from __future__ import annotations

from tests.streams.evaluating.pairs import sampled
from tests.streams.evaluating.test_sampling import sampling
from tests.streams.pairing.log import EPOCH
from understudy.analyzers.evaluators.scoring import SCORING, Answers
from understudy.schemas.evaluations import check_evaluation, evaluation_identity, fingerprint
from understudy.streams.evaluating.evaluation_plan import EvaluationPlan, identity_of
from understudy.streams.evaluating.sampling import Chosen


def chosen(evaluator: str, control_share: float = 0.0) -> Chosen:
    return Chosen(
        sampling(evaluator, control_share=control_share), 0.1, is_floor=False, slice_name=("en", "")
    )


def plan() -> EvaluationPlan:
    return EvaluationPlan(SCORING, {"helpfulness@1"})


def test_scores_are_recorded_at_once() -> None:
    here = plan()
    (record,), asked = here.carry_out(
        sampled(answers=Answers("?", "4", "5", "4", False, "en")),
        [chosen("number_agreement@1")],
        EPOCH,
    )
    assert asked == []
    check_evaluation(record)
    assert record.scores is not None
    assert (record.scores.stable, record.scores.candidate) == (1.0, 0.0)
    assert record.score_range == (0.0, 1.0)
    assert record.usage is None
    assert here.scored == {"number_agreement@1": 1}


def test_a_judge_is_asked_about_the_candidate_and_a_share_of_the_controls() -> None:
    here, one = plan(), chosen("helpfulness@1", control_share=0.3)
    found = [here.carry_out(sampled(str(n)), [one], EPOCH)[1] for n in range(400)]
    assert all(asked[0].compared == "candidate" for asked in found)
    assert 80 < sum(len(asked) == 2 for asked in found) < 160


def test_equal_answers_wait_for_room_and_money_like_others() -> None:
    here = plan()
    same = sampled(answers=Answers("?", "4", "4", "5", False, "en"))
    records, asked = here.carry_out(same, [chosen("helpfulness@1", 1.0)], EPOCH)
    assert records == []
    assert [one.compared for one in asked] == ["candidate", "control"]


def test_what_cannot_be_said_is_counted() -> None:
    here = plan()
    bare = sampled(answers=Answers(None, "4", "5", None, False, "en"))
    names = ("helpfulness@1", "number_agreement@1", "people@1")
    assert here.carry_out(bare, [chosen(name) for name in names], EPOCH) == ([], [])
    words = sampled(answers=Answers("?", "four", "five", "four", False, "en"))
    assert here.carry_out(words, [chosen("number_agreement@1")], EPOCH) == ([], [])
    here.leave_out([chosen(name) for name in names], "too_long")
    assert here.left_out == {
        ("helpfulness@1", "no_prompt"): 1,
        ("number_agreement@1", "no_control"): 1,
        ("number_agreement@1", "not_applicable"): 1,
        ("helpfulness@1", "too_long"): 1,
        ("number_agreement@1", "too_long"): 1,
    }


def test_a_pair_is_recognised_before_there_is_a_record() -> None:
    record = sampled().record("helpfulness@1", "control", EPOCH, 1.0)
    known = fingerprint(evaluation_identity(record))
    assert identity_of(sampled(), "helpfulness@1", "control") == known
    assert identity_of(sampled(), "helpfulness@1", "candidate") != known
    assert identity_of(sampled(), "helpfulness@2", "control") != known
