"""How long it takes from the event that tips the evidence to the gateway that obeys.

The whole way, on a real Apache Kafka and with all settings at their defaults: a simulated gateway
writes events to `understudy.events` as they would come, `understudy worker` joins, compares and
decides, and the rollback is read from `understudy.decisions`, as well by what a gateway reads with.
In each repetition another rollout begins healthy; then every answer of the candidate is an error,
or, for a mild regression, one in ten.

Evidence grows by what a flush adds to a slice, so which of its events tipped the balance cannot be
told; the benchmark gives the oldest and the newest of them. Times are the broker's (LogAppendTime),
for rows ClickHouse's when it begins their insert, for the gateway this process's.

    python benchmarks/latency.py [--repeat 15] [--rate 100] [--shares 1.0 0.1] [--json]

Needs what the tests need for a real broker, see tests/README.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from understudy.gateways.kafka_decisions import KafkaDecisions
from understudy.schemas.decisions import Decision, decode_decision
from understudy.schemas.events import Error, Event, Timing, encode_event, event_key
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.topics import PARTITIONER, Topics, understudy_topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.clickhouse.connect import connect
from understudy.streams.demo.simulator import SimulatedMessage, simulate

HEALTHY_S: Final = 3.0
DECIDED_S: Final = 120.0
"""A mild regression takes some hundred requests to be seen."""
HALF_A_SECOND_MS: Final = 500.0
"""ClickHouse dates rows to the second, cut off."""
READ_S: Final = 10.0
"""For the gateway, which needs milliseconds."""
STARTED_S: Final = 60.0
TICK_S: Final = 0.002
POLICY: Final = """
rollout_id: {rollout_id}
models: {{stable: heron-4, candidate: heron-5-preview}}
"""


# --- the service ------------------------------------------------------------------------------


@contextmanager
def kafka() -> Iterator[str]:
    """Addresses of a real broker, as the tests start it."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.brokers.choose import start_shared_broker

    broker = start_shared_broker()
    try:
        yield broker.bootstrap_servers
    finally:
        broker.close()


