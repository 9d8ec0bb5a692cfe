"""`understudy demo`: a simulated gateway, a mock broker, pairing and chDB in one process.

The path of an event is the service's own, from the Kafka topic to the tables; only the broker and
the ClickHouse engine are smaller. The simulated clock runs faster than the wall.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, Producer
from rich.console import Console

from understudy.analyzers.compare.json_output import compile_json_schema
from understudy.schemas.windows import WindowsMessage
from understudy.streams.embedded.broker import EmbeddedBroker
from understudy.streams.embedded.phrases import JSON_SCHEMAS
from understudy.streams.embedded.simulator import (
    DEFAULT_RATE_PER_S,
    SimulatedMessage,
    describe_regression,
    simulate,
)
from understudy.streams.embedded.slices import Slices
from understudy.streams.embedded.summary import summarise
from understudy.streams.embedded.view import DemoView, Snapshot
from understudy.streams.errors import FAILED, CommandError
from understudy.streams.kafka import consumer_config, producer_config, topics
from understudy.streams.logs import configure_logs
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.settings import ClickHouseSettings, KafkaSettings, Settings
from understudy.streams.topics import ensure_topics
from understudy.streams.worker import pairing

RUN_S: Final = 30.0
"""Wall time that the simulated traffic is spread over."""
MOST_PAIRS_PER_S: Final = 2_500.0
"""Longer runs go at this rate."""
MAX_UNREAD: Final = 3_000
"""Messages that may wait in the mock broker, which drops the oldest beyond a few MB."""
REFRESH_S: Final = 0.5
DRAIN_S: Final = 30.0
START_S: Final = 30.0


@dataclass(slots=True)
class _Run:
    """What the threads of a demo share."""

    pairs: int
    start: dt.datetime
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    all_sent: bool = False
    event_time: dt.datetime | None = None
    failure: BaseException | None = None

    def fail(self, failure: BaseException) -> None:
        """Stop the demo for a reason."""
        self.failure = self.failure or failure
        self.stop.set()


def run_demo(*, seed: int, pairs: int, healthy: bool, keep: Path | None) -> None:
    """Run the demo and print its summary. Raises `CommandError` when something broke."""
    configure_logs(logging.WARNING)
    folder = _data_folder(keep)
    url = f"chdb://{folder}"
    span = dt.timedelta(seconds=pairs / DEFAULT_RATE_PER_S)
    start = (dt.datetime.now(dt.UTC) - span).replace(microsecond=0) - dt.timedelta(minutes=5)
    run = _Run(pairs, start)
    console = Console()
    with EmbeddedBroker() as broker:
        settings = Settings(
            kafka=KafkaSettings(
                bootstrap_servers=broker.bootstrap_servers,
                client={"log_level": 0, "group.protocol": "consumer"},
            ),
            clickhouse=ClickHouseSettings(url=url),
        )
        ensure_topics(broker.client_config, topics(settings.kafka))
        messages = simulate(seed=seed, pairs=pairs, healthy=healthy, start=start)
        snapshot, slices = _watch(settings, run, messages, console)
    if run.failure is not None:
        raise CommandError(f"the demo stopped: {run.failure}", FAILED)
    regression = describe_regression(pairs=pairs, healthy=healthy, start=start)
    summarise(snapshot, slices.rows, clickhouse_url=url, injected=regression).print(console)


def _data_folder(keep: Path | None) -> Path:
    """Where chDB keeps its data; the last demo's unless another folder is asked for."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise CommandError(f"{keep} is not empty; name a new folder for --keep")
        return keep.resolve()
    folder = Path(tempfile.gettempdir()) / f"understudy-demo-{os.getuid()}"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _watch(
    settings: Settings, run: _Run, messages: Iterator[SimulatedMessage], console: Console
) -> tuple[Snapshot, Slices]:
    """Run all threads, drawing what comes out, until everything has been read."""
    slices = Slices()
    schemas = {name: compile_json_schema(schema) for name, schema in JSON_SCHEMAS.items()}
    policy = settings.pairing_policy()
    policy = replace(policy, compare=replace(policy.compare, json_schemas=schemas))
    with (
        pairing(settings, policy, sources=("events",)) as (consumer,),
        _window_rows(settings) as rows,
        DemoView(console) as view,
    ):
        threads = [
            _thread(run, lambda: consumer.run(run.stop)),
            _thread(run, lambda: _send(settings, run, messages, consumer)),
        ]
        try:
            snapshot = _draw(run, consumer, slices, rows, view)
        finally:
            run.stop.set()
            for thread in threads:
                thread.join()
        slices.update(row for message in rows.take() for row in message.rows)
        snapshot = replace(snapshot, slices=slices.deltas())
        view.show(snapshot)
    return snapshot, slices


