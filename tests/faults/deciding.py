"""A run of deciding workers: windows of several rollouts, and what a store makes of the log.

The truth is one undisturbed store that takes what Kafka has kept, record by record. Decisions must
be its decisions, to the byte, and the changelog must end with its snapshots, to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from random import Random
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

from tests.analyzers.guardrails.world import Harm, World, replaced
from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.harness import Run
from tests.faults.processes import Role, Worker, wait_until
from tests.faults.truth import Record
from tests.streams.deciding.fake_port import write
from tests.waiting import DEADLINE_S
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.snapshots import RolloutSnapshot, is_slot, snapshot_in
from understudy.streams.deciding.state_store import InvalidMessage, RolloutStateStore
from understudy.streams.kafka.partitioner import partition_of

ROLLOUTS: Final = tuple(f"helpdesk-{number}" for number in range(6))
EVENT_PARTITIONS: Final = (0, 1)
WINDOW_PARTITIONS: Final = 4
SESSION_S: Final = 10.0
"""On a busy machine a worker gets no heartbeat through for seconds, and would be fenced."""
SHORT_SESSION_S: Final = 5.0
"""Where a test waits until a session has run out."""
_POLICY: Final = """
rollout_id: {rollout_id}
models: {{stable: a, candidate: b}}
stages: [shadow, 1%, 5%, 25%]
promotion: automatic
min_requests: 300
min_duration: 1m
independent_requests: true
guardrails:
  - {{metric: error_rate, max_increase: 3pp, warn_margin: 1pp}}
  - {{metric: fallback_rate, max_increase: 5pp, warn_margin: 2pp}}
  - {{metric: duration_p95, max_increase: 50%, action: pause}}