@contextmanager
def worker(servers: str, prefix: str, folder: Path) -> Iterator[None]:
    """`understudy worker` with its defaults, once it decides."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY")}
    settings = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
        "UNDERSTUDY_KAFKA_GROUP_ID": f"{prefix}pairing",
        "UNDERSTUDY_DECIDING_GROUP_ID": f"{prefix}deciding",
        "UNDERSTUDY_ALERTING_GROUP_ID": f"{prefix}alerting",
        "UNDERSTUDY_CLICKHOUSE_URL": f"chdb://{folder / 'clickhouse'}",
        "UNDERSTUDY_HTTP_ENABLED": "false",
    }
    log = folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "understudy.streams.commands.main", "worker"],
            cwd=folder, env={**ours, **settings}, stderr=stderr,
        )  # fmt: skip
    try:
        _wait_for(log, ("deciding.recovered", "partitions.assigned"))
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(log: Path, events: tuple[str, ...]) -> None:
    deadline = time.monotonic() + STARTED_S
    while not all(event in (told := log.read_text(errors="replace")) for event in events):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the worker does not start:\n{told[-3000:]}")
        time.sleep(0.1)


# --- traffic ----------------------------------------------------------------------------------


class RolledBack(NamedTuple):
    """A rollback, and when a gateway knew of it."""

    message: Message
    seen_ms: float


class Gateway:
    """Writes events when they come, until the rollout is rolled back."""

    def __init__(
        self, servers: str, topics: Topics, rate: float, share: float, decisions: KafkaDecisions
    ) -> None:
        self._topics = topics
        self._share = share
        self._read_decisions = decisions
        self._rate = rate
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": PARTITIONER, "linger.ms": 5,
             "enable.idempotence": True, "max.in.flight": 1, "log_level": 0}
        )  # fmt: skip
        self._decisions = _reader(servers)

    def apply(self, rollout_id: str) -> None:
        """Write the policy, and wait until it is told."""
        self._read_from_the_end()
        record = RolloutRecord(manifest=read_manifest(POLICY.format(rollout_id=rollout_id)))
        self._producer.produce(
            self._topics.rollouts.name, encode_rollout_record(record), rollout_id.encode()
        )
        self._producer.flush()
        self._decided(rollout_id, "hold", STARTED_S)

    def break_down(self, rollout_id: str, seed: int) -> RolledBack:
        """Write healthy requests, then failing ones, until the rollout is rolled back."""
        message = self._written_until_rollback(rollout_id, seed)
        deadline = time.monotonic() + READ_S
        while (seen := self._read_decisions.allocation(rollout_id)) is None or (
            seen.verdict != "rollback"
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the gateway does not see that {rollout_id} was rolled back")
            time.sleep(TICK_S)
        return RolledBack(message, time.time() * 1000)

    def _written_until_rollback(self, rollout_id: str, seed: int) -> Message:
        begun = dt.datetime.now(dt.UTC)
        begun_s = time.monotonic()
        harm_from_s = HEALTHY_S + Random(seed).random()
        pairs = round(self._rate * (harm_from_s + DECIDED_S))
        for message in simulate(
            seed=seed, pairs=pairs, healthy=True, start=begun, rate_per_s=self._rate
        ):
            while time.monotonic() < begun_s + message.arrival_offset_s:
                found = self._decided(rollout_id, "rollback", TICK_S)
                if found is not None:
                    return found
            self._write(rollout_id, message, begun + dt.timedelta(seconds=harm_from_s))
        raise TimeoutError(f"{rollout_id} was not rolled back")

    def _write(self, rollout_id: str, message: SimulatedMessage, harm_from: dt.datetime) -> None:
        event = message.event
        if event is None:
            return
        event = msgspec.structs.replace(event, rollout_id=rollout_id)
        is_harmed = Random(event.pair_id).random() < self._share
        if event.side == "candidate" and event.request_time >= harm_from and is_harmed:
            event = _failed(event)
        key = event_key(event)
        self._producer.produce(self._topics.events.name, encode_event(event), key.encode())
        self._producer.poll(0)

    def _read_from_the_end(self) -> None:
        name = self._topics.decisions.name
        places = [TopicPartition(name, n) for n in range(self._topics.decisions.partitions)]
        for place in places:
            place.offset = self._decisions.get_watermark_offsets(place)[1]
        self._decisions.assign(places)

    def _decided(self, rollout_id: str, verdict: str, within_s: float) -> Message | None:
        deadline = time.monotonic() + within_s
        while True:
            message = self._decisions.poll(max(0.0, deadline - time.monotonic()))
            if message is not None and message.error() is None and message.value():
                decision = decode_decision(_bytes(message.value()))
                if (decision.rollout_id, decision.verdict) == (rollout_id, verdict):
                    return message
            elif time.monotonic() >= deadline:
                return None


def _failed(event: Event) -> Event:
    return msgspec.structs.replace(
        event, response=None, usage=None, fallback=None,
        error=Error(type="server_error", status=503), timing=Timing(duration_ms=700.0),
    )  # fmt: skip


# --- what the topics say ----------------------------------------------------------------------


class Delays(NamedTuple):
    """Seconds until the decision was on its topic, and from there on."""

    oldest_event_s: float
    newest_event_s: float
    windows_s: float
    gateway_s: float


class RowDelays(NamedTuple):
    """Seconds until the row of a window was in ClickHouse."""

    oldest_row_s: float
    newest_row_s: float


@dataclass
class Logs:
    """All that was written to the topics of events and windows."""

    event_times_ms: dict[int, list[int]]
    windows: dict[str, list[tuple[int, WindowsMessage]]]
    """By rollout, with timestamps, in order."""

    @classmethod
    def read(cls, servers: str, topics: Topics) -> Logs:
        """Read both topics to their ends."""
        times: dict[int, list[int]] = {n: [] for n in range(topics.events.partitions)}
        for message in _all(servers, topics.events.name, topics.events.partitions):
            times[message.partition() or 0].append(message.timestamp()[1])
        windows: dict[str, list[tuple[int, WindowsMessage]]] = {}
        for message in _all(servers, topics.windows.name, topics.windows.partitions):
            told = msgspec.json.decode(_bytes(message.value()), type=WindowsMessage)
            windows.setdefault(told.rollout_id, []).append((message.timestamp()[1], told))
        return cls(times, windows)

    def delays(self, rolled_back: RolledBack) -> Delays:
        """How old what tipped the balance was when a decision had been written."""
        told = rolled_back.message
        decision = decode_decision(_bytes(told.value()))
        at_ms = told.timestamp()[1]
        windows_ms, partition, offsets = self._tipping(decision, at_ms)
        times_ms = [self.event_times_ms[partition][offset] for offset in offsets]
        return Delays(
            (at_ms - min(times_ms)) / 1000,
            (at_ms - max(times_ms)) / 1000,
            (at_ms - windows_ms) / 1000,
            max(0.0, (rolled_back.seen_ms - at_ms) / 1000),
        )

    def row_delays(self, rows: Iterable[tuple[str, int, int, float]]) -> Iterator[RowDelays]:
        """Yield how old what a row has that the one before it had not was when it was inserted.

        `rows` have rollout, partition, version and when their insert began, in milliseconds.
        """
        before: dict[tuple[str, int, int], int] = {}
        for rollout_id, messages in self.windows.items():
            seen = dict[int, int]()
            for _, told in messages:
                if told.version > seen.get(told.partition, 0):
                    key = rollout_id, told.partition, told.version
                    before[key] = seen.get(told.partition, 0)
                    seen[told.partition] = told.version
        for rollout_id, partition, version, loaded_ms in rows:
            first = before.get((rollout_id, partition, version))
            if first:  # of the first row of a partition it is not known which events are new
                times_ms = self.event_times_ms[partition][first:version]
                yield RowDelays(
                    (loaded_ms - min(times_ms)) / 1000, (loaded_ms - max(times_ms)) / 1000
                )

    def _tipping(self, decision: Decision, at_ms: int) -> tuple[int, int, range]:
        """When the last message that the decision rests on was written, and its new events."""
        seen = dict[int, int]()
        found = None
        for written_ms, told in self.windows[decision.rollout_id]:
            before = seen.get(told.partition, 0)
            seen[told.partition] = told.version
            if seen == decision.partitions and written_ms <= at_ms and told.version > before:
                found = (written_ms, told.partition, range(before, told.version))
        if found is None:
            raise ValueError(
                f"no message of windows leads to the decision on {decision.rollout_id}"
            )
        return found


def _reader(servers: str) -> Consumer:
    return Consumer(
        {"bootstrap.servers": servers, "group.id": "latency", "enable.auto.commit": False,
         "fetch.wait.max.ms": 10, "log_level": 0}
    )  # fmt: skip


def _all(servers: str, topic: str, partitions: int) -> Iterator[Message]:
    """Every message of a topic; of each partition in order."""
    consumer = _reader(servers)
    ends = {
        n: consumer.get_watermark_offsets(TopicPartition(topic, n))[1] for n in range(partitions)
    }
    left = {n: end for n, end in ends.items() if end}
    consumer.assign([TopicPartition(topic, n, 0) for n in left])
    while left:
        for message in consumer.consume(1000, 1.0):
            if message.error() is None:
                yield message
                if (message.offset() or 0) + 1 >= ends[number := message.partition() or 0]:
                    left.pop(number, None)
    consumer.close()


def _bytes(value: bytes | str | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


# --- the report -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measured:
    """Delays of rollbacks by the share of answers that failed, and of rows."""

    rollbacks: dict[float, list[Delays]]
    rows: list[RowDelays]


def measure(chosen: argparse.Namespace, console: Console) -> Measured:
    """The delays of so many rollbacks, one after the other, of one worker."""
    prefix = f"latency-{os.getpid()}."
    topics = understudy_topics(prefix)
    with kafka() as servers, tempfile.TemporaryDirectory() as folder:
        told: dict[float, list[RolledBack]] = {}
        with (
            worker(servers, prefix, Path(folder)),
            closing(KafkaDecisions({"bootstrap.servers": servers}, topic_prefix=prefix)) as read,
        ):
            for share in chosen.shares:
                gateway = Gateway(servers, topics, chosen.rate, share, read)
                for number in range(chosen.repeat):
                    rollout_id = f"rollout-{share:g}-{number}"
                    gateway.apply(rollout_id)
                    told.setdefault(share, []).append(gateway.break_down(rollout_id, seed=number))
                    console.print(f"{rollout_id} is rolled back", style="dim")
        logs = Logs.read(servers, topics)
        rows = stored_rows(Path(folder), without=rollout_id)
        return Measured(
            {share: [logs.delays(one) for one in some] for share, some in told.items()},
            list(logs.row_delays(rows)),
        )


def stored_rows(folder: Path, without: str) -> list[tuple[str, int, int, float]]:
    """Rollout, partition, version and time of the insert of rows of windows that are not closed.

    Of each window the last version is left. Rows of one rollout are left out: what was stored when
    the worker stopped did not wait as long as usual.
    """
    client = connect(f"chdb://{folder / 'clickhouse'}")
    try:
        found = client.query(
            "SELECT rollout_id, partition, version, toUnixTimestamp(loaded_at) "
            "FROM windows FINAL WHERE NOT closed AND rollout_id != {without:String}",
            {"without": without},
        )
        return [
            (str(name), int(n), int(v), 1000.0 * s + HALF_A_SECOND_MS)
            for name, n, v, s in found.result_rows
        ]
    finally:
        client.close()


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile and the longest."""
    ordered = sorted(seconds)
    return {
        "median_s": statistics.median(ordered),
        "p95_s": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
        "max_s": ordered[-1],
    }


