"""The decision processor without Faust: what it does with a message, and in which order."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
import structlog

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.streams.deciding.fake_port import ROLLOUTS, WINDOWS, FakeMessage, FakePort
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, decode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import (
    RolloutRecord,
    decode_rollout_record,
    encode_rollout_record,
)
from understudy.schemas.windows import WindowsMessage, windows_message
from understudy.streams.deciding import processor
from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.policy_barrier import PolicyBarrier
from understudy.streams.deciding.ports import RetriableSendError
from understudy.streams.deciding.processor import FIRST_RETRY_S, DecisionProcessor, Fenced
from understudy.streams.deciding.session_lease import SessionLease
from understudy.streams.deciding.snapshots import UnreadableSnapshot
from understudy.streams.deciding.state_store import NotInMemory, Output, look_request
from understudy.streams.kafka.unreadable import UnreadableBatch
from understudy.streams.zstd import zstd

SESSION_S = 60.0
NEVER_S = 3600.0
MESSAGES = [
    msgspec.json.encode(message)
    for message in World(harm=Harm(bad={"error": 0.08})).messages(3, 20)
]
CALM = [msgspec.json.encode(message) for message in World(harm=Harm()).messages(3, 6)]
"""The first leads to a decision, the others to none."""
POLICY = encode_rollout_record(
    RolloutRecord(
        manifest=read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
independent_requests: true
guardrails: [{{metric: error_rate, max_increase: 1pp}}]
""")
    )
)


@dataclass
class Bench:
    """A processor on a fake port, with a policy applied or not."""

    checkpoint_interval_s: float = NEVER_S
    max_unsaved_bytes: int = 1 << 30
    look_after_s: float = NEVER_S
    most_gathered: int = 1
    """Each message is applied when its call returns."""
    port: FakePort = field(default_factory=FakePort)
    now_s: float = 1000.0
    given_up: list[BaseException] = field(default_factory=list)
    is_stopping: bool = False

    def __post_init__(self) -> None:
        self.lease = SessionLease(SESSION_S, lambda: self.now_s)
        self.lease.renew(self.now_s)
        self.progress = DecidingProgress()
        self.processor = DecisionProcessor(
            self.port, self.port, PolicyBarrier(self.port, lambda: self.is_stopping),
            self.lease, self.progress, self.given_up.append,
            checkpoint_interval_s=self.checkpoint_interval_s,
            max_unsaved_bytes=self.max_unsaved_bytes,
            look_after_s=self.look_after_s,
            most_gathered=self.most_gathered,
        )  # fmt: skip

    async def apply(self, record: bytes | None = POLICY, offset: int = 0) -> None:
        await self.processor.process_record(self.record(record, offset))

    async def begin(self) -> None:
        """Have a policy and evidence, all of it saved."""
        await self.apply()
        await self.take(CALM[:1])

    def record(self, value: bytes | None = POLICY, offset: int = 0) -> FakeMessage:
        return self.port.message(ROLLOUTS, offset, value)

    async def take(self, values: list[bytes], first: int = 0) -> None:
        for offset, value in enumerate(values, first):
            await self.processor.process_windows(self.port.message(WINDOWS, offset, value))

    def happened_since(self, count: int) -> list[str]:
        return self.port.kinds[count:]


