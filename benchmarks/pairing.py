"""CPU time per event of pairing, stage by stage, from Kafka to ClickHouse.

An event is one side of a mirrored request. Every stage runs the service's own code and does all
that the stages before it do, in one process and from the first record on; the table shows what
each adds. Stages take turns within a repeat, and the medians over the repeats count.

Counted is the CPU time of this process, all its threads: librdkafka's fetching and decompression,
and, where ClickHouse is chDB, the database engine, whose merges after the last insert are left
out. The producer and the broker run in a process of their own and do not count.

    python benchmarks/pairing.py [--pairs 20000] [--repeat 5] [--broker embedded|real|none]
        [--clickhouse URL] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from rich.table import Table
from workloads import DRAWN, Workload, real

from understudy.analyzers.compare.json_output import compile_json_schema
from understudy.analyzers.compare.options import CompareOptions
from understudy.schemas.events import InvalidEvent, decode_side, encode_event
from understudy.schemas.topics import PARTITIONER, understudy_topics
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.load_buffer import Insertable
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.demo.phrases import DEPARTMENTS, JSON_SCHEMAS
from understudy.streams.demo.simulator import SimulatedMessage, simulate
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.kafka.client_config import consumer_config
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.join import RequestSides
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import BatchOutput, JointOutput, RecordBatch
from understudy.streams.settings import KafkaSettings

RATE_PER_S: Final = 10_000.0
"""Mirrored requests a second; two events each."""
FLUSH_EVENTS: Final = 20_000
"""Window rows are drawn as often, about once a second at that rate."""
BATCH_RECORDS: Final = 10_000
PARTITIONS: Final = 4
LONG_OUTPUT_BYTES: Final = 1_100
WITHOUT, WITH = "without similarity", "with similarity"
GOAL_US: Final = {WITHOUT: 15.0, WITH: 40.0}
CONSUME_TIMEOUT_S: Final = 30.0


# --- what is in the topic ---------------------------------------------------------------------


def as_simulated(messages: Iterator[SimulatedMessage]) -> Iterator[SimulatedMessage]:
    """Events as the simulated gateway writes them."""
    return messages


def long_outputs(messages: Iterator[SimulatedMessage]) -> Iterator[SimulatedMessage]:
    """The same with every text and JSON answer about 1.1 kB long; both sides grow alike."""
    texts: dict[str | None, deque[str]] = defaultdict(lambda: deque(maxlen=40))
    for message in messages:
        event = message.event
        response = event.response if event else None
        if event is None or response is None or not response.output:
            yield message
            continue
        rng = Random(event.pair_id)
        seen = texts[event.language]
        grown = _grown(response.output, seen, rng)
        seen.append(response.output)
        grown_event = msgspec.structs.replace(
            event, response=msgspec.structs.replace(response, output=grown)
        )
        yield replace(message, event=grown_event, payload=encode_event(grown_event))


def _grown(output: str, seen: deque[str], rng: Random) -> str:
    try:
        document = orjson.loads(output)
    except orjson.JSONDecodeError:
        return _grown_text(output, seen, rng)
    indent = orjson.OPT_INDENT_2 if "\n" in output else 0
    return orjson.dumps(_grown_document(document, rng), option=indent).decode()


def _grown_text(output: str, seen: deque[str], rng: Random) -> str:
    parts = [output]
    length = len(output.encode())
    while seen and length < LONG_OUTPUT_BYTES:
        part = rng.choice(seen)
        parts.append(part)
        length += len(part.encode()) + 2
    text = "\n\n".join(parts).encode()[: LONG_OUTPUT_BYTES + rng.randrange(-100, 100)]
    return text.decode(errors="ignore") if seen else output


def _grown_document(document: dict[str, Any], rng: Random) -> dict[str, Any]:
    """More order lines, or more alternatives, until it is long enough; the same on both sides."""
    name = "lines" if "lines" in document else "alternatives"
    more = list(document.get(name, ()))
    while len(orjson.dumps({**document, name: more})) < LONG_OUTPUT_BYTES - 30:
        if name == "lines":
            more.append({**more[0], "quantity": rng.randrange(1, 9)})
        else:
            score = round(rng.random(), 3)
            more.append({"intent": rng.choice(tuple(DEPARTMENTS)), "score": score})
    return {**document, name: more}


WORKLOADS: Final[dict[str, Workload]] = {
    "as simulated": as_simulated,
    "outputs of 1.1 kB": long_outputs,
    **DRAWN,
    **real(),
}


@dataclass(frozen=True, slots=True)
class Log:
    """The records of a workload, in the order in which they were written."""

    payloads: list[bytes]
    keys: list[bytes]
    timestamps_ms: list[int]


def make_log(workload: str, pairs: int, seed: int, rate_per_s: float = RATE_PER_S) -> Log:
    """The records, stamped so that the last arrives about now."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=pairs / rate_per_s + 300.0)
    messages = simulate(seed=seed, pairs=pairs, healthy=False, start=start, rate_per_s=rate_per_s)
    log = Log([], [], [])
    for message in WORKLOADS[workload](messages):
        log.payloads.append(message.payload)
        log.keys.append(message.key.encode())
        log.timestamps_ms.append(int((start.timestamp() + message.arrival_offset_s) * 1000))
    return log


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a workload can be read, and what is in it."""

    events: int
    event_bytes: int
    bootstrap_servers: str = ""
    name: str = ""
    log: Log | None = None


@contextmanager
def topic_of(workload: str, broker: str, pairs: int, seed: int) -> Iterator[Topic]:
    """The workload in a topic, on a broker in another process; or in memory, without one."""
    if broker == "none":
        log = make_log(workload, pairs, seed)
        yield Topic(len(log.payloads), sum(map(len, log.payloads)), log=log)
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, workload, broker, pairs, seed))
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection, workload: str, broker: str, pairs: int, seed: int) -> None:
    """In the other process: run the broker, fill the topic, wait until the benchmark is done."""
    with _broker(broker) as servers:
        name = understudy_topics(f"benchmark-{os.getpid()}.", event_partitions=PARTITIONS).events
        ensure_topics({"bootstrap.servers": servers, "log_level": 0}, [name])
        log = make_log(workload, pairs, seed)
        _produce(servers, name.name, log)
        pipe.send(Topic(len(log.payloads), sum(map(len, log.payloads)), servers, name.name))
        del log
        try:
            pipe.recv()
        except EOFError:
            return


@contextmanager
def _broker(kind: str) -> Iterator[str]:
    if kind == "embedded":
        with EmbeddedBroker() as broker:
            yield broker.bootstrap_servers
        return
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.brokers.choose import start_shared_broker

    real = start_shared_broker()
    try:
        yield real.bootstrap_servers
    finally:
        real.close()


def _produce(bootstrap_servers: str, topic: str, log: Log) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": PARTITIONER,
            "compression.type": "zstd",
            "linger.ms": 20,
            "enable.idempotence": True,
            "max.in.flight": 1,
            "log_level": 0,
        }
    )
    columns = zip(log.payloads, log.keys, log.timestamps_ms, strict=True)
    for payload, key, timestamp_ms in columns:
        while True:
            try:
                producer.produce(topic, payload, key, timestamp=timestamp_ms)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()


# --- reading it ------------------------------------------------------------------------------


def batches(topic: Topic) -> Iterator[tuple[int, RecordBatch]]:
    """Partition and records, as the consumer loop takes them, from the first to the last."""
    return _from_memory(topic.log) if topic.log else _from_kafka(topic)


def _from_memory(log: Log) -> Iterator[tuple[int, RecordBatch]]:
    for start in range(0, len(log.payloads), BATCH_RECORDS):
        part = slice(start, start + BATCH_RECORDS)
        payloads = log.payloads[part]
        offsets = range(start, start + len(payloads))
        yield 0, RecordBatch(payloads, offsets, log.timestamps_ms[part], log.keys[part])


def _from_kafka(topic: Topic) -> Iterator[tuple[int, RecordBatch]]:
    settings = KafkaSettings(bootstrap_servers=topic.bootstrap_servers, client={"log_level": 0})
    consumer = Consumer(consumer_config(settings))
    consumer.assign([TopicPartition(topic.name, p, 0) for p in range(PARTITIONS)])
    missing, deadline = topic.events, time.monotonic() + CONSUME_TIMEOUT_S
    while missing:
        by_partition: dict[Any, list[Any]] = defaultdict(list)
        for message in consumer.consume(BATCH_RECORDS, 0.1):
            if message.error() is None:
                by_partition[message.partition()].append(message)
        for partition, messages in by_partition.items():
            missing -= len(messages)
            yield (
                partition,
                RecordBatch(
                    payloads=[m.value() for m in messages],
                    offsets=[m.offset() for m in messages],
                    timestamps_ms=[m.timestamp()[1] for m in messages],
                    keys=[m.key() for m in messages],
                ),
            )
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"{missing} of {topic.events} events did not come: the embedded broker keeps the "
                "newest 5 MB of a partition; use fewer --pairs, or --broker real"
            )
    consumer.close()


# --- the stages ------------------------------------------------------------------------------


class JoinOnly(Partition):
    """Decodes and joins, then lets go."""

    def take_complete(self, batch: Any) -> tuple[list[RequestSides], list[RequestSides]]:
        for entry in batch.joined.complete:
            entry.release()
        batch.joined.complete.clear()
        return [], []


class NoWindows(Partition):
    """Decodes, joins and compares."""

    @staticmethod
    def _count(batches: Any, compared: Any) -> None:
        compared.written.clear()


class NoDatabase(Loader):
    """Has rows encoded and forgets them."""

    def put(self, blocks: Sequence[Insertable], positions: Mapping[Any, int]) -> None:
        for block in blocks:
            _ = block.payload


def encode_only() -> ClickHouseResults:
    """A store that lays rows out for ClickHouse and sends them nowhere."""
    return ClickHouseResults(NoDatabase(lambda: connect("")), PairingPolicy().window_ms)


def consume_only(topic: Topic) -> None:
    for _ in batches(topic):
        pass


def consume_and_parse(topic: Topic) -> None:
    for _, records in batches(topic):
        for payload in records.payloads:
            try:
                orjson.loads(payload or b"")
            except orjson.JSONDecodeError:
                continue


def consume_and_decode(topic: Topic) -> None:
    for _, records in batches(topic):
        for payload in records.payloads:
            try:
                decode_side(payload)
            except InvalidEvent:
                continue


@dataclass(slots=True)
class Pairing:
    """The consumer loop without rebalance and commits."""

    partition_type: type[Partition]
    similarity: bool
    store: ClickHouseResults | None = None
    states: dict[int, Partition] = field(default_factory=dict)

    def __call__(self, topic: Topic) -> None:
        with garbage_collection_of_a_worker():
            unflushed = 0
            for number, records in batches(topic):
                self._put(number, self._state(number).process(records))
                unflushed += len(records)
                if unflushed >= FLUSH_EVENTS:
                    self._flush()
                    unflushed = 0
            for number, state in self.states.items():
                self._put(number, state.finish())
            self._flush()
            if self.store is not None and not self.store.flush(60.0):
                raise TimeoutError("ClickHouse did not take everything")
            self._check(topic)
            self.states.clear()

    def _state(self, number: int) -> Partition:
        if number not in self.states:
            schemas = {k: compile_json_schema(orjson.dumps(v)) for k, v in JSON_SCHEMAS.items()}
            options = CompareOptions(similarity=self.similarity, json_schemas=schemas)
            self.states[number] = self.partition_type(number, PairingPolicy(compare=options))
        return self.states[number]

    def _put(self, number: int, outcome: BatchOutput) -> None:
        if self.store is not None:
            self.store.put(JointOutput({number: outcome}, outcome.comparisons))

    def _flush(self) -> None:
        for number, state in self.states.items():
            rows = state.draw_rows()
            if self.store is not None:
                self.store.put_rows(rows, {number: state.position})

    def _check(self, topic: Topic) -> None:
        """Every event read must be accounted for, or the figures are of something else."""
        tallies = [state.tally for state in self.states.values()]
        assert sum(t.read for t in tallies) == topic.events
        if self.partition_type is Partition:
            assert sum(t.accounted() for t in tallies) == topic.events


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table; `after` is the stage whose work it repeats and adds to."""

    name: str
    run: Callable[[Topic], None]
    after: str | None = None


