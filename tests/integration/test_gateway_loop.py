"""The loop, once a strategy: users → Router → two models → Kafka → worker → decision → Router.

Users ask as fast as the machine allows while their requests' times, which windows go by, pass fifty
times as fast, from some hours ago on. One worker serves all tests, each of which has a rollout of
its own.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.brokers.contract import Broker
from tests.integration.processes import COMMAND, Worker, settings
from tests.integration.topic_log import read_topic
from tests.waiting import DEADLINE_S
from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.gateways.publisher import Publisher
from understudy.gateways.receipt import Receipt
from understudy.gateways.request_context import RequestContext
from understudy.gateways.router import Router
from understudy.schemas.decisions import Decision, decode_decision
from understudy.schemas.events import Event
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import compile_manifest
from understudy.schemas.topics import ROLLOUT_PARTITIONS, Topics, understudy_topics
from understudy.streams.kafka.client_config import PARTITIONER
from understudy.streams.kafka.topic_admin import ensure_topics

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BEGAN = dt.timedelta(hours=6)
"""How long ago the first request came: more event time than a test lasts."""
EVERY = dt.timedelta(milliseconds=20)
"""Event time between two requests."""
AT_ONCE = 250
"""Requests between two looks at the decision: five seconds of event time."""
PAUSE_S = 0.1
"""Wall time between them, which lets the worker follow."""
_LOG_LINES = 40
COMPRESSED = {
    "UNDERSTUDY_PAIRING_WINDOW_S": "2",
    "UNDERSTUDY_PAIRING_JOIN_TIMEOUT_S": "10",
    "UNDERSTUDY_PAIRING_ALLOWED_LATENESS_S": "12",
}
POLICY = """
rollout_id: {rollout_id}
models: {{stable: heron-4, candidate: heron-5}}
mode: {mode}
promotion: {promotion}
stages: {stages}
independent_requests: true
min_requests: 40
min_duration: 5s
guardrails: {guardrails}
"""
ERRORS = "[{metric: error_rate, max: 20%, slices: [all]}]"
RAMP = [0.01, 0.05, 0.25, 0.5, 1.0]


class Service:
    """Topics, a worker on them, and what gateways connect with."""

    def __init__(self, broker: Broker, topics: Topics, worker: Worker) -> None:
        self.broker, self.topics, self.worker = broker, topics, worker
        self.time = dt.datetime.now(dt.UTC) - BEGAN
        """Of the newest request of any test: what came before the watermark would be late."""
        self.config = {"bootstrap.servers": broker.bootstrap_servers}
        self.prefix = topics.events.name.removesuffix("events")

    def apply(self, mode: str, stages: str, *, promotion: str, guardrails: str) -> str:
        """Put a policy in force; the rollout's id."""
        rollout_id = f"{mode}-{uuid.uuid4().hex[:8]}"
        manifest = read_manifest(
            POLICY.format(
                rollout_id=rollout_id, mode=mode, stages=stages, promotion=promotion,
                guardrails=guardrails,
            )
        )  # fmt: skip
        compile_manifest(manifest)
        producer = Producer({**self.config, "partitioner": PARTITIONER})
        record = encode_rollout_record(RolloutRecord(manifest=manifest))
        producer.produce(self.topics.rollouts.name, record, rollout_id)
        assert producer.flush(DEADLINE_S) == 0
        return rollout_id

    @property
    def worker_log(self) -> str:
        """Its newest lines but those of its progress."""
        lines = [line for line in self.worker.log.splitlines() if "worker.progress" not in line]
        return "\n".join(lines[-_LOG_LINES:])

    def decisions(self, rollout_id: str) -> list[Decision]:
        records = [
            one for log in read_topic(self.broker, self.topics.decisions.name) for one in log
        ]
        decoded = [decode_decision(record.value) for record in records if record.value]
        return [decision for decision in decoded if decision.rollout_id == rollout_id]


