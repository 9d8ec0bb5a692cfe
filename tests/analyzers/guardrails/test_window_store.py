"""However versions are chopped, repeated and read again, counts and evidence are the same."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.analyzers.guardrails.world import World, message, replaced
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.state import decode_state
from understudy.analyzers.windows.rows import total
from understudy.schemas.manifests import read_policy
from understudy.schemas.windows import SECTIONS, WindowRow, WindowsMessage

POLICY = read_policy(
    """
rollout_id: helpdesk
models: {stable: a, candidate: b}
guardrails:
  - {metric: error_rate, max_increase: 1pp}
  - {metric: json_valid_rate, min: 90%, slices: [all, each language, each workflow]}
  - {metric: duration_p95, max: 3s}
  - {metric: cost_usd, max_increase: 10%}
  - {metric: similarity_excess, max: 5pp}
  - {metric: unmatched_share, max: 5%}
"""
)
WORLD = World(requests=30)


def rows_of(seed: int, windows: int = 8) -> list[WindowRow]:
    return [row for one in WORLD.messages(seed, windows) for row in one.rows]


def versions_of(seed: int, windows: int = 6, most: int = 4) -> list[list[WindowRow]]:
    """Of each row its versions, as requests come in, the last one closed."""
    rng = random.Random(seed)
    parts = [rows_of(100 * seed + part, windows) for part in range(most)]
    histories = []
    for pieces in zip(*parts, strict=True):
        kept = pieces[: rng.randint(1, most)]
        sums = [total(kept[: n + 1]) for n in range(len(kept))]
        history = [
            msgspec.structs.replace(
                pieces[0], closed=False, **{name: getattr(one, name) for name in SECTIONS}
            )
            for one in sums
        ]
        histories.append([*history, msgspec.structs.replace(history[-1], closed=True)])
    return histories


def chopped(histories: list[list[WindowRow]]) -> list[WindowsMessage]:
    """Messages that tell of the versions in turn, windows overlapping; all close in order."""
    flushes: dict[int, list[WindowRow]] = {}
    for place, history in enumerate(histories):
        for step, row in enumerate(history):
            at = place // 2 + (8 if row.closed else step)
            flushes.setdefault(at, []).append(row)
    return [message(flushes[at], version=at + 1) for at in sorted(flushes)]


def closed_at_once(histories: list[list[WindowRow]]) -> list[WindowsMessage]:
    """Messages that tell of each window once, when it is closed."""
    last = [history[-1] for history in histories]
    width = len(WORLD.languages)
    windows = [last[at : at + width] for at in range(0, len(last), width)]
    return [message(rows, version=v + 1) for v, rows in enumerate(windows)]


def counts_of(
    evaluator: RolloutEvaluator,
) -> dict[tuple[str, str], tuple[dict[str, int | float], int]]:
    evidence = evaluator.decision().evidence
    return {(e.guardrail, e.slice): (e.statistics, e.units_closed) for e in evidence}


def assert_alike(one: RolloutEvaluator, other: RolloutEvaluator) -> None:
    """All counts are equal; sums of measured values but for the order of adding."""
    ours, theirs = counts_of(one), counts_of(other)
    assert ours.keys() == theirs.keys()
    for place, (sums, closed) in ours.items():
        assert theirs[place] == (pytest.approx(sums, rel=1e-12), closed)


def applied(messages: list[WindowsMessage]) -> RolloutEvaluator:
    evaluator = RolloutEvaluator(POLICY)
    for one in messages:
        evaluator.take(one)
    return evaluator


@pytest.mark.parametrize("seed", range(4))
def test_any_chopping_gives_the_same_counts(seed: int) -> None:
    histories = versions_of(seed)
    whole, parts = applied(closed_at_once(histories)), applied(chopped(histories))
    assert counts_of(parts) == counts_of(whole)
    assert parts.decision().stage == whole.decision().stage
    assert parts.decision().quality == whole.decision().quality


@pytest.mark.parametrize("seed", range(4))
def test_what_is_read_twice_changes_nothing(seed: int) -> None:
    messages = chopped(versions_of(seed))
    once, twice = RolloutEvaluator(POLICY), RolloutEvaluator(POLICY)
    for place, one in enumerate(messages):
        once.take(one)
        twice.take(one)
        for again in messages[max(0, place - 6) : place + 1]:
            assert twice.take(again) is None
    assert twice.encode_state() == once.encode_state()


def test_a_worker_that_reads_again_changes_nothing_even_hours_later() -> None:
    messages = chopped(versions_of(1, windows=20))
    evaluator = applied(messages)
    before = evaluator.encode_state()
    for one in messages:
        # Read again, its flushes fall elsewhere: the versions of open rows differ.
        moved = [r if r.closed else msgspec.structs.replace(r, version=r.version - 1)
                 for r in one.rows]  # fmt: skip
        assert evaluator.take(replaced(one, rows=moved)) is None
    assert evaluator.encode_state() == before


def test_one_flush_may_come_in_several_messages() -> None:
    rows = rows_of(3, windows=4)
    together = applied([message(rows, version=9)])
    apart = applied([message([row], version=9) for row in reversed(rows)] * 2)
    assert_alike(apart, together)


def test_partitions_do_not_wait_for_each_other() -> None:
    left, right = World(requests=30), World(requests=30, partition=1)
    both = [*left.messages(1, 6), *right.messages(2, 6)]
    mixed = [both[place] for place in (0, 6, 7, 1, 2, 8, 9, 10, 3, 11, 4, 5)]
    assert_alike(applied(mixed), applied(both))
    assert applied(mixed).decision().partitions == {0: 6, 1: 6}


def test_the_open_rows_kept_are_those_that_are_open() -> None:
    evaluator = applied(chopped(versions_of(5)))
    state = decode_state(POLICY, checks_of(POLICY), evaluator.encode_state())
    (partition,) = state.stores["events"].partitions.values()
    assert (partition.rows, state.stores["events"].starts()) == ({}, [])


def test_counts_that_shrink_are_refused_and_change_nothing() -> None:
    early, *_, late = max(versions_of(2), key=len)
    evaluator = applied([message([msgspec.structs.replace(late, closed=False)], version=1)])
    before = evaluator.encode_state()
    with pytest.raises(ValueError, match="holds less"):
        evaluator.take(message([early], version=2))
    assert evaluator.encode_state() == before


def test_invalid_events_of_no_mode_are_nobodys_evidence() -> None:
    row = msgspec.structs.replace(rows_of(2, windows=1)[0], mode=None)
    evaluator = applied([message([row], version=1)])
    assert all(units == 0 for _, units in counts_of(evaluator).values())


def test_another_rollouts_message_is_refused() -> None:
    other = msgspec.structs.replace(message(rows_of(1, windows=1), version=1), rollout_id="x")
    with pytest.raises(ValueError, match="about x"):
        RolloutEvaluator(POLICY).take(other)