def decide(work: Callable[[Bench], Awaitable[None]], bench: Bench | None = None) -> Bench:
    """Run some work with a bench, in an event loop."""
    bench = bench or Bench()

    async def run() -> None:
        await work(bench)

    asyncio.run(run())
    return bench


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has happened in the event loop."""
    async with asyncio.timeout(10.0):
        while not condition():
            await asyncio.sleep(0.005)


def decisions(bench: Bench) -> list[Decision | None]:
    return [
        decode_decision(value) if isinstance(value, bytes) else None
        for kind, value in bench.port.happened
        if kind == "emit"
    ]


def test_a_decision_is_emitted_then_saved_then_acknowledged() -> None:
    bench = decide(Bench.apply)
    assert bench.port.happened[0][0] == "emit"
    assert bench.port.happened[1:] == [("save", (b"helpdesk", 3)), ("acknowledge", 0)]
    assert list(bench.port.snapshots) == [b"helpdesk"]
    assert bench.given_up == []


def test_decisions_come_at_once_and_with_them_the_only_checkpoints() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        before = len(bench.port.happened)
        await bench.take(MESSAGES)
        happened = bench.happened_since(before)
        assert all(happened[at + 1] == "save" for at, kind in enumerate(happened) if kind == "emit")
        assert happened.count("save") == happened.count("emit") < len(MESSAGES)
        bench.processor.hand_over()
        await asyncio.sleep(0.01)

    bench = decide(work)
    last = decisions(bench)[-1]
    assert last is not None
    assert last.verdict == "rollback"
    assert bench.port.kinds.count("save") == bench.port.kinds.count("emit") + 1
    acknowledged = [at for kind, at in bench.port.happened if kind == "acknowledge"]
    assert acknowledged == [0, *range(20)]
    assert bench.progress.decisions == len(decisions(bench))
    assert bench.progress.messages == {ROLLOUTS: 1, WINDOWS: 20}
    assert bench.processor.applied_offsets == {(ROLLOUTS, 3): 1, (WINDOWS, 3): 20}


def test_a_checkpoint_follows_soon_without_further_messages() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:3], 1)
        async with asyncio.timeout(10):
            while bench.port.happened[-1] != ("acknowledge", 2):
                await asyncio.sleep(0.01)

    decide(work, Bench(checkpoint_interval_s=1.0))


OTHER = POLICY.replace(ROLLOUT.encode(), b"frontdesk")
OF_OTHER = [one.replace(ROLLOUT.encode(), b"frontdesk") for one in CALM]


def of_other(bench: Bench, topic: str, offset: int, value: bytes) -> FakeMessage:
    message = bench.port.message(topic, offset, value)
    message.key = b"frontdesk"
    return message


def test_each_rollout_is_saved_by_itself_at_a_time_of_its_own() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.processor.process_record(of_other(bench, ROLLOUTS, 1, OTHER))
        await bench.take(CALM[:1])
        await bench.processor.process_windows(of_other(bench, WINDOWS, 1, OF_OTHER[0]))
        before = len(bench.port.happened)
        await bench.take(CALM[1:2], 2)
        await bench.processor.process_windows(of_other(bench, WINDOWS, 3, OF_OTHER[1]))
        await until(lambda: bench.happened_since(before).count("acknowledge") == 2)
        saves = [what for kind, what in bench.port.happened[before:] if kind == "save"]
        assert sorted(saves) == [(b"frontdesk", 3), (b"helpdesk", 3)]
        assert bench.happened_since(before) == ["save", "acknowledge"] * 2

    decide(work, Bench(checkpoint_interval_s=1.0))


def test_a_record_saves_its_own_rollout_alone() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.processor.process_record(of_other(bench, ROLLOUTS, 1, OTHER))
        await bench.take(MESSAGES[:1])
        before = len(bench.port.happened)
        await bench.processor.process_record(of_other(bench, ROLLOUTS, 2, OTHER))
        assert bench.port.happened[before:] == [("save", (b"frontdesk", 3)), ("acknowledge", 2)]

    decide(work)


def test_what_changes_nothing_is_acknowledged_at_once() -> None:
    async def work(bench: Bench) -> None:
        await bench.take(MESSAGES[:2])
        await bench.take([b"no message"], 2)
        kinds = ["acknowledge", "acknowledge", "dead_letter", "acknowledge"]
        assert bench.port.kinds == kinds

    decide(work)


def test_so_many_bytes_are_not_left_unsaved() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        before = len(bench.port.happened)
        await bench.take(CALM[1:6], 1)
        assert bench.happened_since(before).count("save") == 1
        assert bench.happened_since(before).count("acknowledge") == 3

    decide(work, Bench(max_unsaved_bytes=2 * max(map(len, CALM))))


def test_a_record_keeps_its_place_by_checkpoints_around_it() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:3], 1)
        before = len(bench.port.happened)
        await bench.apply(POLICY, 1)
        assert bench.happened_since(before) == [
            "save", "acknowledge", "acknowledge", "save", "acknowledge",
        ]  # fmt: skip

    decide(work)


def test_a_deletion_deletes_decision_and_snapshot() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.apply(None, 1)

    bench = decide(work)
    assert decisions(bench)[-1] is None
    assert bench.port.snapshots == {}


def test_what_kafka_does_not_take_this_time_is_sent_again() -> None:
    async def work(bench: Bench) -> None:
        bench.port.failures += [RetriableSendError("not now"), RetriableSendError("nor now")]
        await bench.apply()

    bench = decide(work)
    assert bench.port.kinds == ["emit", "save", "acknowledge"]
    assert bench.given_up == []


def test_attempts_to_send_lie_further_and_further_apart() -> None:
    async def work(bench: Bench) -> None:
        bench.port.failures += [RetriableSendError("not now")] * 4
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        await bench.apply()
        assert clock() - begun_s >= FIRST_RETRY_S * (1 + 2 + 4 + 8) / 2

    assert decide(work).port.kinds == ["emit", "save", "acknowledge"]


def test_nothing_is_sent_again_before_the_lease_is_renewed() -> None:
    async def work(bench: Bench) -> None:
        bench.now_s += SESSION_S
        applying = asyncio.ensure_future(bench.apply())
        await asyncio.sleep(0.2)
        assert bench.port.happened == []
        bench.lease.renew(bench.now_s)
        await asyncio.wait_for(applying, 10)

    assert decide(work).port.kinds == ["emit", "save", "acknowledge"]


@pytest.mark.parametrize("sent", [0, 1])
def test_what_kafka_refuses_ends_it_with_nothing_acknowledged(sent: int) -> None:
    """The decision is refused, or the checkpoint after it."""
    refusal = ValueError("message too large")

    async def work(bench: Bench) -> None:
        if sent:
            bench.port.failures = _AfterSome(sent, refusal)
        else:
            bench.port.failures.append(refusal)
        await bench.apply()
        await bench.take(MESSAGES[:2])

    bench = decide(work)
    assert bench.given_up == [refusal]
    assert bench.port.kinds == ["emit"] * sent + ["abandon"] * 3


class _AfterSome(list[BaseException]):
    """Failures that begin after some messages were sent."""

    def __init__(self, sent: int, failure: BaseException) -> None:
        super().__init__([failure])
        self._left = sent

    def __bool__(self) -> bool:
        self._left -= 1
        return self._left < 0 and len(self) > 0


def test_an_invalid_message_is_a_dead_letter_and_deciding_goes_on() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take([b"no JSON", *MESSAGES])
        await bench.apply(b"{}", 1)

    bench = decide(work)
    letters = [letter for kind, letter in bench.port.happened if kind == "dead_letter"]
    assert [(offset, reason) for offset, reason, _ in letters] == [  # type: ignore[misc]
        (0, "invalid_windows"), (1, "invalid_rollout"),
    ]  # fmt: skip
    assert bench.progress.dead_letters == {"invalid_windows": 1, "invalid_rollout": 1}
    last = decisions(bench)[-1]
    assert last is not None
    assert last.verdict == "rollback"
    assert [at for kind, at in bench.port.happened if kind == "acknowledge"][-2:] == [20, 1]


def test_a_batch_that_cannot_be_unpacked_is_a_dead_letter_whichever_topic() -> None:
    async def work(bench: Bench) -> None:
        for topic, process in (
            (WINDOWS, bench.processor.process_windows),
            (ROLLOUTS, bench.processor.process_record),
        ):
            message = bench.port.message(topic, 8, None)
            message.unreadable = UnreadableBatch(5, 9, "too large")
            await process(message)

    bench = decide(work)
    letters = [letter for kind, letter in bench.port.happened if kind == "dead_letter"]
    assert letters == [(8, "unreadable", "offsets 5 to 8: too large")] * 2
    assert bench.progress.dead_letters == {"unreadable": 2}
    assert bench.port.kinds.count("acknowledge") == 2


def test_a_message_that_makes_evaluation_raise_is_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("half-way")

    async def work(bench: Bench) -> None:
        await bench.apply()
        monkeypatch.setattr(RolloutEvaluator, "add", fail)
        await bench.take(MESSAGES[:1])

    bench = decide(work)
    assert bench.port.happened[-2:] == [
        ("dead_letter", (0, "deciding_failed", "ZeroDivisionError('half-way')")),
        ("acknowledge", 0),
    ]
    assert bench.given_up == []


def test_what_the_message_is_not_to_blame_for_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    async def work(bench: Bench) -> None:
        await bench.apply()
        monkeypatch.setattr(RolloutEvaluator, "add", fail)
        await bench.take(MESSAGES[:1])

    bench = decide(work)
    assert [str(error) for error in bench.given_up] == ["no room"]
    assert bench.port.happened[-1] == ("abandon", 0)


def test_a_worker_whose_session_may_have_run_out_is_fenced() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:4], 1)
        before = len(bench.port.happened)
        bench.now_s += SESSION_S
        bench.processor.hand_over()
        await asyncio.sleep(0.01)
        assert bench.port.happened[before:] == [("abandon", 1), ("abandon", 2), ("abandon", 3)]

    bench = decide(work)
    assert [type(error) for error in bench.given_up] == [Fenced]


def test_a_stop_saves_what_is_unsaved() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:3], 1)
        before = len(bench.port.happened)
        await bench.processor.stop(10.0)
        assert bench.happened_since(before) == ["save", "acknowledge", "acknowledge"]

    assert decide(work).given_up == []


def test_a_stop_abandons_what_it_cannot_save_in_time() -> None:
    """The lease has lapsed, and a consumer that is closing renews it no more."""

    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:3], 1)
        before = len(bench.port.happened)
        bench.now_s += SESSION_S
        await bench.processor.stop(0.1)
        bench.lease.renew(bench.now_s)
        await bench.take(CALM[3:4], 3)
        await asyncio.sleep(0.2)
        assert bench.port.happened[before:] == [("abandon", 1), ("abandon", 2), ("abandon", 3)]

    assert decide(work).given_up == []


@pytest.mark.filterwarnings("error")
def test_a_stop_abandons_what_waits_for_its_turn_too() -> None:
    async def work(bench: Bench) -> None:
        bench.port.failures += [RetriableSendError("the broker is away")] * 1_000
        waiting = [asyncio.ensure_future(bench.apply(POLICY, offset)) for offset in range(3)]
        await asyncio.sleep(0.1)
        await bench.processor.stop(0.1)
        await asyncio.wait(waiting, timeout=10)
        gc.collect()
        assert bench.port.happened == [("abandon", 0), ("abandon", 1), ("abandon", 2)]

    assert decide(work).given_up == []


def test_what_was_not_saved_before_partitions_change_hands_is_left_to_be_read_again() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        saved = dict(bench.port.snapshots)
        before = len(bench.port.happened)
        await bench.take(CALM[1:2], 1)
        bench.processor.clear()
        bench.processor.hand_over()
        await asyncio.sleep(0.1)
        assert bench.happened_since(before) == ["abandon"]
        assert bench.port.snapshots == saved

    assert decide(work).given_up == []


def test_what_is_not_in_memory_any_more_is_not_deleted_from_the_table() -> None:
    """Partitions change hands while a decision waits for Kafka to take it."""

    async def work(bench: Bench) -> None:
        await bench.apply()
        saved = dict(bench.port.snapshots)
        bench.port.failures += [RetriableSendError("the broker is away")] * 1_000
        changed = POLICY.replace(b"1pp", b"2pp")
        applying = asyncio.ensure_future(bench.apply(changed, 1))
        await asyncio.sleep(0.1)
        bench.processor.clear()
        bench.port.failures.clear()
        await asyncio.wait_for(applying, 10)
        assert bench.port.snapshots == saved
        assert ("acknowledge", 1) not in bench.port.happened

    assert [type(error) for error in decide(work).given_up] == [NotInMemory]


def test_each_rollout_without_a_policy_is_named_once_and_few_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processor, "MAX_NAMED_ROLLOUTS", 2)

    async def work(bench: Bench) -> None:
        for offset, rollout_id in enumerate(["a", "a", "b", "a", "c", "b", "a"]):
            value = msgspec.json.encode(
                windows_message([], rollout_id=rollout_id, partition=0, version=1)
            )
            message = bench.port.message(WINDOWS, offset, value)
            message.key = rollout_id.encode()
            await bench.processor.process_windows(message)

    with structlog.testing.capture_logs() as logs:
        bench = decide(work)
    named = [one["rollout_id"] for one in logs if one["event"] == "deciding.no_policy"]
    assert named == ["a", "b", "c", "a"]
    assert bench.progress.ignored_messages == 7


def test_windows_of_events_that_name_no_rollout_lack_no_policy() -> None:
    """Invalid events count in them, and nobody can apply a policy of no name."""

    async def work(bench: Bench) -> None:
        message = bench.port.message(WINDOWS, 0, CALM[0].replace(f'"{ROLLOUT}"'.encode(), b'""'))
        message.key = b""
        await bench.processor.process_windows(message)

    with structlog.testing.capture_logs() as logs:
        bench = decide(work)
    assert logs == []
    assert bench.progress.ignored_messages == 0
    assert bench.port.happened == [("acknowledge", 0)]


def test_a_hand_over_waits_for_a_broker_that_is_away() -> None:
    """For longer than the session: no other worker can have taken over without the broker."""

    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:2], 1)
        before = len(bench.port.happened)
        bench.port.failures.append(RetriableSendError("the broker is away"))
        bench.processor.hand_over()
        bench.now_s += 3 * SESSION_S
        await asyncio.sleep(0.2)
        assert bench.port.happened[before:] == []
        bench.lease.renew(bench.now_s)
        async with asyncio.timeout(10):
            while bench.happened_since(before) != ["save", "acknowledge"]:
                await asyncio.sleep(0.01)

    assert decide(work).given_up == []


def test_messages_that_come_during_a_hand_over_are_left_to_the_next_owner() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        before = len(bench.port.happened)
        bench.processor.hand_over()
        bench.now_s += SESSION_S
        await bench.take(MESSAGES[:1])
        await bench.apply(POLICY, 1)
        assert bench.port.happened[before:] == [("abandon", 0), ("abandon", 1)]
        bench.processor.clear()
        bench.lease.renew(bench.now_s)
        await bench.take(MESSAGES[:1])
        assert bench.progress.messages[WINDOWS] == 1

    assert decide(work).given_up == []


def test_when_the_event_loop_ends_unfinished_work_is_no_failure() -> None:
    """The process ends by itself, and what it did not save is read again."""

    async def work(bench: Bench) -> None:
        bench.now_s += SESSION_S
        asyncio.ensure_future(bench.apply())  # noqa: RUF006
        await asyncio.sleep(0.1)

    bench = decide(work)
    assert bench.given_up == []
    assert bench.port.happened == [("abandon", 0)]


def test_with_nothing_unsaved_partitions_go_whatever_the_lease_says() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        bench.now_s += SESSION_S
        bench.processor.hand_over()

    assert decide(work).given_up == []


def test_after_a_rebalance_state_comes_from_the_table() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(MESSAGES[:2])
        bench.processor.hand_over()
        await asyncio.sleep(0.01)
        bench.port.snapshots.clear()  # another worker has deleted the rollout
        bench.processor.clear()
        await bench.take(MESSAGES[2:], 2)

    bench = decide(work)
    assert bench.progress.ignored_messages == len(MESSAGES) - 2


def test_work_is_brought_to_its_end_though_its_caller_is_cancelled() -> None:
    """A rebalance cancels agents."""

    async def work(bench: Bench) -> None:
        bench.now_s += SESSION_S
        applying = asyncio.ensure_future(bench.apply())
        await asyncio.sleep(0.1)
        applying.cancel()
        await asyncio.sleep(0.1)
        bench.lease.renew(bench.now_s)
        async with asyncio.timeout(10):
            while bench.port.kinds != ["emit", "save", "acknowledge"]:
                await asyncio.sleep(0.01)

    decide(work)


def test_windows_wait_for_the_policies_that_exist() -> None:
    async def work(bench: Bench) -> None:
        bench.port.end = 2
        windows = asyncio.ensure_future(bench.take(MESSAGES))
        await bench.apply(POLICY, 0)
        await asyncio.sleep(0.1)
        assert bench.progress.messages[WINDOWS] == 0
        await bench.apply(POLICY, 1)
        await asyncio.wait_for(windows, 10)

    bench = decide(work)
    assert bench.progress.messages[WINDOWS] == len(MESSAGES)
    assert bench.progress.ignored_messages == 0


def test_windows_that_wait_are_abandoned_when_partitions_are_revoked() -> None:
    async def work(bench: Bench) -> None:
        bench.port.end = 1
        windows = asyncio.ensure_future(bench.take(MESSAGES[:1]))
        await asyncio.sleep(0.1)
        bench.processor.hand_over()
        await asyncio.wait_for(windows, 10)

    assert decide(work).port.happened == [("abandon", 0)]


# Gathering


def test_messages_of_a_burst_are_applied_together_in_their_order() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(CALM[:5])
        assert bench.progress.messages[WINDOWS] == 0, "the call returns before they are applied"
        await until(lambda: bench.progress.messages[WINDOWS] == 5)
        await bench.take(CALM[5:6], 5)
        before = len(bench.port.happened)
        bench.processor.hand_over()
        await until(lambda: "abandon" in bench.happened_since(before))
        await until(lambda: bench.port.kinds.count("acknowledge") == 1 + 5)
        acknowledged = [at for kind, at in bench.port.happened if kind == "acknowledge"]
        assert acknowledged[1:] == [0, 1, 2, 3, 4]
        assert [at for kind, at in bench.port.happened if kind == "abandon"] == [5]

    assert decide(work, Bench(most_gathered=100)).given_up == []


def test_decisions_are_the_same_however_many_are_gathered() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(MESSAGES)
        await until(lambda: bench.progress.messages[WINDOWS] == len(MESSAGES))

    alone = decide(work)
    assert decisions(alone)[-1] is not None
    for most in (3, 100):
        assert decisions(decide(work, Bench(most_gathered=most))) == decisions(alone)


def test_one_that_is_invalid_among_those_gathered_is_a_dead_letter_alone() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take([*MESSAGES[:3], b"no JSON", *MESSAGES[3:]])
        await until(lambda: bench.progress.messages[WINDOWS] == len(MESSAGES) + 1)

    async def calm(bench: Bench) -> None:
        await bench.apply()
        await bench.take(MESSAGES)

    bench = decide(work, Bench(most_gathered=100))
    assert bench.progress.dead_letters == {"invalid_windows": 1}
    verdicts = [one.verdict for one in decisions(bench) if one]
    assert verdicts == [one.verdict for one in decisions(decide(calm)) if one]


def test_messages_of_rollouts_that_write_at_once_are_applied_rollout_by_rollout() -> None:
    """The newest of a partition last, so that nothing seems to wait once all are applied."""

    def renamed(value: bytes, name: str) -> bytes:
        return value.replace(ROLLOUT.encode(), name.encode())

    async def take(bench: Bench, name: str, value: bytes, offset: int) -> None:
        message = bench.port.message(WINDOWS, offset, renamed(value, name))
        message.key = name.encode()
        await bench.processor.process_windows(message)

    async def work(bench: Bench) -> None:
        for number, name in enumerate(("one", "two")):
            record = bench.record(renamed(POLICY, name), number)
            record.key = name.encode()
            await bench.processor.process_record(record)
        applied = list[tuple[bytes, int]]()
        apply_windows = bench.processor._store.apply_windows

        def noting(key: bytes | None, payload: bytes | None, place: LogPlace) -> Output:
            applied.append((key or b"", place.offset))
            return apply_windows(key, payload, place)

        bench.processor._store.apply_windows = noting  # type: ignore[method-assign]
        order = [("two", 0), ("one", 0), ("two", 1), ("one", 1), ("one", 2), ("two", 2)]
        for offset, (name, number) in enumerate(order):
            await take(bench, name, CALM[number], offset)
        await until(lambda: bench.progress.messages[WINDOWS] == 6)
        assert [at for name, at in applied if name == b"one"] == [1, 3, 4]
        assert [at for name, at in applied if name == b"two"] == [0, 2, 5]
        assert [name for name, _ in applied] == [b"one"] * 3 + [b"two"] * 3
        assert bench.processor.applied_offsets[WINDOWS, 3] == 6

    assert decide(work, Bench(most_gathered=100)).given_up == []


def test_a_record_does_not_wait_until_all_that_were_gathered_are_applied() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(CALM)
        applying = bench.processor._apply_gathered()
        while not bench.progress.messages[WINDOWS]:
            await asyncio.sleep(0)
        await bench.apply(offset=1)
        assert not applying.done()
        await until(lambda: bench.progress.messages[WINDOWS] == len(CALM))

    assert decide(work, Bench(most_gathered=100)).given_up == []


def test_after_messages_that_are_cancelled_half_way_none_are_applied() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(CALM[:3])
        applying = bench.processor._apply_gathered()
        while not bench.progress.messages[WINDOWS]:
            await asyncio.sleep(0)
        await bench.take(CALM[3:], 3)
        applying.cancel()
        await asyncio.sleep(0.1)
        await bench.take(CALM[:1], len(CALM))
        await asyncio.sleep(0.1)

    bench = decide(work, Bench(most_gathered=100))
    assert bench.progress.messages[WINDOWS] == 1
    abandoned = [offset for kind, offset in bench.port.happened if kind == "abandon"]
    assert set(abandoned) == set(range(1, len(CALM) + 1)), "the first was applied and saved"


def test_messages_whose_task_never_ran_are_abandoned_with_all_after_them() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(CALM[:3])
        bench.processor._apply_gathered().cancel()
        await bench.take(CALM[3:], 3)
        await asyncio.sleep(0.1)

    bench = decide(work, Bench(most_gathered=100))
    assert bench.progress.messages[WINDOWS] == 0
    assert bench.port.kinds.count("abandon") == len(CALM)


def test_a_failure_between_messages_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        def announce(_: object) -> None:
            monkeypatch.undo()
            raise MemoryError

        await bench.apply()
        monkeypatch.setattr(bench.processor._store, "announce", announce)
        await bench.take(CALM[:3])
        await bench.processor._apply_gathered()
        await bench.take(CALM[3:], 3)
        await asyncio.sleep(0.1)

    bench = decide(work, Bench(most_gathered=100))
    assert [type(error) for error in bench.given_up] == [MemoryError]
    assert bench.progress.messages[WINDOWS] == 0


def test_the_newest_message_of_a_partition_is_the_last_applied_whatever_the_keys() -> None:
    """Else a lag would be shown that is none."""
    places = [(b"helpdesk", 3), (None, 3), (b"helpdesk", 4), (b"helpdesk", 3), (None, 4)]

    async def work(bench: Bench) -> None:
        await bench.apply()
        for offset, (key, partition) in enumerate(places):
            message = bench.port.message(WINDOWS, offset, CALM[offset])
            message.key, message.partition = key, partition
            await bench.processor.process_windows(message)
        await bench.processor._apply_gathered()

    bench = decide(work, Bench(most_gathered=100))
    applied = bench.processor.applied_offsets
    assert (applied[WINDOWS, 3], applied[WINDOWS, 4]) == (4, 5)
    assert bench.progress.messages[WINDOWS] == len(places)
    assert not any(bench.processor._store._decoded.values()), "nothing waits that never comes"


@pytest.mark.parametrize(("most", "most_bytes"), [(4, 1 << 30), (100, 4 * len(MESSAGES[0]))])
def test_no_more_are_gathered_than_there_is_room_for(
    most: int, most_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller waits while Kafka takes nothing."""
    monkeypatch.setattr(processor, "MOST_GATHERED_BYTES", most_bytes)

    async def work(bench: Bench) -> None:
        await bench.apply()
        bench.port.failures += [RetriableSendError("the broker is away")] * 1_000
        taking = asyncio.ensure_future(bench.take(MESSAGES))
        await asyncio.sleep(0.1)
        assert not taking.done()
        assert len(bench.processor._pending) <= 2 * (4 + 1)
        bench.port.failures.clear()
        await asyncio.wait_for(taking, 10)
        await until(lambda: bench.progress.messages[WINDOWS] == len(MESSAGES))

    assert decide(work, Bench(most_gathered=most)).given_up == []


