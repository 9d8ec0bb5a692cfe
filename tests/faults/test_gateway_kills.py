"""Gateways that are killed while they mirror requests to a candidate that is as good as stable.

The sides of a request reach Kafka together, so no answer counts as lost, and what a kill cut off is
published as dropped by the next process, so nothing is missing either. That holds for a kill
between two sides as well, and for one of the process that tells. 100 kills:
`UNDERSTUDY_TEST_KILLS=100`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.brokers.contract import Broker
from tests.faults.gateway_process import ROLLOUT
from tests.integration.topic_log import read_topic
from tests.waiting import DEADLINE_S, wait_until
from understudy.schemas.events import Event, decode_event
from understudy.schemas.topics import Topics

pytestmark = [pytest.mark.faults, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("UNDERSTUDY_TEST_KILLS", "20"))
LONGEST_LIFE_S = 0.8
"""Several times the longest call: many requests end, and some are under way at any moment."""
POLICY = f"rollout_id: {ROLLOUT}\nmodels: {{stable: a, candidate: b}}\n"


class Gateways:
    """Processes of one gateway, one after the other."""

    def __init__(self, broker: Broker, topics: Topics, folder: Path) -> None:
        self.mirrored_file, self.journal = folder / "mirrored", folder / "journal"
        prefix = topics.events.name.removesuffix("events")
        places = (broker.bootstrap_servers, prefix, str(self.journal), str(self.mirrored_file))
        self._command = (sys.executable, "-m", "tests.faults.gateway_process", *places)

    def start(self) -> subprocess.Popen[bytes]:
        """A process that serves."""
        made = subprocess.Popen(self._command, cwd=ROOT, stdout=subprocess.PIPE)
        assert made.stdout is not None
        assert made.stdout.readline() == b"serving\n"
        return made

    def mirrored(self) -> set[str]:
        """Requests of which the candidate was asked."""
        return set(self.mirrored_file.read_text().split())


def test_killed_gateways_lose_no_answer_and_tell_what_they_lost(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    specs = topics()
    gateways = Gateways(kafka_broker, specs, tmp_path)
    chance = random.Random(1)
    for _ in range(KILLS):
        gateway = gateways.start()
        time.sleep(chance.uniform(0.0, LONGEST_LIFE_S))  # the moment is what is tested
        gateway.kill()
        assert gateway.wait() == -signal.SIGKILL
    last = gateways.start()
    wait_until(
        lambda: len(list(gateways.journal.iterdir())) == 1, "the journals of the dead are told"
    )
    last.terminate()
    assert last.wait(DEADLINE_S) == 0
    assert list(gateways.journal.iterdir()) == []

    payloads = [r.value for log in read_topic(kafka_broker, specs.events.name) for r in log]
    requests: dict[str, list[Event]] = defaultdict(list)
    for event in map(decode_event, payloads):
        requests[event.pair_id].append(event)
    mirrored = gateways.mirrored()
    dropped = {name for name, events in requests.items() if _is_dropped(events[0])}
    again = [name for name, events in requests.items() if len(events) > 2]
    counts = f"{len(mirrored)} mirrored, {len(dropped)} dropped, {len(again)} published again"
    print(f"{KILLS} kills, {counts}")
    assert mirrored <= requests.keys(), "every mirrored request is counted, or its loss is told"
    for name, events in requests.items():
        assert {event.side for event in events} == {"stable", "candidate"}, f"both sides of {name}"
    decision = _replayed(payloads, tmp_path)
    assert decision["verdict"] == "hold", decision["reasons"]
    assert decision["quality"]["lost_stable_share"] == 0
    assert decision["quality"]["lost_candidate_share"] == 0
    assert decision["quality"]["unmatched_share"] == 0


def _is_dropped(event: Event) -> bool:
    return event.error is not None and event.error.type == "mirror_dropped"


def _replayed(payloads: list[bytes | None], folder: Path) -> dict[str, dict[str, float]]:
    """What the default policy decides about the events."""
    events, policy = folder / "events.ndjson", folder / "policy.yaml"
    events.write_bytes(b"\n".join(payload or b"" for payload in payloads))
    policy.write_text(POLICY)
    command = ("replay", "--json", "--policy", str(policy), str(events))
    ran = subprocess.run(
        [sys.executable, "-m", "understudy.streams.commands.main", *command],
        capture_output=True, check=True, cwd=folder,
    )  # fmt: skip
    found: dict[str, dict[str, float]] = msgspec.json.decode(ran.stdout)["decision"]
    return found
