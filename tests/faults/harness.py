"""One run: topics, a database, workers; and in the end the comparison with the truth."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Delivered
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer, Fault
from tests.faults.processes import CommandWorker, Killable, Role, Worker, stop, wait_until
from tests.faults.truth import Record, Rules, Truth, truth_of
from tests.faults.workload import Message
from understudy.schemas.topics import understudy_topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.kafka.topic_admin import ensure_topics

PARTITIONS: Final = 3
COMPLETE_S: Final = 120.0
ANY_PARTITION: Final = -1
"""librdkafka's name for the one that the partitioner chooses."""
_ADMIN_S: Final = 15.0
_RETRY_S: Final = 0.2
"""Between two questions to a broker that is coming back."""
RULES: Final = Rules(window_ms=2000, timeout_ms=3000, lateness_ms=4000, skew_ms=60_000)
SESSION_MS: Final = 1500
_HEARTBEAT_MS: Final = 200
_READER_BYTES: Final = 400_000_000
"""Of what a batch unpacks to: four times what the workers' limit has ever been."""


@dataclass(frozen=True)
class Committed:
    """What a group has committed for a partition."""

    offset: int
    position: int
    closed_until_ms: int | None
    watermark_ms: int | None
    waiting_sides: int


class Run:
    """A topic prefix, a group and a database of their own on shared servers."""

    def __init__(
        self,
        broker: Broker,
        clickhouse: ClickHouseServer,
        *,
        protocol: str = "classic",
        partitions: int = PARTITIONS,
        rollout_partitions: int = 1,
        role: Role = "pairing",
        rules: Rules = RULES,
        **settings: str | float,
    ) -> None:
        name = f"run{uuid.uuid4().hex[:12]}"
        self.name = name
        self.broker = broker
        self.clickhouse = clickhouse
        self.protocol = protocol
        self.role = role
        self.rules = rules
        self.group = f"{name}-pairing"
        self.deciding_group = f"{name}-deciding"
        self.topics = understudy_topics(
            f"{name}.", event_partitions=partitions, rollout_partitions=rollout_partitions
        )
        self.workers: list[Killable] = []
        self._log_numbers = count()
        self.published = 0
        self._settings = settings
        self._undelivered: list[str] = []
        self._deleted: dict[int, list[Record]] = {}
        self._askers: dict[str, Consumer] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="understudy-faults-")
        self._config: dict[str, Any] = {
            "bootstrap.servers": broker.bootstrap_servers,
            "log_level": 0,
        }
        self._producer = Producer(
            {**self._config, "partitioner": "murmur2_random", "linger.ms": 1,
             "enable.idempotence": True, "max.in.flight": 1, "reconnect.backoff.max.ms": 500}
        )  # fmt: skip
        self._admin = AdminClient(self._config)
        ensure_topics(self._config, self.topics)
        if protocol == "consumer":
            self._quick_group()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            if worker.exit_code is None:
                worker.kill()
        for asker in self._askers.values():
            asker.close()
        if exc_type is None:
            self._delete()
        self._folder.cleanup()

    def _delete(self) -> None:
        """Make room; what cannot be deleted now does no harm."""
        self._admin.delete_topics([spec.name for spec in self.topics])
        with suppress(ClickHouseError, OSError):
            self.sql(f"DROP DATABASE IF EXISTS {self.name}")

    def _quick_group(self) -> None:
        """The consumer protocol keeps its times in the group's configuration."""
        entries = [
            ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in (
                ("consumer.session.timeout.ms", SESSION_MS),
                ("consumer.heartbeat.interval.ms", _HEARTBEAT_MS),
            )
        ]
        resource = ConfigResource(ResourceType.GROUP, self.group, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(_ADMIN_S)

    # Workers

    def environment(self, instance: str | None = None) -> dict[str, str]:
        """Settings of a worker as variables."""
        client: dict[str, Any] = {"reconnect.backoff.max.ms": 500, "group.protocol": self.protocol}
        if self.protocol == "classic":
            client["session.timeout.ms"] = SESSION_MS
            client["heartbeat.interval.ms"] = _HEARTBEAT_MS
        if instance is not None:
            client["group.instance.id"] = instance
        settings: dict[str, Any] = {
            "kafka_bootstrap_servers": self.broker.bootstrap_servers,
            "kafka_topic_prefix": f"{self.name}.",
            "kafka_group_id": self.group,
            "deciding_group_id": self.deciding_group,
            "alerting_group_id": f"{self.name}-alerting",
            "clickhouse_url": self.clickhouse.url(self.name),
            "clickhouse_batch_age_s": 0.05,
            "pairing_flush_interval_s": 0.1,
            "pairing_batch_records": 40,
            "http_enabled": False,
            "pairing_window_s": self.rules.window_ms // 1000,
            "pairing_join_timeout_s": self.rules.timeout_ms / 1000,
            "pairing_allowed_lateness_s": self.rules.lateness_ms / 1000,
            "pairing_request_time_tolerance_s": self.rules.tolerance_ms / 1000,
            "pairing_retry_grace_s": self.rules.grace_ms / 1000,
            **{f"kafka_client_{k.replace('.', '_')}": v for k, v in client.items()},
            **self._settings,
        }
        return {f"UNDERSTUDY_{name.upper()}": str(value) for name, value in settings.items()}

    def worker(self, instance: str | None = None) -> Worker:
        """A worker in a forked process."""
        worker = Worker(self.environment(instance), self._new_log(), self.role)
        self.workers.append(worker)
        return worker

    def command_worker(self, *, script: str | None = None, **more: str) -> CommandWorker:
        """A worker as the command starts it."""
        worker = CommandWorker(
            {**self.environment(), **more}, self._new_log(), self.role, script=script
        )
        self.workers.append(worker)
        return worker

    def _new_log(self) -> Path:
        return Path(self._folder.name, f"worker{next(self._log_numbers)}.log")

    @property
    def living(self) -> list[Killable]:
        """Workers that run."""
        return [worker for worker in self.workers if worker.exit_code is None]

    def fault(self, fault: Fault) -> None:
        """What ClickHouse does from now on."""
        self.clickhouse.set(self.name, fault)

    # Kafka

    def publish(self, messages: Iterable[Message]) -> None:
        """Write to the events topic, and wait until Kafka has it."""
        for message in messages:
            self.write(self.topics.events.name, message.key, message.value)
            self.published += 1
        self.flush()

    def write(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int = ANY_PARTITION
    ) -> None:
        """Queue a message, for the partition of its key unless another one is named."""
        while True:
            try:
                self._producer.produce(topic, value, key, partition, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def flush(self) -> None:
        """Wait until Kafka has what was queued."""
        assert self._producer.flush(COMPLETE_S) == 0, "Kafka took no messages"
        assert not self._undelivered, self._undelivered

    def _delivered(self, error: KafkaError | None, message: Delivered) -> None:
        if error is not None:
            self._undelivered.append(f"{message.topic()}: {error.str()}")

    def read(self, topic: str) -> dict[int, list[Record]]:
        """All that is in a topic, in order."""
        with _Reader(self._config) as reader:
            return reader.read(topic)

    def headers(self, topic: str) -> list[tuple[Record, dict[str, str]]]:
        """All messages of a topic with their headers."""
        with _Reader(self._config) as reader:
            reader.read(topic)
            return reader.with_headers

    def ends(self) -> dict[int, int]:
        """The next offset of each partition of the events topic."""
        with _Reader(self._config) as reader:
            return {n: high for n, (_, high) in reader.bounds(self.topics.events.name).items()}

    def committed(self) -> dict[int, Committed]:
        """What the group has committed, by partition."""
        if self.group not in self._askers:
            self._askers[self.group] = Consumer({**self._config, "group.id": self.group})
        places = [TopicPartition(self.topics.events.name, n) for n in range(self.partitions)]
        found = self._ask_for_commits(places)
        return {p.partition: committed_of(p) for p in found if p.offset >= 0}

    def _ask_for_commits(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """The group's commits; a broker that comes back is asked until it is the coordinator."""
        deadline = time.monotonic() + _ADMIN_S
        while True:
            try:
                return self._askers[self.group].committed(places, timeout=_ADMIN_S)
            except KafkaException as error:
                if not _is_moving(error.args[0]) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)

    def members(self) -> int:
        """How many members the group has, by the classic protocol."""
        described = self._admin.describe_consumer_groups([self.group])[self.group]
        return len(described.result(_ADMIN_S).members)

    @property
    def partitions(self) -> int:
        return self.topics.events.partitions

    def delete_before(self, offsets: dict[int, int]) -> None:
        """What retention does: records below these offsets are gone, except for the truth."""
        if not offsets:
            return
        for number, records in self.read(self.topics.events.name).items():
            gone = [r for r in records if r.offset < offsets.get(number, 0)]
            self._deleted.setdefault(number, []).extend(gone)
        places = [TopicPartition(self.topics.events.name, n, o) for n, o in offsets.items()]
        for future in self._admin.delete_records(places).values():
            future.result(_ADMIN_S)

    def reset_to_earliest(self) -> None:
        """As Kafka's own tool does it: the offsets alone, and of a group without members.

        The session of a worker that was killed has to run out first.
        """
        with _Reader(self._config) as reader:
            bounds = reader.bounds(self.topics.events.name)
        lows = [TopicPartition(self.topics.events.name, n, low) for n, (low, _) in bounds.items()]
        consumer = Consumer({**self._config, "group.id": self.group})

        def committed() -> bool:
            try:
                consumer.commit(offsets=lows, asynchronous=False)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_MEMBER_ID:
                    raise
                return False
            return True

        try:
            wait_until(committed, f"{self.group} is empty", _ADMIN_S)
        finally:
            consumer.close()

    def limit(self, topic: str, size: int) -> None:
        """The topic takes no larger messages."""
        entry = ConfigEntry(
            "max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET
        )
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for future in self._admin.incremental_alter_configs([resource]).values():
            future.result(_ADMIN_S)
        wait_until(lambda: self._limit_of(topic) == size, "the broker knows of it")

    def _limit_of(self, topic: str) -> int:
        (told,) = self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return int(told.result(_ADMIN_S)["max.message.bytes"].value)

    def wait_until_complete(self, within_s: float = COMPLETE_S) -> float:
        """Wait until all has been read, stored and committed; seconds that it took."""
        started = time.monotonic()
        ends = self.ends()

        def done() -> bool:
            ended = [w for w in self.workers if w.exit_code not in (None, 0, -9, -15)]
            assert not ended, f"a worker ended with {ended[0].exit_code}:\n{ended[0].log[-6000:]}"
            try:
                committed = self.committed()
            except KafkaException:
                return False
            return all(
                n in committed and committed[n].position >= end for n, end in ends.items() if end
            )

        newest = self.living[-1] if self.living else None
        wait_until(done, f"{self.name} is complete", within_s, newest)
        return time.monotonic() - started

    def stop_workers(self) -> None:
        """SIGTERM to all that live; each must end with 0."""
        for worker in self.living:
            stop(worker)

    # ClickHouse

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Ask ClickHouse, past any fault."""
        self.fault(Fault.NONE)
        client = clickhouse_connect.get_client(dsn=self.clickhouse.url(self.name))
        try:
            if statement.startswith("DROP"):
                client.command(statement)
                return []
            return list(client.query(statement).named_results())
        finally:
            client.close()

    def truth(self) -> Truth:
        """By the log and the rules."""
        kept = self.read(self.topics.events.name)
        logs = {n: self._deleted.get(n, []) + records for n, records in kept.items()}
        return truth_of(logs, self.rules)

    def differences(self, truth: Truth) -> list[str]:
        """Everything in the tables that is not as it must be; empty when all is well."""
        return [
            *self._window_differences(truth),
            *self._comparison_differences(truth),
            *self._unmatched_differences(truth),
            *self._dead_letter_differences(truth),
            *self._commit_differences(truth),
            *self._replay_differences(),
        ]

    def _window_differences(self, truth: Truth) -> list[str]:
        rows = self.sql(
            "SELECT *, toUnixTimestamp64Milli(window_start) AS start FROM windows FINAL "
            "WHERE source = 'events'"
        )
        names = ("rollout_id", "mode", "language", "workflow", "start", "partition")
        found = {tuple(row[name] for name in names): row for row in rows}
        said = []
        for name in found.keys() | truth.windows.keys():
            row, wanted = found.get(name), truth.windows.get(name)
            if row is None or wanted is None:
                said.append(f"window {name}: {'missing' if row is None else 'unexpected'}")
                continue
            columns = {c for c in row if c.startswith("events_")} | _MEASURES | wanted.keys()
            wrong = {c: (int(row[c]), wanted[c]) for c in columns if int(row[c]) != wanted[c]}
            if wrong:
                said.append(f"window {name}: found and wanted {wrong}")
            if row["closed"] != (name in truth.closed):
                said.append(f"window {name}: closed is {row['closed']}")
        counted = sum(int(row[c]) for row in rows for c in row if c.startswith("events_"))
        if counted + truth.waiting != truth.read:
            said.append(f"{truth.read} events, {counted} counted, {truth.waiting} waiting")
        return said

    def _comparison_differences(self, truth: Truth) -> list[str]:
        rows = self.sql(
            "SELECT *, toUnixTimestamp64Milli(window_start) AS start, "
            "toUnixTimestamp64Milli(request_time) AS requested_ms FROM comparisons FINAL"
        )
        found = {}
        for row in rows:
            sides = [s for s in ("candidate", "control", "stable") if row[f"has_{s}"]]
            found[row["rollout_id"], row["pair_id"], row["requested_ms"]] = (
                row["partition"], row["offset"], row["start"], row["language"], tuple(sides),
                bool(row["pair_identical"]),
            )  # fmt: skip
        if len(found) != len(rows):
            return [f"{len(rows)} comparisons of {len(found)} requests"]
        return _unequal("comparison", found, truth.comparisons)

    def _unmatched_differences(self, truth: Truth) -> list[str]:
        rows = self.sql("SELECT * FROM unmatched FINAL")
        names = ("rollout_id", "pair_id", "side", "partition", "offset", "reason")
        found = {tuple(row[name] for name in names) for row in rows}
        return [f"unmatched: {one}" for one in found ^ truth.unmatched]

    def _dead_letter_differences(self, truth: Truth) -> list[str]:
        letters = self.headers(self.topics.dead_letters.name)
        found = {
            (int(h["partition"]), int(h["offset"]))
            for _, h in letters
            if h["topic"] == self.topics.events.name
        }
        return [f"dead letter: {one}" for one in found ^ truth.invalid]

    def _commit_differences(self, truth: Truth) -> list[str]:
        """What the last commit says of the end of each partition."""
        said = []
        for number, committed in self.committed().items():
            position, watermark, waiting = truth.ends[number]
            found = (committed.position, committed.watermark_ms, committed.waiting_sides)
            if found != (position, watermark, waiting):
                said.append(f"commit of {number}: {found}, not {position, watermark, waiting}")
        return said

    def _replay_differences(self) -> list[str]:
        """The same key and version is the same row, whoever wrote it and however often."""
        said = []
        for table, key in (
            (
                "windows",
                "source, rollout_id, mode, language, workflow, window_start, partition, version",
            ),
            ("comparisons", "rollout_id, pair_id, request_time"),
        ):
            torn = self.sql(
                f"SELECT {key} FROM (SELECT DISTINCT * FROM {table}) GROUP BY {key} "
                "HAVING count() > 1"
            )
            said += [f"two different rows of {table}: {row}" for row in torn]
        seen: dict[str, str] = {}
        for row in self.window_rows():
            content = json.dumps(row, sort_keys=True)
            key = row_name(row) + f"@{row['version']}"
            if seen.setdefault(key, content) != content:
                said.append(f"two different rows in Kafka: {key}")
        return said

    def window_rows(self) -> list[dict[str, Any]]:
        """Every row in the windows topic, in order."""
        rows = []
        for records in self.read(self.topics.windows.name).values():
            for record in records:
                if record.key is not None:  # compressed poison has none
                    message = msgspec.json.decode(record.value or b"", type=WindowsMessage)
                    rows += map(json.loads, map(msgspec.json.encode, message.rows))
        return rows

    def final_rows(self, rows: Sequence[dict[str, Any]] | None = None) -> dict[str, str]:
        """The row of the highest version of each key, as text.

        Of an open row the version tells only when it was last drawn, so it is left out.
        """
        newest: dict[str, dict[str, Any]] = {}
        for row in self.window_rows() if rows is None else rows:
            known = newest.get(row_name(row))
            if known is None or row["version"] >= known["version"]:
                newest[row_name(row)] = row
        for row in newest.values():
            if not row.get("closed"):
                row["version"] = 0
        return {name: json.dumps(row) for name, row in newest.items()}

    def check(self, without_letter: Iterable[tuple[int, int]] = ()) -> Truth:
        """Fails with every difference; else what was checked.

        One dead letter names all records of a batch that cannot be unpacked: `without_letter` are
        the partitions and offsets of those after the first.
        """
        truth = self.truth()
        assert truth.read == truth.accounted(), "the truth does not add up"
        truth.invalid.difference_update(without_letter)
        differences = self.differences(truth)
        shown = "\n".join(differences[:12])
        assert not differences, f"{len(differences)} differences in {self.name}:\n{shown}"
        return truth

    def summary(self, truth: Truth) -> str:
        """One line on what was checked."""
        kinds: Counter[str] = Counter()
        for counts in truth.windows.values():
            kinds.update({k.removeprefix("events_"): v for k, v in counts.items() if "events" in k})
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        return f"{truth.read} events: {told}, {truth.waiting} waiting"


_MEASURES: Final = {
    "stable_requests", "stable_errors", "stable_output_tokens_sum", "candidate_requests",
    "candidate_errors", "candidate_output_tokens_sum", "pair_pairs", "pair_identical",
    "control_pairs", "control_identical", "pair_lost_stable", "pair_lost_candidate",
    "pair_lost_stable_candidate_errors", "pair_lost_candidate_stable_errors",
    *(f"unresolved_awaiting_{side}{known}" for side in ("stable", "candidate")
      for known in ("", "_errors", "_fallbacks")),
    *(f"{section}_{name}" for section in ("turns", "stable_turns", "candidate_turns")
      for name in ("requests", "first", "earlier", "error_pairs", "error_sums", "error_products",
                   "output_tokens_pairs")),
    "turns_output_tokens_cross_products", "stable_turns_output_tokens_products",
    "candidate_turns_output_tokens_products",
}  # fmt: skip


def row_name(row: dict[str, Any]) -> str:
    """The key of a window row."""
    names = ("source", "rollout_id", "mode", "language", "workflow", "window_start", "partition")
    return "|".join(str(row.get(name) or "") for name in names)


def _unequal(what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> list[str]:
    return [
        f"{what} {name}: {found.get(name)}, not {wanted.get(name)}"
        for name in found.keys() | wanted.keys()
        if found.get(name) != wanted.get(name)
    ]


def _is_moving(error: KafkaError) -> bool:
    """Whether the group's coordinator is just being found, as after a broker's restart."""
    return error.code() in (
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    )


def committed_of(place: TopicPartition) -> Committed:
    """What a commit of ours says."""
    said = json.loads(place.metadata or "{}")
    return Committed(
        place.offset,
        said.get("position", -1),
        said.get("closed_until_ms"),
        said.get("watermark_ms"),
        said.get("waiting_sides", 0),
    )


class _Reader:
    """Reads whole topics, without a group."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.with_headers: list[tuple[Record, dict[str, str]]] = []
        self._consumer = Consumer(
            {**config, "group.id": "reader", "enable.auto.commit": False,
             "auto.offset.reset": "earliest", "enable.partition.eof": False,
             "fetch.wait.max.ms": 10, "receive.message.max.bytes": _READER_BYTES}
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """First and next offset of each partition."""
        found = self._consumer.list_topics(topic, timeout=_ADMIN_S).topics[topic].partitions
        return {n: self._bounds_of(TopicPartition(topic, n)) for n in sorted(found)}

    def _bounds_of(self, place: TopicPartition) -> tuple[int, int]:
        """After a restart a broker first has to become the leader."""
        deadline = time.monotonic() + _ADMIN_S
        while True:
            try:
                return self._consumer.get_watermark_offsets(place, timeout=_ADMIN_S)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def read(self, topic: str) -> dict[int, list[Record]]:
        bounds = self.bounds(topic)
        logs: dict[int, list[Record]] = {n: [] for n in bounds}
        left = {n: high for n, (low, high) in bounds.items() if high > low}
        self._consumer.assign([TopicPartition(topic, n, bounds[n][0]) for n in left])
        deadline = time.monotonic() + COMPLETE_S
        while left and time.monotonic() < deadline:
            for message in self._consumer.consume(5000, 0.05):
                if message.error() is not None:
                    continue
                record = _record(message)
                logs[record.partition].append(record)
                said = {k: (v or b"").decode() for k, v in dict(message.headers() or []).items()}  # type: ignore[arg-type,union-attr]
                self.with_headers.append((record, said))
            left = {n: h for n, h in left.items() if not logs[n] or logs[n][-1].offset < h - 1}
        assert not left, f"{topic} could not be read to its end"
        return logs


def _record(message: Any) -> Record:
    return Record(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
    )
