"""Reading again from a committed offset gives the same rows, whatever was killed and when.

Random logs (see `random_logs`) are read by workers that are killed at random positions, with sinks
that may hold more than was committed (torn flushes). What the sinks hold at the end equals what one
undisturbed worker would have written, to the byte.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.streams.pairing.kills import (
    FAR_MS,
    Sinks,
    Worker,
    cut_anywhere,
    differences_between,
    disturbed,
    killed_everywhere,
    undisturbed,
)
from tests.streams.pairing.log import event
from tests.streams.pairing.random_logs import Shape, random_log, request_sides
from understudy.analyzers.windows.rows import total
from understudy.streams.pairing import conversations
from understudy.streams.pairing.conversations import Conversations
from understudy.streams.pairing.earlier_answers import EarlierAnswers
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.join import Join, JoinOutput, RequestSides
from understudy.streams.pairing.pairing_policy import PairingPolicy

POLICY = PairingPolicy(
    window_s=2, join_timeout_s=6, allowed_lateness_s=7, request_time_tolerance_s=1, retry_grace_s=1
)
SMALL_POLICY = dataclasses.replace(POLICY, max_join_bytes=4_000)
"""The join looks back about a dozen events: often less than its timeout."""


def differences(
    seed: int, shape: Shape | None = None, policy: PairingPolicy = POLICY
) -> list[tuple[Any, ...]]:
    """Keys of rows that differ, and the pairs that were not stored."""
    rng = random.Random(seed)
    log = random_log(rng, 60, shape)
    return differences_between(undisturbed(log, policy), disturbed(log, rng, policy))


@pytest.mark.parametrize("seed", range(100))
def test_kills_do_not_show(seed: int) -> None:
    assert differences(seed) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(Shape(disagreeing=0.25), id="disagreeing"),
        pytest.param(Shape(reused=0.7), id="reused"),
        pytest.param(Shape(reused=0.5, paused=0.4), id="paused"),
        pytest.param(Shape(skewed=0.9, reused=0.4), id="skewed"),
        pytest.param(Shape(retried=0.9, reused=0.2), id="retried"),
        pytest.param(Shape(ahead=0.2, reused=0.3), id="ahead"),
        pytest.param(Shape(conversing=1.0, skewed=0.5, reused=0.3), id="conversing"),
    ],
)
@pytest.mark.parametrize("policy", [POLICY, SMALL_POLICY], ids=["time", "bytes"])
def test_kills_do_not_show_in_unruly_logs(shape: Shape, policy: PairingPolicy) -> None:
    """A record may meet one that is not read again; what it then ends as must be settled."""
    assert [seed for seed in range(60) if differences(seed, shape, policy)] == []


UNRULY = Shape(disagreeing=0.1, reused=0.4, paused=0.2, skewed=0.4, retried=0.4)


@pytest.mark.parametrize("policy", [POLICY, SMALL_POLICY], ids=["time", "bytes"])
def test_where_batches_are_cut_does_not_show(policy: PairingPolicy) -> None:
    for seed in range(12):
        rng = random.Random(seed)
        log = random_log(rng, 80, UNRULY)
        whole = undisturbed(log, policy)
        reasons = {one[2] for one in whole.outcomes if one[0] == "unmatched"}
        for longest in (1, 3, 40):
            cut = cut_anywhere(log, rng, policy, longest)
            assert differences_between(whole, cut) == [], (seed, longest)
    assert "timeout" in reasons
    assert ("memory" in reasons) is (policy is SMALL_POLICY)


def test_every_event_is_counted_once() -> None:
    for seed in range(50):
        log = random_log(random.Random(seed), 80)
        worker = Worker(log, Sinks(), POLICY)
        worker.read_to(len(log))
        worker.flush()
        events = msgspec.to_builtins(total(worker.sinks.rows.values()).events)
        assert sum(events.values()) + worker.state.waiting_sides == len(log), seed


def log_of(*arrivals: tuple[float, bytes]) -> list[bytes]:
    """Payloads in the order of their times, among a steady traffic of others."""
    others = [(at_s, event(f"other{at_s}", at_s=at_s)) for at_s in range(60)]
    return [payload for _, payload in sorted([*arrivals, *others])]


def pair(name: str, at_s: float, wait_s: float = 0.1) -> tuple[tuple[float, bytes], ...]:
    return (at_s, event(name, at_s=at_s)), (at_s + wait_s, event(name, "candidate", at_s))


def test_a_pair_id_used_again_after_a_quiet_pause_is_a_new_pair() -> None:
    """Nothing between: the record that shows the pause is the one that is judged."""
    log = [payload for at_s in (0.0, 9.5) for _, payload in pair("a", at_s)]
    whole = total(undisturbed(log, POLICY).rows.values())
    assert msgspec.to_builtins(whole.events) == {"paired": 4}
    assert whole.pair.pairs == 2
    assert killed_everywhere(log, POLICY) == []


AGAIN = log_of(*(one for number in range(6) for one in pair("a", 10.0 + 5.4 * number)))
"""Each within the join timeout of the one before, and beyond it of the one before that."""
SLOW_PARTNER = log_of(*pair("a", 10.0), *pair("a", 15.4, wait_s=5.9))
SKEWED = log_of(
    (10.0, event("a", at_s=10.0)), (10.5, event("a", "candidate", at_s=11.0)),
    (16.5, event("a", at_s=16.9)), (17.2, event("a", "candidate", at_s=17.7)),
    (23.4, event("a", at_s=23.6)), (23.5, event("a", "candidate", at_s=23.6)),
)  # fmt: skip

AT_THE_LIMITS = log_of(
    *pair("a", 11.0), (17.0, event("a", at_s=17.0)), (18.0, event("a", "candidate", at_s=18.0))
)
"""The third one just disagrees with the pair, and would just join the fourth one."""


@pytest.mark.parametrize("log", [AGAIN, SLOW_PARTNER, SKEWED, AT_THE_LIMITS])
def test_a_record_that_meets_one_which_is_not_read_again(log: list[bytes]) -> None:
    assert killed_everywhere(log, POLICY) == []


def found(shape: Shape | None = None, seeds: range = range(150)) -> bool:
    """Whether any of the seeds shows a difference."""
    return any(differences(seed, shape) for seed in seeds)


def test_mutation_a_shorter_horizon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        PairingPolicy, "horizon_ms", property(lambda self: self.join_timeout_ms), raising=True
    )
    assert found()


def test_mutation_counting_closed_windows_again_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Partition, "_is_unwritten", lambda self, time_ms: False)
    assert found()


def test_mutation_duplicates_by_arrival_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Partition._count_ended

    def by_arrival(self: Partition, ended: Any, record: Any, time_ms: int) -> None:
        honest(self, ended, record, self.watermark_ms or time_ms)

    monkeypatch.setattr(Partition, "_count_ended", by_arrival)
    assert found()


def test_mutation_looking_back_from_the_watermark_alone_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Join._evict_if_behind

    def by_watermark(self: Join, entry: Any, oldest_ms: int, joined: JoinOutput) -> bool:
        rises = joined.steps.values_ms
        before_ms = rises[-2] if len(rises) > 1 else entry.request_time_ms
        return honest(self, entry, min(oldest_ms, before_ms - 6_000), joined)

    monkeypatch.setattr(Join, "_evict_if_behind", by_watermark)
    assert found(Shape(reused=0.7, paused=0.4))


def test_mutation_a_look_back_from_the_first_side_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Join, "_is_forgotten", lambda self, ended, oldest_ms: True)
    assert killed_everywhere(AGAIN, POLICY) != []


def test_mutation_disagreements_by_arrival_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_arrival(self: Partition, letter: Any, event: Any, time_ms: int, outcome: Any) -> None:
        self._count_invalid(letter, event, max(time_ms, self.watermark_ms or 0), outcome)

    monkeypatch.setattr(Partition, "_count_disagreeing", by_arrival)
    assert found(Shape(disagreeing=0.25, reused=0.7))


def test_mutation_superseded_by_arrival_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Partition._count_ended

    def by_arrival(self: Partition, ended: Any, record: Any, time_ms: int) -> None:
        at_ms = (self.watermark_ms or time_ms) if ended == "superseded" else time_ms
        honest(self, ended, record, at_ms)

    monkeypatch.setattr(Partition, "_count_ended", by_arrival)
    assert found(Shape(retried=0.9))


def test_mutation_a_grace_that_begins_with_the_batch_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Partition.process

    def process(self: Partition, records: Any) -> Any:
        at_ms = self.watermark_ms or 0
        keep_open = Join._keep_open
        with monkeypatch.context() as patch:
            patch.setattr(Join, "_keep_open", lambda s, e, v, b, _: keep_open(s, e, v, b, at_ms))
            return honest(self, records)

    monkeypatch.setattr(Partition, "process", process)
    assert found(Shape(retried=0.9))


def test_mutation_a_horizon_without_the_tolerance_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PairingPolicy, "horizon_ms", property(lambda self: 2_000 + 7_000 + 6_000))
    assert killed_everywhere(AT_THE_LIMITS, POLICY) != []


def test_mutation_slices_that_requests_leave_are_not_drawn_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request may have waited in another slice than the one that it is counted in."""
    monkeypatch.setattr(Partition, "leave_slices", lambda self, requests, rows: None)
    assert found(Shape(untold=0.9))