def stages(store: ClickHouseResults) -> list[Stage]:
    """All stages, cheapest first."""
    listed = [
        Stage("consume", consume_only),
        Stage("(parse with orjson, nothing else)", consume_and_parse, "consume"),
        Stage("decode and validate", consume_and_decode, "consume"),
        Stage("join", Pairing(JoinOnly, False), "decode and validate"),
    ]
    for similarity in (False, True):
        tail = WITH if similarity else WITHOUT
        names = [f"{name}, {tail}" for name in ("analyzers", "windows", "rows", "ClickHouse")]
        listed += [
            Stage(names[0], Pairing(NoWindows, similarity), "join"),
            Stage(names[1], Pairing(Partition, similarity), names[0]),
            Stage(names[2], Pairing(Partition, similarity, encode_only()), names[1]),
            Stage(names[3], Pairing(Partition, similarity, store), names[2]),
        ]
    return listed


TOTALS: Final = {tail: f"ClickHouse, {tail}" for tail in (WITHOUT, WITH)}


# --- measuring -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """CPU time of one run of one stage, and of the calibration loop before it."""

    us_per_event: float
    calibration_us: float


def measure(topic: Topic, chosen: list[Stage], repeat: int) -> dict[str, list[Sample]]:
    """Samples by stage; the stages take turns."""
    samples: dict[str, list[Sample]] = {stage.name: [] for stage in chosen}
    for _ in range(repeat):
        for stage in chosen:
            calibration_us = calibrate()
            began_s = time.process_time()
            stage.run(topic)
            spent_s = time.process_time() - began_s
            samples[stage.name].append(Sample(spent_s / topic.events * 1e6, calibration_us))
    return samples