def test_messages_that_come_in_the_very_moment_in_which_others_are_done_are_applied() -> None:
    """Before the event loop has told anybody that they are."""

    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(CALM[:1])
        applying = bench.processor._apply_gathered()
        await applying
        bench.processor._applying = applying
        await asyncio.wait_for(bench.take(CALM[1:3], 1), 10)
        await until(lambda: bench.progress.messages[WINDOWS] == 3)

    assert decide(work, Bench(most_gathered=2)).given_up == []


def test_what_was_gathered_before_partitions_change_hands_is_left_to_be_read_again() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        before = len(bench.port.happened)
        await bench.take(MESSAGES[:3])
        bench.processor.clear()
        assert bench.port.happened[before:] == [("abandon", at) for at in range(3)]
        await bench.take(MESSAGES[:3])
        await until(lambda: bench.progress.messages[WINDOWS] == 3)

    assert decide(work, Bench(most_gathered=100)).given_up == []


# Looks


def parts() -> list[bytes]:
    """One window in three messages, one for each partition of events; the first is healthy."""
    broken = Harm(bad={"error": 0.3})
    worlds = [World(harm=broken if number else Harm(), partition=number) for number in range(3)]
    return [msgspec.json.encode(one.messages(number, 1)[0]) for number, one in enumerate(worlds)]