def test_mutation_a_language_that_the_first_side_to_be_drawn_tells_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_any_side(self: Join, entry: Any, event: Any) -> None:
        entry.first = event

    monkeypatch.setattr(Join, "_note_untold", by_any_side)
    assert found(Shape(untold=0.9))


CONVERSING = Shape(conversing=1.0, turns=12, reused=0.05, paused=0.1)
A_TURN: dict[str, Any] = {"conversation_id": "c", "turn": 2}
A_TURN_THAT_DISAGREES = log_of(
    (4.0, event("a", at_s=4.0)),
    *((10.0, event("a", side, at_s=10.0, **A_TURN)) for side in ("stable", "candidate")),
    *((16.0, event("b", side, at_s=16.0, **A_TURN)) for side in ("stable", "candidate")),
)
"""With the first record; without it, it would be a pair, and multiplied with the one after it."""


def test_a_turn_that_meets_a_record_which_is_not_read_again() -> None:
    assert killed_everywhere(A_TURN_THAT_DISAGREES, POLICY) == []


def test_mutation_a_horizon_without_the_reach_of_turns_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        PairingPolicy, "horizon_ms", property(lambda self: 2_000 + 7_000 + 6_000 + 1_000)
    )
    assert killed_everywhere(A_TURN_THAT_DISAGREES, POLICY) != []


