"""A gateway follows a real worker: over Kafka and over the API, from the policy to the kill."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers.contract import Broker
from tests.integration.processes import COMMAND, Worker, clean_environment, settings, understudy
from tests.waiting import DEADLINE_S, wait_until
from understudy.gateways.allocation import Allocation, in_force
from understudy.gateways.api_decisions import ApiDecisions
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.schemas.topics import ROLLOUT_PARTITIONS, Topics

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROLLOUT = "checkout"
POLICY = f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
mode: interleave
"""
KILL_S = 10.0
"""Two seconds are the aim, from the start of the command on; machines under test share cores."""


@contextmanager
def following(
    broker: Broker, topics: Topics, worker: Worker
) -> Iterator[dict[str, DecisionSource]]:
    prefix = topics.events.name.removesuffix("events")
    url = worker.address("http.started")
    sources: dict[str, DecisionSource] = {
        "Kafka": KafkaDecisions(
            {"bootstrap.servers": broker.bootstrap_servers}, topic_prefix=prefix
        ),
        "the API": ApiDecisions(url, [ROLLOUT]),
    }
    try:
        yield sources
    finally:
        for source in sources.values():
            source.close()


def now_in_force(source: DecisionSource) -> Allocation | None:
    return in_force(source.allocation(ROLLOUT), dt.datetime.now(dt.UTC))


def test_policy_is_obeyed_and_a_kill_stops_the_candidate(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    (tmp_path / "policy.yaml").write_text(POLICY)
    environment = settings(kafka_broker, specs, UNDERSTUDY_DECIDING_SESSION_TIMEOUT_S="6")
    command = (*COMMAND, "worker", "--role", "deciding")
    with (
        Worker(tmp_path, environment, command) as worker,
        following(kafka_broker, specs, worker) as sources,
    ):
        assert all(now_in_force(source) is None for source in sources.values())
        applied = understudy(
            "rollout", "apply", "-f", "policy.yaml", folder=tmp_path, environment=environment
        )
        assert applied.returncode == 0, applied.stderr
        for name, source in sources.items():
            wait_until(lambda s=source: now_in_force(s), f"the first decision over {name}")  # type: ignore[misc]
            found = now_in_force(source)
            assert found is not None
            assert (found.mode, found.candidate_share, found.mirror_share) == ("interleave", 0.5, 1)

        began_s = time.monotonic()
        kill = (*COMMAND, "rollout", "kill", ROLLOUT, "--reason", "tone")
        with subprocess.Popen(
            kill, cwd=tmp_path, env=clean_environment(environment), stdout=subprocess.DEVNULL
        ) as killing:
            for name, source in sources.items():
                wait_until(
                    lambda s=source: (a := now_in_force(s)) and a.mirror_share == 0,  # type: ignore[misc]
                    f"the kill over {name}",
                    poll_s=0.01,
                )
                print(f"{name}: {time.monotonic() - began_s:.2f} s after the start of the command")
            assert time.monotonic() - began_s < KILL_S
            assert killing.wait(DEADLINE_S) == 0