def test_a_look_is_asked_for_when_no_further_message_leads_to_one() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(parts())
        await until(lambda: "ask_for_look" in bench.port.kinds)
        before = decisions(bench)
        await bench.take([look_request(b"helpdesk")], first=3)
        assert len(decisions(bench)) == len(before) + 1
        bench.processor.hand_over()
        await asyncio.sleep(0.01)

    bench = decide(work, Bench(look_after_s=0.02))
    assert bench.port.happened.count(("ask_for_look", (b"helpdesk", 3))) == 1
    last = decisions(bench)[-1]
    assert last is not None
    assert last.verdict == "rollback"
    assert bench.port.happened[-4:] == [
        ("save", (b"helpdesk", 3)),
        *(("acknowledge", offset) for offset in range(1, 4)),
    ]


def test_a_message_that_leads_to_a_look_makes_asking_needless() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take([*parts(), MESSAGES[1]])
        await asyncio.sleep(0.05)  # longer than it takes to ask

    bench = decide(work, Bench(look_after_s=0.02))
    assert "ask_for_look" not in bench.port.kinds


def test_messages_that_no_look_has_seen_are_read_again_by_the_next_owner() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(parts())
        bench.processor.hand_over()
        await asyncio.sleep(0.01)

    bench = decide(work)
    assert bench.port.happened[-5:] == [
        ("save", (b"helpdesk", 3)),
        ("acknowledge", 0),
        ("save", (b"helpdesk", 3)),
        ("abandon", 1),
        ("abandon", 2),
    ]
    again = Bench(port=bench.port, look_after_s=0.02)

    async def take_over(bench: Bench) -> None:
        await bench.take(parts()[1:], first=1)
        await until(lambda: "ask_for_look" in bench.port.kinds)

    decide(take_over, again)