"""

Emitted = tuple[bytes, bytes | None]
Snapshots = dict[bytes, RolloutSnapshot]


def rollout_record(rollout_id: str, margin: str = "3pp") -> bytes:
    """A record with a policy, with some margin of the rate of errors."""
    policy = _POLICY.replace("3pp", margin).format(rollout_id=rollout_id)
    return encode_rollout_record(RolloutRecord(manifest=read_manifest(policy)))


def windows(seed: int, rollout_id: str, count: int) -> Iterator[WindowsMessage]:
    """Messages about a rollout that is healthy, warned of or broken, of two event partitions.

    Each window is sent twice, open and closed, and now and then a message comes again.
    """
    rng = Random(f"{seed} {rollout_id}")
    harm = rng.choice((Harm(), Harm(bad={"error": 0.04}), Harm(bad={"error": 0.15})))
    worlds = [World(requests=25, harm=harm, partition=number) for number in EVENT_PARTITIONS]
    logs = [list(_early_and_closed(w.messages(rng.getrandbits(32), count))) for w in worlds]
    for message in chain.from_iterable(zip(*logs, strict=True)):
        yield _about(message, rollout_id)
        if rng.random() < 0.05:
            yield _about(message, rollout_id)


def _early_and_closed(messages: Iterable[WindowsMessage]) -> Iterator[WindowsMessage]:
    """The windows of one message open, those of the one before closed."""
    before: WindowsMessage | None = None
    for message in messages:
        early = [msgspec.structs.replace(row, closed=False) for row in message.rows]
        version = message.version
        closed = (
            [msgspec.structs.replace(row, version=version) for row in before.rows] if before else []
        )
        yield replaced(message, rows=[*closed, *early])
        before = message


def _about(message: WindowsMessage, rollout_id: str) -> WindowsMessage:
    rows = [msgspec.structs.replace(row, rollout_id=rollout_id) for row in message.rows]
    return replaced(message, rollout_id=rollout_id, rows=rows)


def place_of(record: Record) -> LogPlace:
    """Where a record lies, as decisions that it leads to name it."""
    return LogPlace(record.partition, record.offset, record.timestamp_ms)


def _evaluated(store: RolloutStateStore, record: Record) -> list[Emitted]:
    try:
        output = store.apply_windows(record.key, record.value, place_of(record))
    except InvalidMessage:
        return []
    return [(output.key, value) for value in output.decisions]


CHECKPOINT_INTERVAL_S = 2.0
"""Instead of ten: a test waits for the last checkpoint, and some restart workers many times."""


class DecidingRun(Run):
    """Topics, a group and workers that decide."""

    def __init__(
        self,
        broker: Broker,
        clickhouse: ClickHouseServer,
        session_s: float = SESSION_S,
        *,
        role: Role = "deciding",
        rollouts: Sequence[str] = ROLLOUTS,
        checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S,
        **settings: Any,
    ) -> None:
        super().__init__(
            broker, clickhouse, role=role, rollout_partitions=WINDOW_PARTITIONS,
            deciding_session_timeout_s=session_s,
            deciding_checkpoint_interval_s=checkpoint_interval_s, **settings,
        )  # fmt: skip
        self.rollouts = rollouts

        self.poison: frozenset[int] = frozenset()
        """Versions of messages whose evaluation fails."""

    @property
    def changelog(self) -> str:
        """The topic of the table."""
        prefix = self.topics.events.name.removesuffix("events")
        return f"{prefix}{self.deciding_group}-rollouts-changelog"

    def deciding_worker(
        self, instance: str = "", *, pairing_instance: str | None = None, role: Role | None = None
    ) -> Worker:
        """A worker, under a name of its own or as the same member of the group again."""
        worker = Worker(
            {
                **self.environment(pairing_instance),
                "UNDERSTUDY_DECIDING_INSTANCE_ID": instance,
            },
            self._new_log(),
            role or self.role,
        )
        self.workers.append(worker)
        return worker

    def apply(self) -> None:
        """Write the records, and wait until a worker has applied them: windows come after."""
        self.write_records()
        self.wait_until_decided("the policies")

    def write_records(self, margin: str = "3pp") -> None:
        """Write the records, with some margin of the rate of errors."""
        for name in self.rollouts:
            self.write(self.topics.rollouts.name, name.encode(), rollout_record(name, margin))
        self.flush()

    def windows(self, seed: int, count: int) -> list[WindowsMessage]:
        """Messages about all rollouts, interleaved at random, in order for each."""
        rng = Random(seed)
        logs = {name: list(windows(seed, name, count)) for name in ROLLOUTS}
        turns = [name for name, log in logs.items() for _ in log]
        rng.shuffle(turns)
        iterators = {name: iter(log) for name, log in logs.items()}
        return [next(iterators[name]) for name in turns]

    def send(self, messages: Iterable[WindowsMessage]) -> None:
        """Write messages of windows, and wait until Kafka has them."""
        for message in messages:
            key = message.rollout_id.encode()
            self.write(self.topics.windows.name, key, msgspec.json.encode(message))
        self.flush()

    def undisturbed(self) -> tuple[list[Emitted], Snapshots]:
        """Decisions in order, and the snapshots without parts, by the log."""
        emitted, table, _ = self._by_the_log()
        return emitted, table

    def _by_the_log(self) -> tuple[list[Emitted], Snapshots, bool]:
        """The same, and whether some message at its end has been seen by no look yet."""
        store = RolloutStateStore({})
        emitted: list[Emitted] = []
        for record in self._placed(self.topics.rollouts.name):
            with suppress(InvalidMessage):
                output = store.apply_record(record.key, record.value, place_of(record))
                emitted += [(output.key, value) for value in output.decisions]
        for record in self._placed(self.topics.windows.name):
            if not self.is_poison(record):
                emitted += _evaluated(store, record)
        found = {key: store.snapshot(key) for key in {key for key, _ in emitted}}
        snapshots = {key: one for key, one in found.items() if one is not None}
        awaits_look = any(one.awaits_look for one in snapshots.values())
        return emitted, snapshots, awaits_look

    def _placed(self, topic: str) -> Iterator[Record]:
        """Records of a topic that lie where their keys belong."""
        for number, log in self.read(topic).items():
            for record in log:
                if record.key is None or partition_of(record.key, WINDOW_PARTITIONS) == number:
                    yield record

    def is_poison(self, record: Record) -> bool:
        """Whether evaluating a message of windows fails."""
        if not self.poison:
            return False
        return msgspec.json.decode(record.value or b"", type=WindowsMessage).version in self.poison

    def decisions(self) -> list[Emitted]:
        """All that were emitted, in order for each rollout."""
        logs = self.read(self.topics.decisions.name).values()
        return [(record.key or b"", record.value) for record in chain.from_iterable(logs)]

    def table(self) -> dict[bytes, bytes]:
        """What a new worker would find: the last value of each key."""
        table: dict[bytes, bytes] = {}
        for record in chain.from_iterable(self.read(self.changelog).values()):
            write(table, {record.key or b"": record.value})
        return table

    def snapshots(self) -> Snapshots:
        """The same as snapshots without parts."""
        table = self.table()
        found = {key: snapshot_in(table, key) for key in table if not is_slot(key)}
        return {key: one for key, one in found.items() if one is not None}

    def wait_until_decided(self, what: str = "everything", deadline_s: float = DEADLINE_S) -> None:
        """Wait until the table holds the state of an undisturbed store.

        Workers that fall idle ask for a last look in the log itself, so its end moves once more.
        """

        def done() -> bool:
            ended = [w for w in self.workers if w.exit_code not in (None, 0, -9, -15)]
            assert not ended, f"a worker ended with {ended[0].exit_code}:\n{ended[0].log[-6000:]}"
            _, snapshots, awaits_look = self._by_the_log()
            return bool(self.living) and not awaits_look and self.snapshots() == snapshots

        wait_until(done, f"{what} decided", deadline_s, self.living[-1] if self.living else None)

    def check_decisions(self) -> int:
        """Fails unless all were emitted, in order, and the right one is last; returns how many."""
        expected, snapshots = self.undisturbed()
        found = self.decisions()
        for name in self.rollouts:
            wanted = [value for key, value in expected if key == name.encode()]
            values = [value for key, value in found if key == name.encode()]
            assert wanted, f"{name} is not among {len(expected)} decisions: was its record written?"
            assert list(dict.fromkeys(values)) == wanted, f"{name}: {len(values)} emitted"
            assert values[-1] == wanted[-1], f"{name}: an old decision is last"
        assert self.snapshots() == snapshots, "the table differs"
        return len(expected)

    def ends_of(self, topic: str) -> dict[int, int]:
        """How many records of each partition could be read."""
        return {number: len(log) for number, log in self.read(topic).items()}

    def check_committed_is_kept(self) -> None:
        """What was committed of the windows, and no more, gives at most the table that is there."""
        name = self.topics.windows.name
        places = [TopicPartition(name, number) for number in range(WINDOW_PARTITIONS)]
        asker = Consumer(
            {"bootstrap.servers": self.broker.bootstrap_servers, "group.id": self.deciding_group}
        )
        try:
            offsets = {p.partition: p.offset for p in asker.committed(places, timeout=15.0)}
        finally:
            asker.close()
        emitted = {value for _, value in self.decisions()}
        snapshots = self.snapshots()
        store = RolloutStateStore(self.table())
        for number, log in self.read(name).items():
            for record in log:
                if record.offset < offsets[number]:
                    output = store.apply_windows(record.key, record.value, place_of(record))
                    assert set(output.decisions) <= emitted, "a decision was committed past"
                    assert store.snapshot(output.key) == snapshots[output.key], (
                        "windows were committed past"
                    )
