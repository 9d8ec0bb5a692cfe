"""What the demo sees of a rollout by reading its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from confluent_kafka import Producer

from tests.analyzers.guardrails.world import ROLLOUT, World
from tests.streams.demo.decisions import PROMOTED, ROLLED_BACK, SUSPICIOUS
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.deciding import snapshots
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.state_store import RolloutStateStore
from understudy.streams.demo.rollout_follower import RolloutFollower
from understudy.streams.kafka.client_config import changelog, topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import KafkaSettings, Settings

pytestmark = pytest.mark.embedded

KEY = ROLLOUT.encode()
RECORD = RolloutRecord(
    manifest=read_manifest(f"rollout_id: {ROLLOUT}\nmodels: {{stable: a, candidate: b}}\n")
)
MESSAGES = World().messages(1, 3)
DEADLINE_S = 20.0


class Bench:
    """Topics with a producer and a follower."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        config: dict[str, str | int | float | bool] = {"log_level": 0, "fetch.wait.max.ms": 20}
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, client=config)
        self.settings = Settings(kafka=kafka)
        self.names = topics(kafka)
        ensure_topics(broker.client_config, [*self.names, changelog(self.settings)])
        self._producer = Producer(broker.client_config)
        self.follower = RolloutFollower(self.settings, ROLLOUT)

    def write(self, topic: str, value: bytes, key: bytes = KEY) -> None:
        self._producer.produce(topic, value, key)
        assert self._producer.flush(DEADLINE_S) == 0

    def announce(self, *decisions: Decision) -> None:
        for decision in decisions:
            self.write(self.names.decisions.name, encode_decision(decision))

    def wait(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not done():
            assert time.monotonic() < deadline
            self.follower.update()


@pytest.fixture
def bench(embedded_broker: EmbeddedBroker) -> Iterator[Bench]:
    bench = Bench(embedded_broker)
    yield bench
    bench.follower.close()


def test_the_outcome_is_the_verdict_as_first_emitted(bench: Bench) -> None:
    refresh = msgspec.structs.replace(ROLLED_BACK, is_refresh=True)
    assert bench.follower.outcome is None
    bench.announce(SUSPICIOUS, PROMOTED, ROLLED_BACK, refresh)
    bench.wait(lambda: len(bench.follower.decisions) == 4)
    assert bench.follower.outcome == ROLLED_BACK


@pytest.mark.parametrize("few_rows", [1, 1_000])
def test_evidence_comes_from_the_table_until_all_windows_are_judged(
    bench: Bench, few_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its rows are in parts or not."""
    monkeypatch.setattr(snapshots, "FEW_ROWS", few_rows)
    table: dict[bytes, bytes] = {}
    store = RolloutStateStore(table)
    store.apply_record(KEY, encode_rollout_record(RECORD), LogPlace(0, 0, 1_700_000_000_000))
    for message in MESSAGES:
        bench.write(bench.names.windows.name, msgspec.json.encode(message))
    bench.wait(lambda: bool(bench.follower.slices.rows))
    assert not bench.follower.is_judged
    for message in MESSAGES:
        store.apply_windows(KEY, msgspec.json.encode(message), LogPlace(0, message.version, 0))
        for writes in store.checkpoint(KEY):
            for key, value in writes.items():
                assert value is not None
                bench.write(changelog(bench.settings).name, value, key)
        store.mark_saved(KEY)
    bench.wait(lambda: bench.follower.is_judged)
    assert bench.follower.outcome == bench.follower.current
    bench.announce(msgspec.structs.replace(SUSPICIOUS, partitions={0: -1}))
    bench.wait(lambda: bool(bench.follower.decisions))
    assert bench.follower.current is not None
    assert bench.follower.current.verdict == "hold"
    assert bench.follower.current.evidence
    assert bench.follower.slices.deltas()[0].pairs == sum(
        row.pair.pairs for message in MESSAGES for row in message.rows if row.closed
    )


def test_other_rollouts_are_passed_over(bench: Bench) -> None:
    bench.write(bench.names.decisions.name, b"not even JSON", b"another")
    bench.announce(PROMOTED)
    bench.wait(lambda: bool(bench.follower.decisions))
    assert bench.follower.decisions == [PROMOTED]