@pytest.fixture(scope="module")
def service(kafka_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    topics = understudy_topics(
        f"test-{uuid.uuid4().hex[:12]}.", event_partitions=2, rollout_partitions=ROLLOUT_PARTITIONS
    )
    ensure_topics({"bootstrap.servers": kafka_broker.bootstrap_servers}, topics)
    environment = settings(kafka_broker, topics, UNDERSTUDY_HTTP_ENABLED="false", **COMPRESSED)
    folder: Path = tmp_path_factory.mktemp("worker")
    with Worker(folder, environment, (*COMMAND, "worker")) as worker:
        worker.wait_for_log('"partitions.assigned"')
        yield Service(kafka_broker, topics, worker)


@dataclass
class Model:
    """Answers at once, or fails for a share of its calls."""

    name: str
    failing: float = 0.0
    calls: int = 0
    chance: Random = field(default_factory=lambda: Random(7))

    async def __call__(self, prompt: str) -> str:
        self.calls += 1
        await asyncio.sleep(0)
        if self.chance.random() < self.failing:
            raise RuntimeError("overloaded")
        return f"{self.name}: {prompt}"


class Loop:
    """Users, a Router and two models; `served` counts who answered while which share held."""

    def __init__(self, service: Service, rollout_id: str, candidate: Model, **parts: Any) -> None:
        self.service, self.rollout_id = service, rollout_id
        self.stable, self.candidate = Model("stable"), candidate
        self.publisher = Publisher(service.config, topic_prefix=service.prefix)
        self.decisions = KafkaDecisions(service.config, topic_prefix=service.prefix)
        self.served: dict[float, Counter[str]] = {}
        self.verdicts: list[str] = []
        self._chance = Random(3)
        self._rates = parts.pop("rates", None)
        self.router = Router(
            rollout_id,
            stable=self.stable,
            candidate=candidate,
            decisions=self.decisions,
            publisher=parts.pop("publisher", self.publisher),
            workflow="chat",
        )

    async def until(self, is_over: Callable[[], bool], reason: str) -> None:
        """Let users ask until a condition holds."""
        deadline_s = asyncio.get_running_loop().time() + DEADLINE_S
        while not is_over():
            assert asyncio.get_running_loop().time() < deadline_s, (
                f"not yet: {reason}; {self.served}, {self.service.decisions(self.rollout_id)[-1:]}"
                f"\n{self.service.worker_log}"
            )
            await self._ask_some()
            await asyncio.sleep(PAUSE_S)

    async def _ask_some(self) -> None:
        allocation = self.router.allocation()
        if allocation is None:
            return
        if self.verdicts[-1:] != [allocation.verdict]:
            self.verdicts.append(allocation.verdict)
        for _ in range(AT_ONCE):
            self.service.time += EVERY
            share = self.share or 0.0  # a decision may come in between
            answer = await self._ask()
            self.served.setdefault(share, Counter())[answer.partition(":")[0]] += 1

    async def _ask(self) -> str:
        receipt = Receipt()
        context = RequestContext(
            user_id=f"u{self._chance.getrandbits(40)}", request_time=self.service.time,
            language="en", receipt=receipt,
        )  # fmt: skip
        answer = await self.router.call(context, "Where is my order?")
        if self._rates is not None:
            score = self._rates(answer.partition(":")[0], self._chance)
            rating = receipt.feedback("thumbs", score, at=self.service.time)
            if rating is not None:  # after a rollback there is nothing to rate
                assert self.publisher.publish_feedback(rating)
        return answer

    @property
    def share(self) -> float | None:
        allocation = self.router.allocation()
        return allocation.candidate_share if allocation is not None else None

    @property
    def verdict(self) -> str | None:
        allocation = self.router.allocation()
        return allocation.verdict if allocation is not None else None


@asynccontextmanager
async def loop(
    service: Service,
    mode: str,
    stages: str,
    candidate: Model,
    *,
    promotion: str = "automatic",
    guardrails: str = ERRORS,
    **parts: Any,
) -> AsyncIterator[Loop]:
    rollout_id = service.apply(mode, stages, promotion=promotion, guardrails=guardrails)
    running = Loop(service, rollout_id, candidate, **parts)
    try:
        yield running
    finally:
        await running.router.aclose()
        running.publisher.close()
        running.decisions.close()


def test_shadow_never_serves_the_candidate_and_stops_mirroring_at_the_rollback(
    service: Service,
) -> None:
    async def main() -> None:
        async with loop(service, "shadow", "[shadow]", Model("candidate", 0.6)) as users:
            await users.until(lambda: users.verdict == "rollback", "a rollback")
            assert users.verdicts == ["hold"]
            mirrored, asked = users.candidate.calls, users.stable.calls
            assert 0 < mirrored <= asked
            for _ in range(3):
                await users._ask_some()
            assert users.candidate.calls == mirrored
            assert users.stable.calls == asked + 3 * AT_ONCE
            assert users.served == {0.0: Counter(stable=users.stable.calls)}

    asyncio.run(main())


def test_interleave_serves_one_of_both(service: Service) -> None:
    async def main() -> None:
        candidate = Model("candidate")
        async with loop(
            service, "interleave", "[interleave]", candidate, promotion="manual"
        ) as users:
            await users.until(lambda: users.verdict == "promote", "a promotion")
            served = users.served[0.5]
            assert served["stable"] + served["candidate"] == users.stable.calls
            assert users.stable.calls == candidate.calls
            assert 0.4 < served["candidate"] / served.total() < 0.6

    asyncio.run(main())


def assert_share(served: Counter[str], share: float) -> None:
    """The candidate answered so many, within five standard errors: verdicts come when they come."""
    error = 5 * (share * (1 - share) / served.total()) ** 0.5
    assert share - error <= served["candidate"] / served.total() <= share + error


def test_a_healthy_canary_climbs_to_all_requests(service: Service) -> None:
    async def main() -> None:
        stages = "[1%, 5%, 25%, 50%, 100%]"
        async with loop(service, "canary", stages, Model("candidate")) as users:
            await users.until(lambda: users.share == 1.0, "all requests")
            await users._ask_some()
            assert list(users.served) == RAMP
            for share, served in users.served.items():
                assert_share(served, share)
            assert users.served[1.0] == Counter(candidate=users.served[1.0].total())
            shares = [one.candidate_share for one in service.decisions(users.rollout_id)]
            assert list(dict.fromkeys(shares)) == RAMP

    asyncio.run(main())


def test_a_broken_canary_is_taken_back_and_its_users_never_notice(service: Service) -> None:
    async def main() -> None:
        candidate = Model("candidate", 0.6)
        async with loop(service, "canary", "[5%, 25%, 50%, 100%]", candidate) as users:
            await users.until(lambda: users.share == 0.0, "no requests")
            calls = candidate.calls
            await users._ask_some()
            assert list(users.served) == [0.05, 0.0]
            assert candidate.calls == calls
            assert users.served[0.0].keys() == {"stable"}
            assert users.router.counts["rescued"] > 10

    asyncio.run(main())


FEEDBACK = "[{metric: feedback, max_drop: 5pp, slices: [all]}]"


def likes(stable: float, candidate: float) -> Callable[[str, Random], float]:
    """Ratings: the shares of thumbs up."""
    shares = {"stable": stable, "candidate": candidate}
    return lambda side, chance: float(chance.random() < shares[side])


@pytest.mark.parametrize(
    ("candidate_liked", "verdict"), [(0.9, "promote"), (0.3, "rollback")], ids=["better", "worse"]
)
def test_ab_splits_evenly_and_finds_the_better_side_by_feedback(
    service: Service, candidate_liked: float, verdict: str
) -> None:
    async def main() -> None:
        async with loop(
            service, "ab", "[50%]", Model("candidate"), promotion="manual", guardrails=FEEDBACK,
            rates=likes(0.6, candidate_liked),
        ) as users:  # fmt: skip
            await users.until(lambda: users.verdict == verdict, verdict)
            assert_share(users.served[0.5], 0.5)

    asyncio.run(main())


class LosingPublisher:
    """Loses a share of the candidate's events."""

    def __init__(self, service: Service, share: float) -> None:
        self._own = Publisher(service.config, topic_prefix=service.prefix)
        self.close = self._own.close
        self._share = share
        self._chance = Random(5)

    def publish(self, *events: Event) -> bool:
        if events[0].side == "candidate" and self._chance.random() < self._share:
            return False
        return self._own.publish(*events)


def test_ab_notices_a_broken_split(service: Service) -> None:
    def breaches(rollout_id: str) -> list[str]:
        found = service.decisions(rollout_id)
        return found[-1].quality.breaches if found else []

    async def main() -> None:
        with closing(LosingPublisher(service, 0.4)) as losing:
            await notice(losing)

    async def notice(losing: LosingPublisher) -> None:
        async with loop(
            service, "ab", "[50%]", Model("candidate"), promotion="manual", publisher=losing
        ) as users:
            await users.until(lambda: bool(breaches(users.rollout_id)), "a breach of the split")
            assert breaches(users.rollout_id) == ["sample_ratio"]
            assert users.verdict == "hold"

    asyncio.run(main())
