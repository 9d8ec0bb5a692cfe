"""`understudy worker`: pairing, deciding or both as one process, from start to graceful stop.

With both, deciding has the main thread and pairing one of its own. Pairing reads two topics, events
and feedback, each in a thread and a consumer group of its own.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Final, Literal

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.alerting.service import run_alerting
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrate import client_opener
from understudy.streams.clickhouse.sink_errors import SinkBroken
from understudy.streams.errors import UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.http.probe_server import serving
from understudy.streams.http.tokens import read_tokens
from understudy.streams.kafka.client_config import (
    client_config,
    consumer_config,
    producer_config,
    topic_of,
    topics,
)
from understudy.streams.kafka.producer import BufferedProducer, DeliveryFailed
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.monitoring.deciding_metrics import expose_deciding
from understudy.streams.monitoring.pairing_monitor import monitor_pairing
from understudy.streams.monitoring.pairing_snapshot import PairingParts
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.kafka_results import KafkaResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition import Partition
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

CLOSE_S: Final = 2.0
"""For what the consumer has not waited for itself when it stopped."""
ASIDE_S: Final = 5.0
"""For alerting and the API to end."""
KAFKA_PATIENCE_S: Final = 30.0
KAFKA_ATTEMPT_S: Final = 1.0
REPORT_EVERY_S: Final = 10.0

Role = Literal["pairing", "deciding", "all"]
Beside = Callable[[threading.Event], None]
Aside = Callable[[Settings, threading.Event], None]

PARTS: Final[dict[Role, tuple[str, ...]]] = {
    "pairing": ("pairing",),
    "deciding": ("deciding",),
    "all": ("pairing", "deciding"),
}
STATES: Final[dict[Source, type[PartitionState]]] = {
    "events": Partition,
    "feedback": FeedbackPartition,
}
Serve = Callable[[PairingParts], AbstractContextManager[object]]


def run_worker(settings: Settings, role: Role = "all") -> None:
    """Run until SIGTERM or SIGINT. Raises `CommandError` when going on is impossible."""
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    policy = _policy(settings)
    with _told_to_people():
        read_tokens(settings.api.tokens)
        if not _wait_for_kafka(settings, stop):
            return
        ensure_topics(client_config(settings.kafka), topics(settings.kafka),
                      replication_factor=settings.kafka.replication_factor)  # fmt: skip
        components = WorkerComponents(PARTS[role])
        pair = partial(_run_pairing, settings, policy, components)
        if role != "pairing":
            import_module("understudy.streams.deciding.runner")  # before what exists is frozen
        with garbage_collection_of_a_worker(), serving(settings.serving, components):
            if role == "pairing":
                pair(stop)
            else:
                beside = pair if role == "all" else None
                _run_deciding(settings, components, stop, beside)
    log.info("worker.stopped")


@contextmanager
def _told_to_people() -> Iterator[None]:
    """Failures that operators know how to mend, as `CommandError`."""
    try:
        yield
    except (SinkBroken, DeliveryFailed) as error:
        raise CommandError(str(error)) from None
    except KafkaException as error:
        raise CommandError(f"Kafka: {error.args[0]}", UNREACHABLE) from None
    except TimeoutError as error:
        raise CommandError(f"Kafka: {error}", UNREACHABLE) from None
    except SettingsError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


def _run_pairing(
    settings: Settings, policy: PairingPolicy, components: WorkerComponents, stop: threading.Event
) -> None:
    """Read events in this thread and feedback beside it."""
    with (
        pairing(settings, policy, _monitor(settings, components)) as (events, feedback),
        _reporting((events, feedback)),
    ):
        log.info("worker.started", topic=events.topic, group=events.group_id)
        with _beside(feedback.run, stop, "understudy-feedback"):
            events.run(stop)


def _monitor(settings: Settings, components: WorkerComponents) -> Serve:
    if not settings.serving.enabled:
        return nullcontext
    return partial(monitor_pairing, settings.kafka, settings.serving.stall_s, components)


def _run_deciding(
    settings: Settings, components: WorkerComponents, stop: threading.Event, beside: Beside | None
) -> None:
    """Decide in this thread and do the rest beside it; when either ends, so does the other."""
    from understudy.streams.deciding.runner import run_deciding

    watch = partial(expose_deciding, components, settings.serving.stall_s)
    with (
        _aside(run_alerting, "understudy-alerting", settings, stop),
        _aside(_serve_api, "understudy-api", settings, stop),
        _beside(beside, stop, "understudy-pairing"),
    ):
        run_deciding(settings, stop, watch=watch)


@contextmanager
def _beside(run: Beside | None, stop: threading.Event, name: str) -> Iterator[None]:
    """Run in a thread meanwhile; when either ends, so does the other. Raises what ended it."""
    failures: list[BaseException] = []

    def caught() -> None:
        try:
            if run is not None:
                run(stop)
        except BaseException as error:
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=caught, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def _aside(run: Aside, name: str, settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Run in a thread what looks after its own failures; in the end it has a few seconds."""
    thread = threading.Thread(target=run, args=(settings, stop), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(ASIDE_S)


def _serve_api(settings: Settings, stop: threading.Event) -> None:
    from understudy.streams.http.service import run_api

    if settings.api.enabled:
        run_api(settings, stop)


def _policy(settings: Settings) -> PairingPolicy:
    try:
        return PairingPolicy.from_settings(settings)
    except SettingsError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


def _wait_for_kafka(settings: Settings, stop: threading.Event) -> bool:
    """Whether a broker answers, before the worker is told to stop. Raises `KafkaException`."""
    admin = AdminClient(client_config(settings.kafka), logger=KAFKA_LOGGER)
    deadline = time.monotonic() + KAFKA_PATIENCE_S
    while not stop.is_set():
        try:
            admin.list_topics(timeout=KAFKA_ATTEMPT_S)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
        else:
            return True
    return False


@contextmanager
def pairing(
    settings: Settings,
    policy: PairingPolicy,
    serve: Serve = nullcontext,
    sources: Sequence[Source] = SOURCES,
) -> Iterator[tuple[PairingConsumer, ...]]:
    """A reader of each source; their sinks are closed in the end, and `serve` tells of all."""
    load_policy = LoadPolicy(
        batch_rows=settings.clickhouse.batch_rows,
        batch_bytes=settings.clickhouse.batch_bytes,
        batch_age_s=settings.clickhouse.batch_age_s,
        buffer_bytes=settings.clickhouse.buffer_bytes,
    )
    loader = Loader(client_opener(settings.clickhouse.url), load_policy).start()
    try:
        readers = tuple(_reader(settings, policy, source, loader) for source in sources)
        with serve(PairingParts(readers, loader)):
            yield readers
    finally:
        loader.close(CLOSE_S)


def _reader(
    settings: Settings, policy: PairingPolicy, source: Source, loader: Loader
) -> PairingConsumer:
    producer = BufferedProducer(producer_config(settings.kafka))
    return PairingConsumer(
        consumer_config(settings.kafka, source),
        topic_of(settings.kafka, source),
        policy,
        KafkaResults(producer, topics(settings.kafka)),
        ClickHouseResults(loader, policy.window_ms, source),
        state=STATES[source],
        batch_records=settings.pairing.batch_records,
        flush_interval_s=settings.pairing.flush_interval_s,
    )


@contextmanager
def _reporting(readers: Sequence[PairingConsumer]) -> Iterator[None]:
    """Log every few seconds what the worker does."""
    done = threading.Event()

    def report() -> None:
        while not done.wait(REPORT_EVERY_S):
            for reader in readers:
                log.info("worker.progress", source=reader.source, **reader.progress())

    thread = threading.Thread(target=report, name="understudy-report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