def test_mutation_turns_of_settled_windows_are_not_measured_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Partition, "_meets_later_turns", lambda self, entry: False)
    assert found(CONVERSING)


def test_mutation_pairs_of_turns_in_the_earlier_ones_window_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Conversations._pairs

    def swapped(self: Conversations, new: Any, others: Any) -> Any:
        later, earlier = honest(self, new, others)
        return earlier, later

    monkeypatch.setattr(Conversations, "_pairs", swapped)
    assert found(CONVERSING)


def test_mutation_pairs_of_turns_by_when_they_are_complete_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pair that its control never completes ends with a batch."""
    honest = Conversations._pairs

    def by_completion(self: Conversations, new: Any, others: Any) -> Any:
        self._arrays["request_time_ms"], times_ms = (
            np.arange(len(self._arrays["request_time_ms"])),
            self._arrays["request_time_ms"],
        )
        later, earlier = honest(self, new, others)
        self._arrays["request_time_ms"] = times_ms
        return later, earlier

    monkeypatch.setattr(Conversations, "_pairs", by_completion)
    assert found(CONVERSING)


def test_mutation_taking_part_by_all_that_is_read_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rather than within an interval that the horizon reaches further back."""
    honest = conversations.TurnCounter.takes_part

    def at_any_time(self: Any, conversation: str, request_time_ms: int) -> bool:
        return honest(self, conversation, FAR_MS)

    monkeypatch.setattr(conversations, "MOST_TURNS", 6)
    monkeypatch.setattr(conversations.TurnCounter, "takes_part", at_any_time)
    assert found(dataclasses.replace(CONVERSING, turns=100))


