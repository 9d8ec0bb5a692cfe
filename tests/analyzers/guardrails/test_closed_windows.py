"""Many complete windows at once lead to the decisions of one message after the other."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.world import START, Harm, World, replaced
from understudy.analyzers.guardrails import evaluator as evaluator_module
from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.evaluate import Evaluation, evaluate
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import SOURCES, WindowRow, WindowsMessage

GUARDRAILS = (
    "{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp, slices: [all, each language]}, "
    "{metric: json_valid_rate, max_drop: 1pp, slices: [all, each language, each workflow]}, "
    "{metric: fallback_rate, max: 5%}, "
    "{metric: duration_p95, max_increase: 20%, slices: [all, each language]}, "
    "{metric: duration_p99, max: 60s}, "
    "{metric: cost_usd, max_increase: 10%, slices: [all, each language]}"
)


def labels(values: Sequence[str]) -> Labels:
    found, codes = np.unique(values, return_inverse=True)
    return Labels(codes, found.tolist())


def closed_rows(rollout: Rollout, rows: Sequence[WindowRow]) -> list[ClosedRows]:
    """Rows in columns, by source, in the order of their starts."""
    parts = []
    for source in SOURCES:
        some = sorted(
            (row for row in rows if row.source == source), key=lambda row: row.window_start
        )
        if some:
            parts.append(
                ClosedRows(
                    source=source,
                    start_ms=np.array([to_epoch_ms(row.window_start) for row in some]),
                    window_s=np.array([row.window_s for row in some]),
                    partition=np.array([row.partition for row in some]),
                    mode=labels([row.mode or "" for row in some]),
                    language=labels([row.language for row in some]),
                    workflow=labels([row.workflow for row in some]),
                    columns=RowColumns.of_rows(some, columns_needed(rollout)),
                    requests_from_ms=np.array(
                        [to_epoch_ms(row.requests_from or row.window_start) for row in some]
                    ),
                )
            )
    return parts


def timed(message: WindowsMessage) -> WindowsMessage:
    """The same with event time as its version, as a backtest has it, and models that answer."""
    assert message.watermark is not None
    version = to_epoch_ms(message.watermark)
    rows = [
        msgspec.structs.replace(
            row,
            version=version,
            closed=True,
            stable=_answered(row.stable, {"heron-4": row.stable.requests}),
            candidate=_answered(row.candidate, _models(row)),
        )
        for row in message.rows
    ]
    return replaced(message, version=version, rows=rows)


def _answered(side: SideSums, models: dict[str, int]) -> SideSums:
    return msgspec.structs.replace(side, models=models)


def _models(row: WindowRow) -> dict[str, int]:
    """The candidate's model changes after three minutes."""
    is_early = row.window_start < START + dt.timedelta(minutes=3)
    return {"heron-5" if is_early else "heron-5.1": row.candidate.requests}


def one_by_one(
    rollout: Rollout, messages: Sequence[WindowsMessage]
) -> tuple[list[Decision], RolloutEvaluator]:
    evaluator = RolloutEvaluator(rollout)
    decisions = [evaluator.take(message) for message in messages]
    return [one for one in decisions if one is not None and not one.is_refresh], evaluator


def shown(decisions: Sequence[Decision]) -> list[bytes]:
    return [encode_decision(one) for one in decisions]


BY_HAND, AUTOMATIC = "", "stages: [shadow, 5%]\npromotion: automatic"
INDEPENDENT, FIVE_TURNS = "independent_requests: true", "turns_per_conversation: 5"
STORIES = {
    "healthy": (AUTOMATIC, World(requests=300).messages(1, 30)),
    "worse in one language": (
        INDEPENDENT,
        World(
            requests=200,
            languages=("en", "ja", "nl"),
            harm=Harm(bad={"json_valid": 0.2}, languages=("nl",)),
        ).messages(2, 30),
    ),
    "late": (
        FIVE_TURNS,
        [
            *World(requests=200).messages(3, 20),
            *World(requests=200, harm=Harm(bad={"error": 0.2})).messages(4, 20, first=20),
        ],
    ),
    "slow and dear": (
        INDEPENDENT,
        World(requests=400, harm=Harm(slower=1.5, dearer=1.3)).messages(5, 30),
    ),
    "small languages": (
        BY_HAND,
        World(requests=4, languages=("en", "de", "fr")).messages(6, 60),
    ),
    "new languages": (
        INDEPENDENT,
        [
            *World(requests=100, languages=("en",)).messages(7, 10),
            *World(requests=100, languages=("ja", "en"), workflow="find").messages(8, 9, first=10),
            *World(requests=100, languages=("ko",)).messages(9, 10, first=19),
        ],
    ),
    "canary": (BY_HAND, World(mode="canary", requests=300, share=0.05).messages(10, 40)),
    "canary, worse": (
        INDEPENDENT,
        World(
            mode="canary", requests=300, share=0.05, harm=Harm(bad={"error": 0.1}, dearer=1.5)
        ).messages(11, 40),
    ),
    "shadow, then canary": (
        f"{AUTOMATIC}\n{INDEPENDENT}",
        [
            *World(requests=400).messages(12, 20),
            *World(mode="canary", requests=400, share=0.05).messages(13, 30, first=20),
        ],
    ),
    "a gap": (
        BY_HAND,
        [
            *World(requests=200).messages(14, 10),
            *World(requests=200).messages(15, 10, first=500),
        ],
    ),
}