TITLES: Final = {
    "oldest_event_s": "oldest event that may have tipped it → decision",
    "newest_event_s": "newest event that may have tipped it → decision",
    "windows_s": "of this: message of windows → decision",
    "gateway_s": "decision → the gateway knows it",
}
ROW_TITLES: Final = {
    "oldest_row_s": "oldest new event of a row → row in ClickHouse",
    "newest_row_s": "newest → row in ClickHouse",
}


def report(measured: Measured, rate: float) -> dict[str, Any]:
    """Figures, and what they depend on besides the code."""
    return {
        "requests_per_s": rate,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "rollbacks": [
            {"failing": share, "count": len(some), "seconds": _summaries(some, TITLES)}
            for share, some in measured.rollbacks.items()
        ],
        "rows": {"count": len(measured.rows), "seconds": _summaries(measured.rows, ROW_TITLES)},
    }


def _summaries(delays: Sequence[Any], titles: Mapping[str, str]) -> dict[str, dict[str, float]]:
    return {name: summary([getattr(one, name) for one in delays]) for name in titles if delays}


def show(console: Console, document: dict[str, Any]) -> None:
    table = Table(
        title=f"rollbacks at {document['requests_per_s']:g} requests/s",
        caption=f"{document['machine']}, load {document['load_average'][0]}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("seconds")
    for name in ("median", "95 %", "longest"):
        table.add_column(name, justify="right")
    parts = [
        (f"{part['failing']:.0%} of the candidate's answers fail, {part['count']} rollbacks", part)
        for part in document["rollbacks"]
    ]
    for title, part in [*parts, (f"{document['rows']['count']} rows of windows", document["rows"])]:
        table.add_section()
        table.add_row(title, style="bold")
        for name, figures in part["seconds"].items():
            shown = (f"{value:.2f}" for value in figures.values())
            table.add_row((TITLES | ROW_TITLES)[name], *shown)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15, help="rollbacks of each share")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[1.0, 0.1], help="of answers that fail"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    document = report(measure(chosen, console), chosen.rate)
    show(console, document)
    if chosen.json:
        print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
