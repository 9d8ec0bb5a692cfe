"""A worker that evaluates, killed again and again while it asks a judge.

Every pair is judged, what counts of it is what a worker that lives writes, and no more is asked
again than was in flight at a kill. 50 kills: `UNDERSTUDY_TEST_KILLS=50`.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from aiohttp import web
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.faults.processes import Worker, stop, wait_until
from tests.integration.topic_log import read_topic
from tests.streams.evaluating.scripted_judge import JudgeServer, scripted
from tests.streams.evaluating.test_evaluating_runner import pair, stable_wins
from understudy.schemas.evaluations import Evaluation, decode_evaluation, evaluation_identity
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.topics import Topics

pytestmark = [pytest.mark.faults, pytest.mark.slow]
pytest.importorskip("openai", reason="needs the extra evaluating")

KILLS = int(os.environ.get("UNDERSTUDY_TEST_KILLS", "10"))
PAIRS_PER_LIFE: Final = 12
"""About what is judged in one life, so that there is work until the last kill."""
LIFE_S: Final = (0.6, 1.6)
"""From before the group has formed to a second of work."""
CONCURRENCY: Final = 4
JUDGE_S: Final = 0.1
CALL_USD: Final = 120 / 1e6
"""Of the scripted judge's tokens at one US dollar a million."""
SESSION_MS: Final = 6_000
POLICY: Final = """
rollout_id: r
models: {stable: a, candidate: b}
evaluate:
  - evaluator: helpfulness@1
    share: 100%
    floor_per_hour: 0
    both_orders: 30%
    control_share: 0%
    budget: {usd_per_day: 1000, calls_per_minute: 1000000}
  - {evaluator: number_agreement@1, share: 100%, floor_per_hour: 0}
"""


async def slowly(body: dict[str, Any], request: web.Request) -> web.StreamResponse:
    """Answer after a while, so that a kill finds calls in flight."""
    await asyncio.sleep(JUDGE_S)
    return await scripted(stable_wins)(body, request)


def write(broker: Broker, specs: Topics, pairs: int) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers,
                         "partitioner": "murmur2_random"})  # fmt: skip
    record = encode_rollout_record(RolloutRecord(manifest=read_manifest(POLICY)))
    producer.produce(specs.rollouts.name, record, "r")
    for number in range(pairs):
        for side in pair(number, number / 10):
            producer.produce(specs.events.name, side, f"r/p{number}")
    producer.flush(30)


def evaluations(broker: Broker, specs: Topics) -> list[Evaluation]:
    logs = read_topic(broker, specs.evaluations.name)
    return [decode_evaluation(one.value) for records in logs for one in records]


def said(evaluation: Evaluation) -> bytes:
    """What a record says, without when and how long."""
    return msgspec.json.encode(
        (evaluation.preferences, evaluation.scores, evaluation.error, evaluation.language)
    )


def test_kills_change_nothing(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    specs, pairs = topics(), KILLS * PAIRS_PER_LIFE
    write(kafka_broker, specs, pairs)
    chance = random.Random(7)
    with JudgeServer(slowly) as judge:
        environment = {
            "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
            "UNDERSTUDY_KAFKA_TOPIC_PREFIX": specs.events.name.removesuffix("events"),
            "UNDERSTUDY_KAFKA_CLIENT_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "UNDERSTUDY_KAFKA_CLIENT_GROUP_INSTANCE_ID": "only",
            "UNDERSTUDY_HTTP_ENABLED": "false",
            "UNDERSTUDY_EVALUATING_BASE_URL": judge.base_url,
            "UNDERSTUDY_EVALUATING_MODEL": "scripted-1",
            "UNDERSTUDY_EVALUATING_CONCURRENCY": str(CONCURRENCY),
            "UNDERSTUDY_EVALUATING_INPUT_USD_PER_MILLION_TOKENS": "1",
            "UNDERSTUDY_EVALUATING_OUTPUT_USD_PER_MILLION_TOKENS": "1",
        }
        for life in range(KILLS):
            worker = Worker(environment, tmp_path / f"worker-{life}.log", "evaluating")
            time.sleep(chance.uniform(*LIFE_S))  # the moment is what is tested
            worker.kill()
        worker = Worker(environment, tmp_path / "worker-last.log", "evaluating")
        wait_until(
            lambda: len({evaluation_identity(e) for e in evaluations(kafka_broker, specs)})
            >= 2 * pairs,
            "every pair is judged", worker=worker,
        )  # fmt: skip
        stop(worker)
        calls = len(judge.requests)
    first: dict[Any, Evaluation] = {}
    found = evaluations(kafka_broker, specs)
    for one in found:
        first.setdefault(evaluation_identity(one), one)
    assert len(first) == 2 * pairs
    judged = [one for one in first.values() if one.evaluator == "helpfulness"]
    assert {one.preferences[0].preferred for one in judged} == {"stable"}
    assert all(said(one) == said(first[evaluation_identity(one)]) for one in found)
    needed = sum(len(one.preferences) for one in judged)
    print(f"{KILLS} kills, {pairs} pairs, {needed} calls needed, {calls} made, "
          f"{len(found) - len(first)} records written twice")  # fmt: skip
    # At most, besides what was in flight: what had been answered and was not delivered yet.
    assert calls - needed <= KILLS * 2 * CONCURRENCY
    # What died with a process is charged at its most, so the log never tells less than was spent.
    charged = sum(one.usage.cost_usd or 0.0 for one in found if one.usage)
    assert charged >= calls * CALL_USD
    print(f"{charged:.4f} USD charged, {calls * CALL_USD:.4f} USD spent")