def policy(rest: str) -> Rollout:
    return read_policy(
        "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nmin_requests: 1500\n"
        f"min_duration: 2m\nguardrails: [{GUARDRAILS}]\n{rest}\n"
    )


@pytest.mark.parametrize(("rest", "story"), STORIES.values(), ids=STORIES.keys())
def test_decisions_are_the_same_bytes(rest: str, story: list[WindowsMessage]) -> None:
    """The rows come in two blocks, as a query returns them."""
    rollout = policy(rest)
    messages = [timed(message) for message in story]
    expected, single = one_by_one(rollout, messages)
    evaluator, found = RolloutEvaluator(rollout), list[Decision]()
    for part in (messages[: len(messages) // 3], messages[len(messages) // 3 :]):
        rows = [row for message in part for row in message.rows]
        found += evaluator.take_closed(closed_rows(rollout, rows))
    assert len(found) > 0
    assert shown(found) == shown(expected)
    assert shown([evaluator.decision()]) == shown([single.decision()])


def test_an_alert_ends_at_the_window_at_which_its_evidence_is_no_longer_enough() -> None:
    rollout = read_policy(
        "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nindependent_requests: true\n"
        "guardrails: [{metric: error_rate, max_increase: 1pp, action: alert}, "
        "{metric: json_valid_rate, max_drop: 5pp}]\n"
    )
    world = World(requests=200, languages=("en",))
    worse = World(requests=200, languages=("en",), harm=Harm(bad={"error": 0.06}))
    messages = [timed(one) for one in (*worse.messages(1, 3), *world.messages(51, 14, first=3))]
    expected, _ = one_by_one(rollout, messages)
    rows = closed_rows(rollout, [row for message in messages for row in message.rows])
    found = RolloutEvaluator(rollout).take_closed(rows)
    assert [bool(one.alerts) for one in expected] == [False, True, False]
    assert shown(found) == shown(expected)


def test_windows_at_which_no_number_reaches_a_limit_are_not_evaluated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = []

    def counted(*arguments: object, **options: object) -> Evaluation:
        looks.append(options)
        return evaluate(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(evaluator_module, "evaluate", counted)
    rollout, messages = policy(INDEPENDENT), [timed(one) for one in World().messages(1, 120)]
    rows = closed_rows(rollout, [row for message in messages for row in message.rows])
    found = RolloutEvaluator(rollout).take_closed(rows)
    assert [one.verdict for one in found][-1:] == ["promote"]
    assert len(looks) < len(messages) / 2


def test_a_message_after_complete_windows_is_looked_at() -> None:
    """They are folded, though some window of theirs was looked at in the ordinary way."""
    rollout = read_policy(
        "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nindependent_requests: true\n"
        "guardrails: [{metric: error_rate, max_increase: 1pp, slices: [all]}]\n"
    )
    worse = World(requests=30, harm=Harm(bad={"error": 0.05}))
    before = [timed(one) for one in worse.messages(2, 3)]
    (last,) = [timed(one) for one in worse.messages(1, 1, first=3)]
    evaluator = RolloutEvaluator(rollout)
    found = evaluator.take_closed(closed_rows(rollout, [row for one in before for row in one.rows]))
    assert [one.verdict for one in found] == ["hold"]
    is_open = [msgspec.structs.replace(row, closed=False) for row in last.rows]
    decision = evaluator.take(replaced(last, rows=is_open))
    assert decision is not None
    assert decision.verdict == "rollback"


def test_no_rows_change_nothing() -> None:
    evaluator = RolloutEvaluator(policy(""))
    assert evaluator.take_closed([]) == []


def test_counts_that_cannot_be_are_refused() -> None:
    rollout = policy("")
    (message,) = World(mode="canary").messages(1, 1)
    row = message.rows[0]
    row = msgspec.structs.replace(row, candidate=msgspec.structs.replace(row.candidate, errors=999))
    with pytest.raises(ValueError, match="more bad units than units"):
        RolloutEvaluator(rollout).take_closed(closed_rows(rollout, [row]))