def test_a_command_comes_after_a_look_at_what_came_before_it() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(parts())
        before = len(decisions(bench))
        await bench.apply(POLICY, offset=1)
        assert len(decisions(bench)) == before + 1

    last = decisions(decide(work))[-1]
    assert last is not None
    assert last.verdict == "rollback"
    assert last.cause is not None
    assert last.cause.topic == "rollouts"


# Kills: a worker that starts reads the records first


CHANGED = POLICY.replace(b"1pp", b"2pp")


async def roll_back(bench: Bench) -> None:
    """Take what leads to a rollback, and no message more."""
    await bench.apply()
    await bench.take(MESSAGES[:2])
    bench.processor.hand_over()
    await until(lambda: bench.port.happened[-1] == ("acknowledge", 1))
    bench.processor.clear()
    await bench.take(MESSAGES[2:3], 2)


def numbered(*benches: Bench) -> dict[int, set[bytes]]:
    """Decisions by their number: each has one content, however often it was emitted."""
    found: dict[int, set[bytes]] = {}
    for bench in benches:
        for kind, value in bench.port.happened:
            if kind == "emit" and isinstance(value, bytes):
                found.setdefault(decode_decision(value).sequence, set()).add(value)
    return found


def test_a_rollback_that_was_emitted_outlives_a_kill_before_a_changed_policy() -> None:
    killed = decide(roll_back)
    last = decisions(killed)[-1]
    assert last is not None
    assert last.verdict == "rollback"

    async def start(bench: Bench) -> None:
        await bench.apply(CHANGED, 1)
        await bench.take(MESSAGES[2:3], 2)

    following = decide(start, Bench(port=FakePort(snapshots=dict(killed.port.snapshots))))
    last = decisions(following)[-1]
    assert last is not None
    assert (last.verdict, last.is_latched) == ("rollback", True)
    assert all(len(contents) == 1 for contents in numbered(killed, following).values())