_CALIBRATION_DOCUMENT: Final = json.dumps(
    {
        f"field {i}": {"text": "understudy " * 3, "number": i, "list": [i, i + 0.5]}
        for i in range(12)
    }
)


def calibrate() -> float:
    """CPU time in µs of a fixed piece of work: to parse a certain document of 1 kB, json module."""
    rounds = 2_000
    began_s = time.process_time()
    for _ in range(rounds):
        json.loads(_CALIBRATION_DOCUMENT)
    return (time.process_time() - began_s) / rounds * 1e6


def peak_memory_mb() -> float:
    """The most that this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1_048_576 if sys.platform == "darwin" else 1024)


# --- the report ------------------------------------------------------------------------------


def report(topic: Topic, chosen: list[Stage], samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """Medians by stage, and totals held against the goals."""
    medians = {n: statistics.median(s.us_per_event for s in taken) for n, taken in samples.items()}
    rows = [
        {
            "stage": stage.name,
            "adds_us": medians[stage.name] - (medians[stage.after] if stage.after else 0.0),
            "so_far_us": medians[stage.name],
            "least_us": min(s.us_per_event for s in samples[stage.name]),
            "calibrated": statistics.median(
                s.us_per_event / s.calibration_us for s in samples[stage.name]
            ),
        }
        for stage in chosen
    ]
    totals = {
        name: {
            "us": medians[stage],
            "goal_us": GOAL_US[name],
            "met": medians[stage] <= GOAL_US[name],
        }
        for name, stage in TOTALS.items()
    }
    return {
        "events": topic.events,
        "mean_event_bytes": topic.event_bytes / topic.events,
        "stages": rows,
        "totals": totals,
        "calibration_us": statistics.median(
            s.calibration_us for taken in samples.values() for s in taken
        ),
    }


def show(console: Console, workload: str, result: dict[str, Any]) -> None:
    table = Table(
        title=f"{workload}: {result['events']:,} events of {result['mean_event_bytes']:,.0f} B",
        caption=f"calibration loop {result['calibration_us']:.1f} µs",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("stage")
    for name in ("adds µs/event", "so far", "least", "so far / calibration"):
        table.add_column(name, justify="right")
    for row in result["stages"]:
        table.add_row(row["stage"], f"{row['adds_us']:.1f}", f"{row['so_far_us']:.1f}",
                      f"{row['least_us']:.1f}", f"{row['calibrated']:.2f}")  # fmt: skip
    table.add_section()
    for name, total in result["totals"].items():
        verdict = "met" if total["met"] else "missed"
        goal = f"goal {total['goal_us']:.0f}: {verdict}"
        table.add_row(f"total {name}", "", f"{total['us']:.1f}", "", goal)
    console.print(table)


def environment(broker: str, clickhouse: str) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "broker": {"embedded": "librdkafka's mock cluster, other process", "none": "none, memory",
                   "real": "Apache Kafka, other process"}[broker],
        "clickhouse": "chDB in this process" if clickhouse.startswith("chdb") else "server",
    }  # fmt: skip


@contextmanager
def results_store(url: str) -> Iterator[ClickHouseResults]:
    """The service's own loader on a migrated database."""
    migrate(client := connect(url))
    client.close()
    with Loader(lambda: connect(url)) as loader:
        yield ClickHouseResults(loader, PairingPolicy().window_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--broker", choices=("embedded", "real", "none"), default="embedded")
    parser.add_argument("--clickhouse", default="", help="URL; else chDB in a temporary folder")
    parser.add_argument("--workload", choices=tuple(WORKLOADS), action="append")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.clickhouse or f"chdb://{folder}"
        document = run(chosen, url, console)
    if chosen.json:
        print(json.dumps(document, indent=2))


def run(chosen: argparse.Namespace, url: str, console: Console) -> dict[str, Any]:
    """Measure every workload asked for."""
    document: dict[str, Any] = {"environment": environment(chosen.broker, url), "workloads": {}}
    with results_store(url) as store:
        for workload in chosen.workload or WORKLOADS:
            with topic_of(workload, chosen.broker, chosen.pairs, chosen.seed) as topic:
                listed = stages(store)
                result = report(topic, listed, measure(topic, listed, chosen.repeat))
            document["workloads"][workload] = result
            show(console, workload, result)
    document["peak_memory_mb"] = peak_memory_mb()
    document["environment"]["load_average_after"] = [round(load, 2) for load in os.getloadavg()]
    console.print(
        *(f"{name.replace('_', ' ')}: {value}" for name, value in document["environment"].items()),
        f"peak memory, all of it: {document['peak_memory_mb']:,.0f} MB",
        sep="\n",
    )
    return document


if __name__ == "__main__":
    main()