def _thread(run: _Run, work: Any) -> threading.Thread:
    def guarded() -> None:
        try:
            work()
        except BaseException as failure:
            run.fail(failure)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def _draw(
    run: _Run, consumer: PairingConsumer, slices: Slices, rows: _WindowRows, view: DemoView
) -> Snapshot:
    """Refresh the view until all events have been read and their windows have come back."""
    started = time.monotonic()
    drained_at: float | None = None
    last_read, last_s = 0, 0.0
    while True:
        elapsed_s = time.monotonic() - started
        slices.update(row for message in rows.take() for row in message.rows)
        progress = consumer.progress()
        rate = (progress["read"] - last_read) / max(elapsed_s - last_s, 1e-3)
        last_read, last_s = progress["read"], elapsed_s
        snapshot = _snapshot(run, progress, slices, elapsed_s, rate)
        view.show(snapshot)
        if run.stop.is_set():
            return snapshot
        if run.all_sent and progress["read"] >= run.sent:
            drained_at = drained_at or elapsed_s
            if slices.events.paired >= 2 * progress["pairs"] or elapsed_s - drained_at > DRAIN_S:
                return snapshot
        time.sleep(REFRESH_S)


def _snapshot(
    run: _Run, progress: dict[str, int], slices: Slices, elapsed_s: float, rate: float
) -> Snapshot:
    return Snapshot(
        elapsed_s=elapsed_s,
        events_per_s=rate,
        events=progress["read"],
        pairs=progress["pairs"],
        unmatched=progress["unmatched"],
        duplicate=progress["duplicate"],
        late=progress["late"],
        invalid=progress["invalid"],
        pending=progress["waiting"],
        progress=min(1.0, progress["pairs"] / run.pairs),
        slices=slices.deltas(),
        event_time=run.event_time,
        note="" if progress["partitions"] else "joining the consumer group",
    )


def _send(
    settings: Settings, run: _Run, messages: Iterator[SimulatedMessage], consumer: PairingConsumer
) -> None:
    """Play the gateway: write messages when the simulated clock says so, and not too far ahead."""
    producer = Producer({**producer_config(settings.kafka), "compression.type": "zstd"})
    topic = topics(settings.kafka).events.name
    _wait_for_assignment(run, consumer)
    span_s = run.pairs / DEFAULT_RATE_PER_S
    speed = span_s / max(RUN_S, run.pairs / MOST_PAIRS_PER_S)
    started = time.monotonic()
    for message in messages:
        while (
            message.arrival_offset_s > (time.monotonic() - started) * speed
            or run.sent - consumer.progress()["read"] > MAX_UNREAD
        ):
            if run.stop.wait(0.01):
                return
        at = run.start + dt.timedelta(seconds=message.arrival_offset_s)
        producer.produce(topic, message.payload, message.key, timestamp=int(at.timestamp() * 1000))
        producer.poll(0)
        run.sent += 1
        run.event_time = at
    producer.flush()
    run.all_sent = True


def _wait_for_assignment(run: _Run, consumer: PairingConsumer) -> None:
    deadline = time.monotonic() + START_S
    while not consumer.partitions and not run.stop.wait(0.05):
        if time.monotonic() > deadline:
            raise TimeoutError("the consumer group did not form")


class _WindowRows:
    """What pairing writes to the windows topic, as anyone else would read it."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._decoder = msgspec.json.Decoder(WindowsMessage)

    def take(self) -> list[WindowsMessage]:
        """What has come since the last call."""
        messages: list[WindowsMessage] = []
        while batch := self._consumer.consume(500, 0.05):
            for message in batch:
                value = message.value()
                if message.error() is None and value is not None:
                    messages.append(self._decoder.decode(value))
        return messages


@contextmanager
def _window_rows(settings: Settings) -> Iterator[_WindowRows]:
    kafka = msgspec.structs.replace(settings.kafka, group_id="understudy-demo-view")
    consumer = Consumer(consumer_config(kafka))
    consumer.subscribe([topics(kafka).windows.name])
    try:
        yield _WindowRows(consumer)
    finally:
        consumer.close()