def test_a_promotion_is_refused_after_a_rollback_though_the_worker_was_killed() -> None:
    killed = decide(roll_back)
    at = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    promote = decode_rollout_record(POLICY).with_command("promote", at, reason="", by="anna")

    async def start(bench: Bench) -> None:
        await bench.apply(encode_rollout_record(promote), 1)

    following = decide(start, Bench(port=FakePort(snapshots=dict(killed.port.snapshots))))
    last = decisions(following)[-1]
    assert last is not None
    assert last.verdict == "rollback"
    assert last.rejections == {1: "the rollout is rolled back; resume it first"}


def test_windows_from_before_a_policy_are_no_evidence_after_a_kill_either() -> None:
    """Another rollout's windows keep them from being committed, so they are read again."""

    async def work(bench: Bench) -> None:
        await bench.processor.process_record(of_other(bench, ROLLOUTS, 0, OTHER))
        await bench.processor.process_windows(of_other(bench, WINDOWS, 0, OF_OTHER[0]))
        await bench.take(MESSAGES, 1)
        await bench.apply(POLICY, 1)

    async def start(bench: Bench) -> None:
        await bench.take(MESSAGES, 1)

    killed = decide(work)
    following = decide(start, Bench(port=FakePort(snapshots=dict(killed.port.snapshots))))
    assert decisions(following) == []


