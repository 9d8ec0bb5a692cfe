"""A stage that serves the candidate to some and mirrors requests of others: both say something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_closed_windows import closed_rows, one_by_one, shown, timed
from tests.analyzers.guardrails.world import START, Harm, World, message, replaced
from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_columns import NameColumn, RowColumns
from understudy.analyzers.guardrails.stage_counts import MODEL_COLUMNS
from understudy.schemas.decisions import Decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.schemas.windows import WindowsMessage

ERRORS = "{metric: error_rate, max_increase: 1pp}"
NONE = Harm()
TOOLS = "{metric: tool_call_match, max_drop: 5pp, slices: [all]}"


def policy(guardrails: str = ERRORS, stage: str = "{share: 20%, mirror: 25%}") -> Rollout:
    return read_policy(
        f"""
rollout_id: helpdesk
models: {{stable: a, candidate: b}}
mode: canary
min_requests: 1500
min_duration: 2m
stages: [{stage}, 50%]
guardrails: [{guardrails}]
independent_requests: true
"""
    )


def both(
    windows: int,
    *,
    served: Harm = NONE,
    mirrored: Harm = NONE,
    per_window: tuple[int, int] = (150, 150),
    seed: int = 5,
) -> Iterator[WindowsMessage]:
    """Messages of canary and of mirrored rows; the two have harms and sizes of their own."""
    canary = World(mode="canary", share=0.2, requests=per_window[0], harm=served)
    shadow = World(requests=per_window[1], harm=mirrored)
    for one, other in zip(
        canary.messages(seed, windows), shadow.messages(seed + 1, windows), strict=True
    ):
        yield message([*one.rows, *other.rows], version=one.version)


def judged(rollout: Rollout, messages: Iterable[WindowsMessage]) -> Decision:
    evaluator = RolloutEvaluator(rollout)
    for one in messages:
        evaluator.take(one)
    return evaluator.decision()


def test_healthy_both_ways_is_promoted() -> None:
    decision = judged(policy(), both(60))
    assert decision.verdict == "promote", decision.missing
    slices = {one.slice for one in decision.evidence}
    assert slices == {
        "all", "language:en", "language:ja",
        "mirrored", "mirrored,language:en", "mirrored,language:ja",
    }  # fmt: skip
    assert sum(one.weight for one in decision.evidence) <= 1.0


def test_harm_to_those_whom_the_candidate_serves_is_not_outweighed() -> None:
    """Ten times as many mirrored requests lack it."""
    decision = judged(policy(), both(60, served=Harm(bad={"error": 0.1}), per_window=(200, 2_000)))
    assert decision.verdict == "rollback"
    assert decision.reasons[0].startswith("error rate over all requests rose")


def test_harm_to_mirrored_requests_alone_rolls_back() -> None:
    decision = judged(policy(), both(60, mirrored=Harm(bad={"error": 0.1})))
    assert decision.verdict == "rollback"
    assert decision.reasons[0].startswith("error rate over mirrored requests rose")


def test_answers_that_mirrored_requests_never_got_are_the_candidates_failure() -> None:
    decision = judged(policy(), both(60, mirrored=Harm(lost=0.1)))
    assert decision.verdict == "rollback"
    assert decision.quality.lost_candidate_share == pytest.approx(0.1, abs=0.02)


def test_requests_are_those_whom_the_candidate_serves() -> None:
    decision = judged(policy(), both(20, per_window=(100, 2_000)))
    assert decision.verdict == "hold"
    assert decision.missing[0] == "requests"
    assert decision.stage.requests < 1_500


def test_pairs_alone_say_whether_tool_calls_match() -> None:
    rollout = policy(f"{ERRORS}, {TOOLS}")
    decision = judged(rollout, both(80, per_window=(150, 400)))
    assert decision.verdict == "promote", decision.reasons
    required = {f"{one.guardrail}/{one.slice}" for one in decision.evidence if one.required}
    assert required == {"error_rate/all", "tool_call_match/mirrored"}
    without = policy(f"{ERRORS}, {TOOLS}", stage="{share: 20%}")
    (canary,) = {one.mode for one in without.stages}
    own = [
        replaced(one, rows=[row for row in one.rows if row.mode == canary])
        for one in both(80, per_window=(150, 400))
    ]
    assert "tool_call_match/all" in judged(without, own).missing


def test_mirrored_requests_never_stand_in_for_served_ones() -> None:
    """Harm at the limit among those served, none among ten times as many that are mirrored."""
    rollout = policy()
    promoted = [
        judged(
            rollout,
            both(40, served=Harm(bad={"error": 0.01}), per_window=(200, 2_000), seed=seed),
        ).verdict
        == "promote"
        for seed in range(10)
    ]
    assert sum(promoted) <= 1


def test_another_stage_takes_mirrored_rows_for_no_progress() -> None:
    rollout = policy(stage="{share: 20%}")
    rollout = msgspec.structs.replace(
        rollout, stages=(rollout.stages[0], msgspec.structs.replace(rollout.stages[1], mirror=0.5))
    )
    decision = judged(rollout, both(30))
    assert decision.quality.unmatched_share == 0.0
    mirrored = [one for one in decision.evidence if one.slice == "mirrored"]
    assert [one.units_closed for one in mirrored] == [0]
    assert mirrored[0].units > 0


def test_a_backtest_decides_as_a_worker_does() -> None:
    rollout = policy(f"{ERRORS}, {TOOLS}, {{metric: duration_p95, max_increase: 50%}}")
    for served in (NONE, Harm(bad={"error": 0.05})):
        messages = [timed(one) for one in both(40, served=served)]
        expected, _ = one_by_one(rollout, messages)
        rows = closed_rows(rollout, list(chain.from_iterable(one.rows for one in messages)))
        evaluator = RolloutEvaluator(rollout)
        assert shown(evaluator.take_closed(rows)) == shown(expected)


def test_state_survives_a_restart() -> None:
    rollout = policy()
    messages = list(both(20))
    through, again = RolloutEvaluator(rollout), RolloutEvaluator(rollout)
    for one in messages[:10]:
        through.take(one)
        again.take(one)
    again = RolloutEvaluator(rollout, state=again.encode_state())
    for one in messages[10:]:
        through.take(one)
        again.take(one)
    assert shown([through.decision()]) == shown([again.decision()])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("served", "mirrored", "may_promote"),
    [(0.01, 0.01, 0.05), (0.01, 0.0, 0.05), (0.0, 0.01, 1.0), (0.0, 0.0, 1.0)],
)
def test_false_verdicts_at_the_limit_are_rare_whichever_requests_are_harmed(
    served: float, mirrored: float, may_promote: float
) -> None:
    """Errors of 2 %, a limit of a point more; 5 000 served requests, 10 000 mirrored ones."""
    n, verdicts = 150, list[str]()
    rollout = policy(stage="{share: 20%, mirror: 50%}")
    for seed in range(n):
        rows = drawn(rollout, np.random.default_rng(seed), served, mirrored)
        evaluator = RolloutEvaluator(rollout)
        evaluator.take_closed([rows])
        verdicts.append(evaluator.decision().verdict)
    # Three standard errors above the tolerated shares of 1 % and 5 %.
    assert verdicts.count("rollback") / n <= 0.01 + 0.025
    assert verdicts.count("promote") / n <= may_promote + 0.054
    if served == mirrored == 0.0:
        assert verdicts.count("promote") / n >= 0.75


def drawn(
    rollout: Rollout, rng: np.random.Generator, served: float, mirrored: float, windows: int = 100
) -> ClosedRows:
    """Return a canary and a mirrored row for each window, of one language."""
    rate, n_rows = 0.02, 2 * windows
    canary, shadow = np.arange(0, n_rows, 2), np.arange(1, n_rows, 2)
    columns = {name: np.zeros(n_rows) for name in columns_needed(rollout)}
    for side, n, harm in (("candidate", 50, served), ("stable", 200, 0.0)):
        for name in ("requests", "model_requests"):
            columns[f"{side}_{name}"][canary] = n
        columns[f"{side}_errors"][canary] = rng.binomial(n, rate + harm, windows)
    shared, only_stable = 0.5 * rate, 0.5 * rate
    chances = [shared, only_stable, 0.5 * rate + mirrored]
    joint = rng.multinomial(100, [*chances, 1.0 - sum(chances)], windows)
    for name, counts in zip(("both", "only_stable", "only_candidate"), joint.T, strict=False):
        columns[f"pair_error_{name}"][shadow] = counts
    for name in ("pair_pairs", "pair_model_pairs"):
        columns[name][shadow] = 100
    names = {name: NameColumn.of([{}] * n_rows) for name in MODEL_COLUMNS}
    alike = np.zeros(n_rows, np.int64)
    return ClosedRows(
        source="events",
        start_ms=to_epoch_ms(START) + 10_000 * (np.arange(n_rows) // 2),
        window_s=np.full(n_rows, 10),
        partition=alike,
        mode=Labels(np.arange(n_rows) % 2, ["canary", "shadow"]),
        language=Labels(alike, ["en"]),
        workflow=Labels(alike, [""]),
        columns=RowColumns(
            np.arange(n_rows) % 2 == 1,
            {name: column for name, column in columns.items() if name not in MODEL_COLUMNS},
            names=names,
        ),
    )
