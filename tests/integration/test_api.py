"""The API of a worker on a real broker: what an operator and a gateway do with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.brokers.contract import Broker
from tests.integration.processes import COMMAND, Worker, settings
from tests.streams.http.described import Answer, ask
from understudy.schemas.topics import PARTITIONER, ROLLOUT_PARTITIONS, Topics

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SECRET = "correct-horse-battery"
ONE = f"/api/v1/rollouts/{ROLLOUT}"
POLICY = f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
guardrails: [{{metric: error_rate, max_increase: 1pp}}]
""".encode()
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))


class Client:
    """Asks one worker, and fails when an answer is not as described."""

    def __init__(self, worker: Worker, token: str = SECRET) -> None:
        self._worker, self._token = worker, token

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        headers["Authorization"] = f"Bearer {self._token}"
        return ask(self._worker.address("http.started"), path, method, body, **headers)

    def issue(self, kind: str, reason: str) -> Answer:
        body = json.dumps({"reason": reason}).encode()
        return self.ask("POST", f"{ONE}/{kind}", body, Content_Type="application/json")

    def wait(self, path: str, done: Callable[[Answer], bool]) -> Answer:
        self._worker.wait_until(lambda: done(self.ask("GET", path)), path)
        return self.ask("GET", path)


def gates(client: Client) -> tuple[str, int, int]:
    """The answers to Argo Rollouts and Flagger: verdict, may it be promoted, must it go."""
    hook = json.dumps({"name": "a", "namespace": "b", "metadata": {"rollout_id": ROLLOUT}}).encode()
    promotion, rollback = (
        client.ask("POST", f"/api/v1/gates/flagger/{name}", hook, Content_Type="application/json")
        for name in ("confirm-promotion", "rollback")
    )
    argo = client.ask("GET", f"/api/v1/gates/argo/{ROLLOUT}")
    return argo.json["data"]["verdict"], promotion.status, rollback.status


@pytest.fixture
def specs(topics: Callable[..., Topics]) -> Topics:
    return topics(rollout_partitions=ROLLOUT_PARTITIONS)


@pytest.fixture
def worker(kafka_broker: Broker, specs: Topics, tmp_path: Path) -> Iterator[Worker]:
    environment = settings(
        kafka_broker,
        specs,
        UNDERSTUDY_HTTP_TOKENS=f"anna:admin:{SECRET}",
    )
    with Worker(tmp_path, environment, [*COMMAND, "worker"]) as made:
        yield made
        assert made.terminate() == 0, made.log


def send(broker: Broker, topic: str, messages: list[Any]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "partitioner": PARTITIONER})
    for message in messages:
        producer.produce(topic, msgspec.json.encode(message), ROLLOUT.encode())
    assert producer.flush(30) == 0


def test_from_a_policy_to_its_rollback_and_back(
    kafka_broker: Broker, specs: Topics, worker: Worker
) -> None:
    client = Client(worker)
    client.wait("/readyz", lambda answer: answer.status == 200)
    wrong = Client(worker, "wrong").ask("PUT", ONE, POLICY, Content_Type="application/yaml")
    assert wrong.status == 401
    assert client.ask("GET", ONE).status == 404

    assert client.ask("PUT", ONE, POLICY, Content_Type="application/yaml").status == 201
    first = client.ask("GET", f"{ONE}/decision", Prefer="wait=60")
    assert (first.status, first.json["verdict"]) == (200, "hold")
    assert gates(client) == ("inconclusive", 409, 409)

    messages = BROKEN.messages(5, 40)
    threading.Timer(0.5, send, (kafka_broker, specs.windows.name, messages)).start()
    tag, verdict = first.headers["etag"], "hold"
    while verdict == "hold":
        polled = client.ask("GET", f"{ONE}/decision", If_None_Match=tag, Prefer="wait=30")
        assert polled.status == 200, "something is decided within half a minute"
        tag, verdict = polled.headers["etag"], polled.json["verdict"]
    assert verdict == "rollback"
    assert polled.json["candidate_share"] == 0.0
    assert gates(client) == ("fail", 409, 200)

    (breach,) = [
        one
        for one in client.ask("GET", f"{ONE}/evidence?slice=all").json["evidence"]
        if one["status"] == "breach"
    ]
    assert breach["guardrail"] == "error_rate"
    client.wait(
        f"{ONE}/history",
        lambda answer: (
            answer.status == 200
            and {"hold", "rollback"} <= {one["verdict"] for one in answer.json["decisions"]}
        ),
    )
    assert f'understudy_rollout_latched{{rollout_id="{ROLLOUT}"}} 1.0' in (
        client.ask("GET", "/metrics").body.decode()
    )

    resumed = client.issue("resume", "the prompt is fixed")
    assert (resumed.status, resumed.json["status"]["is_latched"]) == (200, False)
    killed = client.issue("kill", "wrong tone")
    assert (killed.status, killed.json["status"]["verdict"]) == (200, "rollback")

    assert client.ask("DELETE", ONE).status == 204
    client.wait(f"{ONE}/decision", lambda answer: answer.status == 404)
    assert gates(client) == ("inconclusive", 404, 404)