def test_windows_of_a_deleted_rollout_are_no_evidence_of_the_next_of_its_name() -> None:
    async def work(bench: Bench) -> None:
        await bench.apply(POLICY, 0)
        await bench.take(MESSAGES)
        await bench.apply(None, 1)
        await bench.apply(POLICY, 2)

    killed = decide(work)
    following = decide(
        lambda bench: bench.take(MESSAGES),
        Bench(port=FakePort(snapshots=dict(killed.port.snapshots))),
    )
    assert decisions(following) == []


# What no snapshot holds, and snapshots that cannot be read


BEYOND = 2**70


def with_number(path: tuple[str, ...], number: int) -> bytes:
    """The first message with a number in it, or in a column, in each of its rows."""
    message = msgspec.json.decode(MESSAGES[0])
    name, *within = path
    if not within:
        message[name] = number
    else:
        column, *key = within
        n_rows = len(message["columns"]["version"])
        message["columns"][column] = [{key[0]: number} if key else number] * n_rows
    return json.dumps(message).encode()


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("partition",),
        ("columns", "version"),
        ("columns", "events_paired"),
        ("columns", "events_late"),
        ("columns", "stable_requests"),
        ("columns", "stable_models", "m"),
        ("columns", "candidate_models", "m"),
    ],
)
@pytest.mark.parametrize("number", [-BEYOND, 2**63, 2**64, BEYOND])
def test_a_number_that_no_snapshot_holds_is_a_dead_letter(
    path: tuple[str, ...], number: int
) -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take([with_number(path, number)])
        bench.processor.hand_over()
        await asyncio.sleep(0.01)

    bench = decide(work)
    assert bench.given_up == []
    assert bench.progress.dead_letters == {"invalid_windows": 1}