@pytest.mark.slow
@pytest.mark.parametrize("most_turns", [1, 2])
@pytest.mark.parametrize("policy", [POLICY, SMALL_POLICY], ids=["time", "bytes"])
def test_kills_do_not_show_in_conversations(
    policy: PairingPolicy, most_turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor which of their requests take part."""
    monkeypatch.setattr(conversations, "MOST_TURNS", most_turns)
    assert [seed for seed in range(60) if differences(seed, CONVERSING, policy)] == []


REPEATING = Shape(
    says=("That was shipped on Monday and comes soon.", "That is out of stock until Thursday."),
    reused=0.05, paused=0.1, conversing=0.9, turns=12,
)  # fmt: skip
"""Two sentences for everything: half of the answers are what the others do not say."""
SAME = {"response": {"output": REPEATING.says[0]}}
OTHER = {"response": {"output": REPEATING.says[1]}}
A_REPEATED_ANSWER = log_of(
    (4.0, event("a", at_s=4.0)),
    (10.0, event("a", at_s=10.0, **OTHER)),
    (10.0, event("a", "candidate", at_s=10.0, **SAME)),
    *(
        (at_s, event(f"t{at_s}", side, at_s=at_s, conversation_id="c", turn=int(at_s), **answer))
        for at_s in (16.0, 22.0)
        for side, answer in (("stable", {}), ("candidate", SAME))
    ),
)
"""With the first record, which disagrees with it; without it the second would be a pair, the third
one repeat its answer, and the fourth be multiplied with that."""


def test_an_answer_that_is_held_against_a_record_which_is_not_read_again() -> None:
    assert killed_everywhere(A_REPEATED_ANSWER, POLICY) == []


@pytest.mark.parametrize("policy", [POLICY, SMALL_POLICY], ids=["time", "bytes"])
def test_kills_and_cuts_do_not_show_in_constant_answers(policy: PairingPolicy) -> None:
    log = random_log(random.Random(0), 60, REPEATING)
    whole = total(undisturbed(log, policy).rows.values())
    assert 0 < whole.candidate.constant_answers < whole.candidate.constant_checked
    assert [seed for seed in range(40) if differences(seed, REPEATING, policy)] == []
    for seed in range(20):
        cut = cut_anywhere(log, random.Random(seed), policy, longest=20)
        assert differences_between(undisturbed(log, policy), cut) == []


def test_mutation_a_horizon_without_the_reach_of_answers_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PairingPolicy, "_influence_ms", 6_000 + 1_000 + 6_000 + 500)
    assert killed_everywhere(A_REPEATED_ANSWER, POLICY) != []


def test_mutation_answers_held_against_all_that_came_before_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rather than within the reach that recovery reads again."""
    monkeypatch.setattr(PairingPolicy, "answer_reach_ms", property(lambda self: 10**9))
    monkeypatch.setattr(PairingPolicy, "_influence_ms", 13_500)
    assert found(REPEATING)


def test_mutation_answers_in_the_order_in_which_batches_end_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pair that its control never completes ends with a batch."""
    honest = EarlierAnswers.take

    def all_of_them(self: EarlierAnswers, entries: Iterable[RequestSides]) -> None:
        for entry in entries:
            entry.is_whole = True
        honest(self, entries)

    monkeypatch.setattr(EarlierAnswers, "take", all_of_them)
    assert found(REPEATING)


def _row_bytes(log: list[bytes]) -> dict[tuple[Any, ...], bytes]:
    sinks = undisturbed(log, POLICY)
    return {
        key: msgspec.json.encode(msgspec.structs.replace(row, version=0))
        for key, row in sinks.rows.items()
    }


ORDERLY = Shape(disagreeing=0.0, skewed=0.0, retried=0.0, untold=0.0)


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=60)
def test_the_order_of_sides_does_not_show(seed: int, rng: random.Random) -> None:
    """Any order, duplication and interleaving of sides within the timeouts: the same windows.

    But for answers held against those that were read before them.
    """
    maker = random.Random(seed)
    sides = [
        side
        for number in range(12)
        for _, side in request_sides(maker, number, maker.random() * 5.9, ORDERLY)
    ]
    shuffled = list(sides)
    rng.shuffle(shuffled)
    assert _comparable(_row_bytes(shuffled)) == _comparable(_row_bytes(sides))
    copies = [*shuffled, *rng.choices(shuffled, k=5)]
    rng.shuffle(copies)
    assert _comparable(_row_bytes(copies)) == _comparable(_row_bytes(sides))


def _comparable(rows: dict[tuple[Any, ...], bytes]) -> dict[tuple[Any, ...], Any]:
    """Without duplicates, and without what depends on the order of the log."""
    documents = {key: msgspec.json.decode(row) for key, row in rows.items()}
    for document in documents.values():
        document.get("events", {}).pop("duplicate", None)
    return {
        key: {
            section: _without_constants(sums) if isinstance(sums, dict) else sums
            for section, sums in document.items()
        }
        for key, document in documents.items()
    }


def _without_constants(sums: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sums.items() if not name.startswith("constant_")}
