"""Evaluation that raises, Kafka that refuses, topics read again: nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
import pytest

from tests.brokers.bomb import CODECS, bomb
from tests.faults.deciding import ROLLOUTS, WINDOW_PARTITIONS, DecidingRun, rollout_record
from tests.faults.processes import stop, wait_until
from understudy.schemas.windows import windows_message
from understudy.streams.kafka.partitioner import partition_of

pytestmark = [pytest.mark.faults, pytest.mark.integration]

POISONED = """
import sys
from understudy.streams.commands.main import main
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator

honest = RolloutEvaluator.add

def add(evaluator, message, *others):
    decision = honest(evaluator, message, *others)
    if message.version in (VERSIONS):
        raise ZeroDivisionError("the evaluation\\nfailed")
    return decision

RolloutEvaluator.add = add
sys.argv[0] = "understudy"
main()
"""
TAKES_ALL = 8 * 1024 * 1024
MOST_GROWTH_BYTES: Final = 200_000_000
"""Twice the limit of a batch, with what the interpreter keeps; each batch would take 100 MB more
than once."""


def test_a_message_that_makes_evaluation_raise(deciding: Callable[..., DecidingRun]) -> None:
    """It becomes a dead letter that says where it stood; evidence is as if it had not been there.

    Its rows had been added already when it raised, and the messages before it were not saved yet.
    """
    run = deciding()
    script = POISONED.replace("VERSIONS", "7, 12")
    run.command_worker(script=script)
    run.apply()
    run.send(run.windows(11, count=20))
    run.poison = frozenset((7, 12))
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()
    poisoned = {
        (str(number), str(record.offset)): record.value
        for number, log in run.read(run.topics.windows.name).items()
        for record in log
        if run.is_poison(record)
    }
    letters = run.headers(run.topics.dead_letters.name)
    assert {
        (place["partition"], place["offset"]): record.value for record, place in letters
    } == poisoned
    assert len(poisoned) >= 4 * len(ROLLOUTS)
    assert {place["reason"] for _, place in letters} == {"deciding_failed"}
    assert {place["topic"] for _, place in letters} == {run.topics.windows.name}
    assert {place["detail"] for _, place in letters} == {
        "ZeroDivisionError('the evaluation\\nfailed')"
    }


def test_batches_that_cannot_be_unpacked_are_stepped_over(
    deciding: Callable[..., DecidingRun],
) -> None:
    """Of windows and of policies, whichever codec, also where a worker begins."""
    run = deciding()
    servers, windows, rollouts = (
        run.broker.bootstrap_servers, run.topics.windows.name, run.topics.rollouts.name
    )  # fmt: skip
    bombs = [(windows, 1, bomb(servers, windows, 1))]
    worker = run.command_worker()
    run.apply()
    messages = run.windows(13, count=20)
    before = worker.memory_bytes
    for number, codec in enumerate(CODECS):
        run.send(messages[60 * number : 60 * number + 60])
        bombs.append((windows, number, bomb(servers, windows, number, 5, codec=codec)))
        bombs.append(
            (rollouts, number, bomb(servers, rollouts, number, 4, codec=codec, key=b"bomb"))
        )
    run.wait_until_decided()
    assert worker.memory_bytes - before < MOST_GROWTH_BYTES
    worker.kill()
    run.command_worker()
    run.send(messages[240:])
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()
    letters = run.headers(run.topics.dead_letters.name)
    assert {place["reason"] for _, place in letters} == {"unreadable"}
    assert {
        (place["topic"], int(place["partition"]), int(place["offset"])) for _, place in letters
    } == {(topic, n, offsets[0]) for topic, n, offsets in bombs}


@pytest.mark.parametrize("topic", ["decisions", "table"])
def test_a_topic_refuses(deciding: Callable[..., DecidingRun], topic: str) -> None:
    """The worker ends, nothing is committed past the refusal, and the next one decides the same."""
    run = deciding()
    worker = run.deciding_worker("one")
    run.apply()
    name = run.topics.decisions.name if topic == "decisions" else run.changelog
    messages = run.windows(12, count=20)
    run.send(messages[:30])
    run.wait_until_decided()
    run.limit(name, 10)
    before = run.ends_of(name)
    run.send(messages[30:])
    wait_until(lambda: worker.exit_code is not None, "it ends", worker=worker)
    assert worker.exit_code == 1
    assert '"deciding.gave_up"' in worker.log
    assert "MessageSizeTooLarge" in worker.log
    assert run.ends_of(name) == before, "it was to refuse"
    run.check_committed_is_kept()
    run.workers.remove(worker)
    run.limit(name, TAKES_ALL)
    run.deciding_worker("one")
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()


def test_reading_again_from_the_beginning_decides_the_same(
    deciding: Callable[..., DecidingRun],
) -> None:
    """Another group with an empty table, no worker near when policies and windows were written."""
    run = deciding()
    run.write_records()
    run.send(run.windows(13, count=25))
    run.deciding_worker()
    run.wait_until_decided()
    run.stop_workers()
    decided = run.check_decisions()
    first = run.decisions()
    run.deciding_group = f"{run.name}-again"
    run.deciding_worker()
    run.wait_until_decided()
    run.stop_workers()
    for name in ROLLOUTS:
        once = [value for key, value in first if key == name.encode()]
        both = [value for key, value in run.decisions() if key == name.encode()]
        assert both == once + once
    assert len(first) == decided


def test_windows_written_before_their_policy_was_read(
    deciding: Callable[..., DecidingRun],
) -> None:
    """A message that is no windows message stands among them, too."""
    run = deciding()
    run.write_records()
    key = ROLLOUTS[0].encode()
    run.write(run.topics.windows.name, key, b"no JSON")
    run.write(run.topics.windows.name, None, None)
    empty = windows_message([], rollout_id="nobody", partition=0, version=1, watermark=None)
    run.write(run.topics.windows.name, b"nobody", msgspec.json.encode(empty))
    run.send(run.windows(14, count=5))
    run.deciding_worker()
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()
    letters = run.headers(run.topics.dead_letters.name)
    assert [place["reason"] for _, place in letters] == ["invalid_windows"] * 2


def test_messages_in_another_partition_than_their_keys(
    deciding: Callable[..., DecidingRun],
) -> None:
    """Somebody writes with another partitioner: what the worker has of a rollout stays as it is."""
    run = deciding()
    worker = run.deciding_worker("one")
    run.apply()
    messages = run.windows(15, count=20)
    run.send(messages[:100])
    run.wait_until_decided()
    key = ROLLOUTS[0].encode()
    other = (partition_of(key, WINDOW_PARTITIONS) + 1) % WINDOW_PARTITIONS
    run.write(run.topics.rollouts.name, key, rollout_record(ROLLOUTS[0], "5pp"), other)
    message = next(one for one in messages[100:] if one.rollout_id == ROLLOUTS[0])
    run.write(run.topics.windows.name, key, msgspec.json.encode(message), other)
    run.flush()
    letters = run.topics.dead_letters.name
    wait_until(lambda: len(run.headers(letters)) == 2, "both are refused", worker=worker)
    reasons = {place["reason"] for _, place in run.headers(letters)}
    assert reasons == {"invalid_rollout", "invalid_windows"}
    stop(worker)
    run.deciding_worker("one")
    run.send(messages[100:])
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()
