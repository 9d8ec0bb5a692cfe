"""`understudy worker`: pairing, deciding and evaluating, one or all of them as one process.

With all, deciding runs in the main thread, pairing and evaluating in their own. Pairing reads three
topics, events, feedback and evaluations, each in a thread and a consumer group of its own. The HTTP
server has a thread and an event loop of its own in every role.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from typing import Final, Literal

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.alerting.decision_consumer import run_alerting
from understudy.streams.clickhouse.drift_watch import DriftWatch
from understudy.streams.clickhouse.load_buffer import LoadPolicy
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import client_opener
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import keep_rolled_up
from understudy.streams.clickhouse.sink_errors import SinkBroken
from understudy.streams.errors import UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.evaluating.evaluating_runner import run_evaluating
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.http.app import check_access
from understudy.streams.http.clickhouse_server import embedded_clickhouse_server
from understudy.streams.http.server import http_server
from understudy.streams.kafka.access_rights import (
    Right,
    deciding_rights,
    evaluating_rights,
    pairing_rights,
)
from understudy.streams.kafka.client_config import (
    UNTIL_FLUSH_MS,
    changelog,
    client_config,
    consumer_config,
    producer_config,
    topic_of,
    topics,
)
from understudy.streams.kafka.connection_errors import ConnectionErrors, cluster_metadata
from understudy.streams.kafka.explanations import kafka_failure
from understudy.streams.kafka.granted_rights import require_rights
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.monitoring.deciding_metrics import expose_deciding
from understudy.streams.monitoring.drift_metrics import expose_drift
from understudy.streams.monitoring.evaluating_metrics import expose_evaluating
from understudy.streams.monitoring.pairing_monitor import monitor_pairing
from understudy.streams.monitoring.pairing_snapshot import PairingParts
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.pairing.capture_follower import following_captures
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.pairing.evaluation_partition import EvaluationPartition
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.kafka_results import KafkaResults
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition_state import PartitionState
from understudy.streams.replay.stored_trial import page_judge
from understudy.streams.settings import ClickHouseSettings, Settings, SettingsError
from understudy.streams.stop_deadline import stop_deadline
from understudy.streams.stop_signal import set_from_handler

log = structlog.get_logger(__name__)

LOADER_CLOSE_TIMEOUT_S: Final = 2.0
"""For rows that the consumer did not wait for itself when it stopped."""
THREAD_STOP_TIMEOUT_S: Final = 5.0
"""For alerting: what it was sending is sent again after the next start."""
KAFKA_TIMEOUT_S: Final = 30.0
"""For a broker to answer at the start: longer than one takes to restart."""
KAFKA_ATTEMPT_TIMEOUT_S: Final = 1.0
"""For one attempt, so that a stop is noticed soon."""
PROGRESS_INTERVAL_S: Final = 10.0
"""Between log lines with the progress of pairing: often enough to watch, rarely enough to keep."""

EVALUATING_RESTART_S: Final = 15.0
"""So that what fails at once does not fail all the time."""

Role = Literal["pairing", "deciding", "evaluating", "all"]
Run = Callable[[threading.Event], None]
"""Runs until the event is set."""
Expose = Callable[[PairingParts], AbstractContextManager[object]]

COMPONENTS: Final[dict[Role, tuple[str, ...]]] = {
    "pairing": ("pairing",),
    "deciding": ("deciding", "api"),
    "evaluating": ("evaluating",),
    "all": ("pairing", "deciding", "api"),
}
"""What has to run before a worker of the role is ready."""
RIGHTS: Final[dict[Role, tuple[Callable[[Settings], list[Right]], ...]]] = {
    "pairing": (pairing_rights,),
    "deciding": (deciding_rights,),
    "evaluating": (evaluating_rights,),
    "all": (pairing_rights, deciding_rights, evaluating_rights),
}
"""What the user of a worker must be allowed."""
RIGHTS_TIMEOUT_S: Final = 15.0
"""For the broker to tell them."""
STATES: Final[dict[Source, type[PartitionState]]] = {
    "events": Partition,
    "feedback": FeedbackPartition,
    "evaluations": EvaluationPartition,
}


def run_worker(settings: Settings, role: Role = "all", *, log_level: int = logging.INFO) -> None:
    """Run until SIGTERM or SIGINT. Raises `CommandError` when the worker cannot continue."""
    configure_logs(log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: set_from_handler(stop))
    components = WorkerComponents(COMPONENTS[role])
    with _failures_as_command_errors(settings), stop_deadline(stop):
        policy = PairingPolicy.from_settings(settings)
        check_access(settings)
        # Probes are answered from here on, so that waiting for Kafka does not look like a hang.
        with_api, judge = role in ("deciding", "all"), page_judge(settings.clickhouse.url)
        with http_server(settings, components, with_api=with_api, judge=judge):
            if _wait_for_kafka(settings, stop):
                _run_role(settings, role, policy, components, stop)
    log.info("worker.stopped")


@contextmanager
def _failures_as_command_errors(settings: Settings) -> Iterator[None]:
    """Raise failures that an operator can mend as `CommandError`."""
    try:
        yield
    except SinkBroken as error:
        raise CommandError(str(error)) from None
    except KafkaException as error:
        raise kafka_failure(error, settings.kafka) from None
    except TimeoutError as error:
        raise CommandError(f"Kafka: {error}", UNREACHABLE) from None
    except SettingsError as error:
        raise CommandError(str(error), WRONG_USAGE) from None


def _run_role(
    settings: Settings,
    role: Role,
    policy: PairingPolicy,
    components: WorkerComponents,
    stop: threading.Event,
) -> None:
    _prepare_kafka(settings, role)
    pair = partial(_run_pairing, settings, policy, components)
    if role in ("deciding", "all"):
        import_module("understudy.streams.deciding.runner")  # before what exists is frozen
    # Only pairing opens the folder: a worker that decides alone asks another, as anyone would.
    serving = (
        embedded_clickhouse_server(settings.clickhouse)
        if role in ("pairing", "all")
        else nullcontext()
    )
    evaluate = partial(_keep_evaluating, settings, components)
    with serving, garbage_collection_of_a_worker():
        if role == "pairing":
            pair(stop)
        elif role == "deciding":
            _run_deciding(settings, components, stop)
        elif role == "evaluating":
            _run_evaluating(settings, components, stop)
        else:
            with (
                _self_healing_thread(evaluate, stop, "understudy-evaluating"),
                _critical_thread(pair, stop, "understudy-pairing"),
            ):
                _run_deciding(settings, components, stop)


def _prepare_kafka(settings: Settings, role: Role) -> None:
    """Make the topics that the role uses, and raise `AccessDenied` if it may not use them."""
    config = client_config(settings.kafka)
    needed = [right for rights in RIGHTS[role] for right in rights(settings)]
    used = {right.name for right in needed if right.resource == "topic"}
    specs = [*topics(settings.kafka), changelog(settings)]
    require_rights(config, needed, RIGHTS_TIMEOUT_S)
    made = ensure_topics(config, [spec for spec in specs if spec.name in used],
                         replication_factor=settings.kafka.replication_factor)  # fmt: skip
    if made.created:  # the broker tells no rights to a topic that is not there
        require_rights(config, needed, RIGHTS_TIMEOUT_S)


def _run_pairing(
    settings: Settings, policy: PairingPolicy, components: WorkerComponents, stop: threading.Event
) -> None:
    """Read events in this thread, and each other source in one of its own."""
    with (
        pairing(settings, policy, _exposing_pairing(settings, components)) as readers,
        _watching_drift(settings.clickhouse, components),
        _logging_progress(readers),
        ExitStack() as others,
    ):
        events, *rest = readers
        for reader in rest:
            thread = _critical_thread(reader.run, stop, f"understudy-{reader.source}")
            others.enter_context(thread)
        log.info("worker.started", topic=events.topic, group=events.group_id)
        events.run(stop)


def _exposing_pairing(settings: Settings, components: WorkerComponents) -> Expose:
    if not settings.http.enabled:
        return nullcontext
    return partial(monitor_pairing, settings.kafka, settings.http.stall_timeout_s, components)


def _run_deciding(settings: Settings, components: WorkerComponents, stop: threading.Event) -> None:
    """Decide in this thread and alert in another."""
    from understudy.streams.deciding.runner import run_deciding

    alert = partial(run_alerting, settings)
    watch = partial(expose_deciding, components, settings.http.stall_timeout_s)
    with _self_healing_thread(alert, stop, "understudy-alerting"):
        run_deciding(settings, stop, watch=watch)


def _run_evaluating(
    settings: Settings, components: WorkerComponents, stop: threading.Event
) -> None:
    """Evaluate in this thread and ask the judge in another."""
    expose = partial(expose_evaluating, components, settings.http.stall_timeout_s)
    run_evaluating(settings, stop, expose=expose)
    log.info("evaluating.stopped")


def _keep_evaluating(
    settings: Settings, components: WorkerComponents, stop: threading.Event
) -> None:
    """Evaluate beside everything else, which a failure here must not end."""
    while not stop.is_set():
        try:
            _run_evaluating(settings, components, stop)
        except Exception as error:
            log.error("evaluating.failed", error=str(error) or type(error).__name__)
        stop.wait(EVALUATING_RESTART_S)


@contextmanager
def _critical_thread(run: Run, stop: threading.Event, name: str) -> Iterator[None]:
    """Run in a thread inside the context; when either ends, so does the other.

    Raises what ended the thread.
    """
    failures: list[BaseException] = []

    def run_and_stop() -> None:
        try:
            run(stop)
        except BaseException as error:
            failures.append(error)
            stop.set()

    thread = threading.Thread(target=run_and_stop, name=name)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def _self_healing_thread(run: Run, stop: threading.Event, name: str) -> Iterator[None]:
    """Run in a thread inside the context something that recovers from its own failures."""
    thread = threading.Thread(target=run, args=(stop,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(THREAD_STOP_TIMEOUT_S)


def _wait_for_kafka(settings: Settings, stop: threading.Event) -> bool:
    """Whether a broker answers before the worker is to stop. Raises `KafkaException`."""
    errors = ConnectionErrors()
    admin = AdminClient(errors.listening(client_config(settings.kafka)), logger=KAFKA_LOGGER)
    deadline = time.monotonic() + KAFKA_TIMEOUT_S
    while not stop.is_set():
        try:
            cluster_metadata(admin, errors, KAFKA_ATTEMPT_TIMEOUT_S)
        except KafkaException:
            if errors.refusal is not None or time.monotonic() > deadline:
                raise
        else:
            return True
    return False


@contextmanager
def pairing(
    settings: Settings,
    policy: PairingPolicy,
    expose: Expose = nullcontext,
    sources: Sequence[Source] = SOURCES,
) -> Iterator[tuple[PairingConsumer, ...]]:
    """Consumers of the sources, exposed by `expose`; their sinks are closed at the end."""
    load_policy = LoadPolicy(
        batch_rows=settings.clickhouse.batch_rows,
        batch_bytes=settings.clickhouse.batch_bytes,
        batch_age_s=settings.clickhouse.batch_age_s,
        buffer_bytes=settings.clickhouse.buffer_bytes,
    )
    loader = Loader(client_opener(settings.clickhouse.url), load_policy).start()
    try:
        readers = tuple(_consumer(settings, policy, source, loader) for source in sources)
        with (
            following_captures(settings.kafka, policy.captures),
            expose(PairingParts(readers, loader)),
            _rolling_up(settings.clickhouse),
        ):
            yield readers
    finally:
        loader.close(LOADER_CLOSE_TIMEOUT_S)


def _rolling_up(settings: ClickHouseSettings) -> AbstractContextManager[None]:
    """Keep the roll-ups of windows up to date inside the context."""
    interval_s = settings.rollup_interval_s
    if not interval_s:
        return nullcontext()
    run = partial(keep_rolled_up, client_opener(settings.url), interval_s)
    return _self_healing_thread(run, threading.Event(), "understudy-rollups")


@contextmanager
def _watching_drift(settings: ClickHouseSettings, components: WorkerComponents) -> Iterator[None]:
    """Look for drift inside the context, and show what is found."""
    interval_s = settings.drift_interval_s
    if not interval_s:
        yield
        return
    watch = DriftWatch()
    run = partial(watch.run, partial(ReadConnection, settings.url), interval_s)
    with (
        expose_drift(components, watch),
        _self_healing_thread(run, threading.Event(), "understudy-drift"),
    ):
        yield


def _consumer(
    settings: Settings, policy: PairingPolicy, source: Source, loader: Loader
) -> PairingConsumer:
    sent_at_flush = producer_config(settings.kafka, linger_ms=UNTIL_FLUSH_MS)
    producer = BufferedProducer(sent_at_flush)
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
def _logging_progress(readers: Sequence[PairingConsumer]) -> Iterator[None]:
    """Log the progress of pairing every few seconds inside the context."""
    done = threading.Event()

    def log_progress() -> None:
        while not done.wait(PROGRESS_INTERVAL_S):
            for reader in readers:
                log.info("worker.progress", source=reader.source, **reader.progress())

    thread = threading.Thread(target=log_progress, name="understudy-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