@pytest.mark.parametrize(
    "path",
    [
        ("columns", "stable_input_tokens_sum"),
        ("columns", "stable_duration_ms_histogram", "5"),
        ("columns", "turns_error_cross"),
    ],
)
def test_whatever_else_is_beyond_64_bits_can_be_saved(path: tuple[str, ...]) -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take([with_number(path, BEYOND), *MESSAGES[1:]])
        bench.processor.hand_over()
        await asyncio.sleep(0.01)

    assert decide(work).given_up == []


@pytest.mark.parametrize(
    "fields",
    [
        {"capture_since": "0001-01-01T00:00:00+01:00"},
        {
            "commands": [
                {"number": BEYOND, "kind": "kill", "reason": "", "by": "",
                 "at": "2026-03-02T12:00:00Z"}
            ]
        },
    ],
)  # fmt: skip
def test_a_record_that_no_snapshot_holds_is_a_dead_letter_and_not_applied(
    fields: dict[str, object],
) -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        saved = dict(bench.port.snapshots)
        await bench.apply(json.dumps(msgspec.json.decode(POLICY) | fields).encode(), 1)
        assert bench.port.snapshots == saved
        await bench.take(MESSAGES)

    bench = decide(work)
    assert bench.given_up == []
    assert bench.progress.dead_letters == {"invalid_rollout": 1}
    last = decisions(bench)[-1]
    assert last is not None
    assert last.verdict == "rollback"


@pytest.mark.parametrize("snapshot", [b'{"record":{}}', zstd.compress(b'{"record":{}}', 3)])
def test_a_snapshot_that_cannot_be_read_ends_it_and_loses_nothing(snapshot: bytes) -> None:
    async def work(bench: Bench) -> None:
        await bench.take(MESSAGES[:1])
        await bench.apply(CHANGED, 1)

    bench = decide(work, Bench(port=FakePort(snapshots={b"helpdesk": snapshot})))
    assert [type(error) for error in bench.given_up] == [UnreadableSnapshot]
    assert bench.port.happened == [("abandon", 0), ("abandon", 1)]
    assert bench.port.snapshots == {b"helpdesk": snapshot}


# Dead letters and what is read again, among messages that are not saved yet


def test_after_a_dead_letter_nothing_is_unsaved_that_the_next_would_apply_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    applied: list[int] = []
    add = RolloutEvaluator.add

    def taken(
        evaluator: RolloutEvaluator, message: WindowsMessage, *others: Any
    ) -> Decision | None:
        applied.append(message.version)
        if message.version == POISON_VERSION:
            raise ValueError("half-way")
        return add(evaluator, message, *others)

    monkeypatch.setattr(RolloutEvaluator, "add", taken)
    poison = msgspec.json.decode(CALM[5]) | {"version": POISON_VERSION}

    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:4], 1)
        applied.clear()
        before = len(bench.port.happened)
        await bench.take([msgspec.json.encode(poison)] * 3, 4)
        assert bench.happened_since(before)[:2] == ["dead_letter", "save"]
        assert bench.happened_since(before).count("save") == 1

    bench = decide(work)
    assert bench.progress.dead_letters == {"invalid_windows": 3}
    assert len(applied) == 3 + 3, "each of them, and once what was unsaved"


POISON_VERSION = 12_345


@pytest.mark.parametrize("other", ["dead letter", "record read again"])
def test_what_is_not_applied_leaves_a_look_to_be_asked_for(other: str) -> None:
    async def work(bench: Bench) -> None:
        await bench.apply()
        await bench.take(parts()[:2])
        if other == "dead letter":
            await bench.take([b"no JSON"], 2)
        else:
            await bench.apply(POLICY, 0)
        assert ("acknowledge", 1) not in bench.port.happened, "no look has seen it"
        await until(lambda: "ask_for_look" in bench.port.kinds)

    decide(work, Bench(look_after_s=0.05))


def test_messages_that_change_nothing_count_as_unsaved_too_while_they_are_kept() -> None:
    async def work(bench: Bench) -> None:
        await bench.begin()
        await bench.take(CALM[1:2], 1)
        before = len(bench.port.happened)
        await bench.take([CALM[1]], 1)  # read again
        assert bench.happened_since(before) == []
        await bench.take([CALM[1]], 1)
        assert bench.happened_since(before) == ["save"] + ["acknowledge"] * 3

    decide(work, Bench(max_unsaved_bytes=2 * len(CALM[1])))


def test_after_a_pause_rollouts_are_saved_at_their_own_times_again() -> None:
    """Not all at once with their next messages."""
    interval_s = 0.1

    async def work(bench: Bench) -> None:
        clock = asyncio.get_running_loop().time
        due_s = bench.processor._next_save_s
        await bench.begin()
        await bench.take(CALM[1:2], 1)
        await until(lambda: bench.port.happened[-1] == ("acknowledge", 1))
        before_s = due_s[b"helpdesk"]
        await until(lambda: clock() > before_s + 1.5 * interval_s)
        resumed_s = clock()
        await bench.take(CALM[2:3], 2)
        intervals = (due_s[b"helpdesk"] - before_s) / interval_s
        assert due_s[b"helpdesk"] >= resumed_s
        assert intervals == pytest.approx(round(intervals))

    decide(work, Bench(checkpoint_interval_s=interval_s))
