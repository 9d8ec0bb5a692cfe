"""Judging that raises, Kafka that refuses, topics read again: no window and no decision is lost."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.faults.deciding import ROLLOUTS, DecidingRun
from tests.faults.processes import wait_until
from understudy.schemas.windows import WindowsMessage

pytestmark = [pytest.mark.faults, pytest.mark.integration]

POISONED = """
import sys
from understudy.streams.commands.main import main
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator

honest = RolloutEvaluator.take

def take(evaluator, message):
    decision = honest(evaluator, message)
    if message.version in (VERSIONS):
        raise ZeroDivisionError("the judge\\nfell over")
    return decision

RolloutEvaluator.take = take
sys.argv[0] = "understudy"
main()
"""
TAKES_ALL = 8 * 1024 * 1024


def test_a_message_that_makes_judging_raise(deciding: Callable[..., DecidingRun]) -> None:
    """It becomes a dead letter that says where it stood; evidence is as if it had not been there.

    It had been folded already when judging raised, and what came before it was not saved yet.
    """
    run = deciding()
    script = POISONED.replace("VERSIONS", "7, 12")
    run.command_worker(script=script)
    run.apply()
    run.tell(run.windows(11, count=20))
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
        (told["partition"], told["offset"]): record.value for record, told in letters
    } == poisoned
    assert len(poisoned) >= 4 * len(ROLLOUTS)
    assert {told["reason"] for _, told in letters} == {"deciding_failed"}
    assert {told["topic"] for _, told in letters} == {run.topics.windows.name}
    assert {told["detail"] for _, told in letters} == {"ZeroDivisionError('the judge\\nfell over')"}


@pytest.mark.parametrize("topic", ["decisions", "table"])
def test_a_topic_refuses(deciding: Callable[..., DecidingRun], topic: str) -> None:
    """The worker ends, nothing committed past what was refused; its successor tells the same."""
    run = deciding()
    worker = run.deciding_worker("one")
    run.apply()
    name = run.topics.decisions.name if topic == "decisions" else run.changelog
    messages = run.windows(12, count=20)
    run.tell(messages[:30])
    run.wait_until_decided()
    run.limit(name, 10)
    before = run.ends_of(name)
    run.tell(messages[30:])
    wait_until(lambda: worker.exit_code is not None, "it ends", 30, worker)
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


def test_reading_again_from_the_beginning_tells_the_same(
    deciding: Callable[..., DecidingRun],
) -> None:
    """Another group with an empty table, no worker near when policies and windows were written."""
    run = deciding()
    run.write_records()
    run.tell(run.windows(13, count=25))
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
        told = [value for key, value in first if key == name.encode()]
        both = [value for key, value in run.decisions() if key == name.encode()]
        assert both == told + told
    assert len(first) == decided


def test_windows_written_before_their_policy_was_read(
    deciding: Callable[..., DecidingRun],
) -> None:
    """A message that is no windows message stands among them, too."""
    run = deciding()
    run.write_records()
    key = ROLLOUTS[0].encode()
    run.write(run.topics.windows.name, key, b"no JSON")
    empty = WindowsMessage(rollout_id="nobody", partition=0, version=1, watermark=None, rows=[])
    run.write(run.topics.windows.name, b"nobody", msgspec.json.encode(empty))
    run.tell(run.windows(14, count=5))
    run.deciding_worker()
    run.wait_until_decided()
    run.stop_workers()
    run.check_decisions()
    ((_, told),) = run.headers(run.topics.dead_letters.name)
    assert told["reason"] == "invalid_windows"
