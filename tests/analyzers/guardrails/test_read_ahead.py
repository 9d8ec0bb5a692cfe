"""Rows that are read together: nothing shows in which company, and nobody else is blamed."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from tests.analyzers.guardrails.world import Harm, World, replaced
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_layout import RowLayout
from understudy.analyzers.guardrails.state import RolloutState
from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_policy
from understudy.schemas.windows import WindowsMessage

POLICY = read_policy(
    """
rollout_id: helpdesk
models: {stable: a, candidate: b}
guardrails:
  - {metric: error_rate, max_increase: 1pp, slices: [all, each language]}
  - {metric: duration_p95, max_increase: 20%, slices: [all, each language]}
  - {metric: cost_usd, max_increase: 10%}
"""
)
PARTITIONS = 4


def bursts(seconds: int) -> list[WindowsMessage]:
    """Windows of some partitions, open and then closed; a language turns up half-way."""
    worlds = [
        World(requests=300, harm=Harm(bad={"error": 0.02}), partition=number,
              languages=("en", "ja", "de"))
        for number in range(PARTITIONS)
    ]  # fmt: skip
    logs = [world.messages(7, seconds) for world in worlds]
    found = []
    for second in range(seconds):
        for log in logs:
            rows = log[second].rows if second >= seconds // 2 else log[second].rows[:2]
            early = [msgspec.structs.replace(row, closed=False) for row in rows]
            before = log[second - 1].rows if second else []
            kept = before if second > seconds // 2 else before[:2]
            closed = [msgspec.structs.replace(row, version=log[second].version) for row in kept]
            found.append(replaced(log[second], rows=[*closed, *early]))
    return found


def decided(
    evaluator: RolloutEvaluator, messages: list[WindowsMessage], sizes: list[int]
) -> list[Decision]:
    """Add messages in groups of these sizes, again and again; each knows the rest of its group."""
    decisions, start, turn = [], 0, 0
    while start < len(messages):
        group = messages[start : start + sizes[turn % len(sizes)]]
        for place, message in enumerate(group):
            written_ms = 400 * (start + place)
            one = evaluator.add(message, written_ms, following=group[place + 1 :])
            decisions += [one] if one else []
        start, turn = start + len(group), turn + 1
    return decisions


@pytest.mark.parametrize("sizes", [[2], [PARTITIONS], [1, 7, 3], [1_000]])
def test_however_messages_are_grouped_bytes_are_the_same(sizes: list[int]) -> None:
    messages = bursts(16)
    one_by_one, together = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    wanted = decided(one_by_one, messages, [1])
    assert decided(together, messages, sizes) == wanted
    assert together.encode_state() == one_by_one.encode_state()
    assert len(wanted) > 1


def test_rows_are_read_once_each_in_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for those that come after a new language, or after new thresholds."""
    calls: list[int] = []
    read = RowLayout.read

    def counted(layout: RowLayout, keys, columns, table, thresholds):  # type: ignore[no-untyped-def]
        calls.append(len(keys))
        return read(layout, keys, columns, table, thresholds)

    monkeypatch.setattr(RowLayout, "read", counted)
    messages = bursts(12)[-3 * PARTITIONS :]
    decided(RolloutEvaluator(POLICY), messages, [PARTITIONS])
    assert len(calls) <= 3 + 2
    assert sum(calls) <= 1.5 * sum(len(message.rows) for message in messages)


def test_a_message_that_cannot_be_is_refused_in_its_own_turn() -> None:
    messages = bursts(6)
    rows = messages[9].rows
    rows[0].pair.pairs = 1
    rows[0].stable.errors = 10**9
    poison = replaced(messages[9], rows)
    calm, evaluator = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    decided(calm, messages, [1])
    group = [*messages[:9], poison, *messages[9:]]
    for place, message in enumerate(group):
        following = group[place + 1 : place + 6]
        if message is poison:
            with pytest.raises(ValueError, match="more bad units"):
                evaluator.add(message, 0, following=following)
        else:
            evaluator.add(message, 400 * messages.index(message), following=following)
    assert evaluator.encode_state() == calm.encode_state()


def test_what_was_read_of_messages_that_never_come_does_no_harm() -> None:
    messages = bursts(12)
    calm, evaluator = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    decided(calm, messages, [1])
    rng = Random(1)
    for place, message in enumerate(messages):
        others = rng.sample(messages, 5)
        evaluator.add(message, 400 * place, following=others)
    assert evaluator.encode_state() == calm.encode_state()


def test_a_row_that_is_kept_does_not_keep_those_that_were_read_with_it() -> None:
    state = RolloutState.begin(POLICY, checks_of(POLICY))
    ahead = state.ahead["events"]
    first, *others = [ahead.usable(message, ()) for message in bursts(4)]
    (vector,) = ahead.read(first, [0], others, state.table, {}).vectors
    assert vector.base is None
