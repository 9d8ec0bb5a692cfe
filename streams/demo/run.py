"""`understudy demo`: a simulated gateway, a mock broker, the whole service and chDB in one process.

The path of an event is the service's own, from the Kafka topic to the tables and the verdict; only
the broker and the ClickHouse engine are smaller. The simulated clock runs faster than the wall.
"""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from understudy.analyzers.compare.json_output import compile_json_schema
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.windows import Source
from understudy.streams.alerting.decision_consumer import run_alerting
from understudy.streams.clickhouse.data_folder import data_folder
from understudy.streams.clickhouse.migrations import client_opener
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.deciding.runner import run_deciding
from understudy.streams.demo.dashboard import demo_dashboard
from understudy.streams.demo.gateway import RUN_S, Gateway
from understudy.streams.demo.phrases import JSON_SCHEMAS
from understudy.streams.demo.record import start_of_traffic
from understudy.streams.demo.rollout_follower import RolloutFollower
from understudy.streams.demo.screen import DemoStatus, DemoView
from understudy.streams.demo.scripted_judge import ScriptedJudge
from understudy.streams.demo.simulator import (
    ROLLOUT_ID,
    RegressionKind,
    describe_regression,
    simulate_requests,
)
from understudy.streams.demo.summary import PROGRAM, DemoResult, program_as_called, summarise
from understudy.streams.errors import FAILED, CommandError
from understudy.streams.evaluating.evaluating_runner import run_evaluating
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.kafka.client_config import changelog, producer_config, topics
from understudy.streams.kafka.embedded_broker import WORKER_CLIENT, EmbeddedBroker
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.logs import configure_logs
from understudy.streams.pairing.consumer import PairingConsumer
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import (
    ClickHouseSettings,
    DecidingSettings,
    KafkaSettings,
    PairingSettings,
    Settings,
)
from understudy.streams.terminal.consoles import SafeConsole
from understudy.streams.worker import pairing

SOURCES_READ: Final[dict[RegressionKind, tuple[Source, ...]]] = {
    "json": ("events",),
    "quality": ("events", "evaluations"),
}
REFRESH_S: Final = 0.5
"""Between two pictures: fluent enough, and redrawing costs little."""
START_TIMEOUT_S: Final = 30.0
"""For the consumer groups to form, which takes about two seconds."""
DRAIN_TIMEOUT_S: Final = 30.0
"""For the last windows to be judged after the last event, as long as the traffic itself."""
STOP_TIMEOUT_S: Final = 15.0
"""For the threads to end; they are daemons, so the process ends in any case."""
STORE_TIMEOUT_S: Final = 10.0
"""For the last decisions to reach ClickHouse, so that the suggested queries find them."""


def policy_text(kind: RegressionKind = "json") -> str:
    """The policy of the demo, in YAML."""
    name = "quality_policy.yaml" if kind == "quality" else "policy.yaml"
    return resources.files(__package__).joinpath(name).read_text("utf-8")


@dataclass(slots=True)
class _DemoThreads:
    """The threads of a demo, which end together."""

    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, work: Callable[[], object]) -> None:
        """Work in a thread; an exception ends the demo."""

        def guarded() -> None:
            try:
                work()
            except BaseException as failure:
                self.fail(failure)

        thread = threading.Thread(target=guarded, daemon=True)
        self.threads.append(thread)
        thread.start()

    def fail(self, failure: BaseException) -> None:
        """Stop the demo because of a failure."""
        self.failure = self.failure or failure
        self.stop.set()

    def end(self) -> None:
        """Stop all threads and wait for them."""
        self.stop.set()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for thread in self.threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def run_demo(
    *,
    seed: int,
    pairs: int,
    healthy: bool,
    keep: Path | None,
    serve: bool = False,
    policy: str | None = None,
    run_s: float = RUN_S,
    kind: RegressionKind = "json",
) -> None:
    """Run the demo and print its summary. Raises `CommandError` when something broke.

    With `serve` its dashboard stays open until Ctrl-C. `run_s` is the wall time of the traffic;
    `policy` replaces the demo's own; `kind` is what breaks, unless `healthy`. The command exits
    with `FAILED` when the verdict is wrong.
    """
    configure_logs(logging.WARNING)
    start = start_of_traffic(pairs)
    console = SafeConsole()
    with data_folder(keep, "demo") as folder, EmbeddedBroker() as broker, ExitStack() as stack:
        settings = _settings(broker, f"chdb://{folder}")
        ensure_topics(broker.client_config, [*topics(settings.kafka), changelog(settings)])
        _apply_policy(settings.kafka, policy or policy_text(kind), start)
        requests = simulate_requests(
            seed=seed, pairs=pairs, healthy=healthy, start=start, kind=kind
        )
        gateway = Gateway(settings.kafka, requests, pairs=pairs, start=start, run_s=run_s)
        dashboard = stack.enter_context(demo_dashboard(settings, ROLLOUT_ID)) if serve else None
        if dashboard is not None:
            dashboard.announce(console)
        status, follower = _watch(settings, gateway, pairs, console, start, kind)
        regression = describe_regression(pairs=pairs, healthy=healthy, start=start, kind=kind)
        result = DemoResult(
            status, follower.outcome, follower.slices.rows, regression, gateway, kind
        )
        program = program_as_called(sys.argv[0], shutil.which(PROGRAM))
        summary = summarise(result, clickhouse_url=settings.clickhouse.url, program=program)
        summary.print(console)
        if dashboard is not None:
            dashboard.stay_open(console)
    if summary.is_wrong:
        raise click.exceptions.Exit(FAILED)


def _settings(broker: EmbeddedBroker, clickhouse_url: str) -> Settings:
    """The service's own, except for times: the simulated clock runs twenty times as fast."""
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            client=dict(WORKER_CLIENT),
        ),
        clickhouse=ClickHouseSettings(url=clickhouse_url, batch_age_s=0.5),
        pairing=PairingSettings(
            join_timeout_s=60.0, allowed_lateness_s=70.0, flush_interval_s=0.25
        ),
        deciding=DecidingSettings(checkpoint_interval_s=1.0),  # the screen shows what it holds
    )


def _apply_policy(kafka: KafkaSettings, policy: str, at: dt.datetime) -> None:
    """Put the policy in force as `understudy rollout apply` does, by the simulated clock."""
    record = RolloutRecord(manifest=read_manifest(policy))
    producer = BufferedProducer(producer_config(kafka))
    producer.send(
        topics(kafka).rollouts.name,
        encode_rollout_record(record),
        record.manifest.rollout_id,
        timestamp_ms=to_epoch_ms(at),
    )
    producer.flush(START_TIMEOUT_S)


def _watch(
    settings: Settings,
    gateway: Gateway,
    pairs: int,
    console: Console,
    start: dt.datetime,
    kind: RegressionKind,
) -> tuple[DemoStatus, RolloutFollower]:
    """Run all threads and draw their progress until everything has been judged."""
    threads = _DemoThreads()
    schemas = {name: compile_json_schema(schema) for name, schema in JSON_SCHEMAS.items()}
    policy = PairingPolicy.from_settings(settings)
    policy = replace(policy, compare=replace(policy.compare, json_schemas=schemas))
    with (
        garbage_collection_of_a_worker(),
        pairing(settings, policy, sources=SOURCES_READ[kind]) as consumers,
        closing(RolloutFollower(settings, ROLLOUT_ID)) as follower,
        DemoView(console) as view,
    ):
        consumer = consumers[0]
        try:
            threads.start(lambda: run_deciding(settings, threads.stop, give_up=threads.fail))
            threads.start(lambda: run_alerting(settings, threads.stop))
            for one in consumers:
                threads.start(partial(one.run, threads.stop))
            if kind == "quality":
                threads.start(partial(_evaluate, settings, gateway, start, threads.stop))
            threads.start(lambda: _mirror(threads, gateway, consumer, follower))
            status = _draw(threads, gateway, pairs, consumer, follower, view)
            if threads.failure is None:
                _wait_until_stored(settings, len(follower.decisions))
        finally:
            threads.end()
    if threads.failure is not None:
        raise CommandError(f"the demo stopped: {threads.failure!r}", FAILED)
    with closing(client_opener(settings.clickhouse.url)()) as client:
        roll_up(client)  # of all that the loader had stored when it closed
    return status, follower


def _evaluate(
    settings: Settings, gateway: Gateway, start: dt.datetime, stop: threading.Event
) -> None:
    """Judge by the simulated clock: an evaluation follows its request by seconds."""
    run_evaluating(
        settings, stop, judge=ScriptedJudge(),
        clock_s=lambda: (gateway.event_time or start).timestamp(),
    )  # fmt: skip


def _mirror(
    threads: _DemoThreads, gateway: Gateway, consumer: PairingConsumer, follower: RolloutFollower
) -> None:
    """Let the gateway begin once both groups have formed and the policy is in force."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (consumer.partitions and follower.decisions):
        if threads.stop.wait(0.05):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the consumer groups did not form within {START_TIMEOUT_S:.0f} s")
    gateway.run(threads.stop, lambda: consumer.progress()["read"])


def _draw(
    threads: _DemoThreads,
    gateway: Gateway,
    pairs: int,
    consumer: PairingConsumer,
    follower: RolloutFollower,
    view: DemoView,
) -> DemoStatus:
    """Refresh the view until all events have been read and their windows have been judged."""
    started = time.monotonic()
    drained_at: float | None = None
    last_read, last_s = 0, 0.0
    while True:
        elapsed_s = time.monotonic() - started
        follower.update()
        progress = consumer.progress()
        rate = (progress["read"] - last_read) / max(elapsed_s - last_s, 1e-3)
        last_read, last_s = progress["read"], elapsed_s
        status = _status(gateway, pairs, progress, follower, elapsed_s, rate)
        view.show(status)
        if threads.stop.is_set():
            return status
        if gateway.is_done and progress["read"] >= gateway.sent:
            drained_at = drained_at or elapsed_s
            has_rows = follower.slices.events.paired >= 2 * progress["pairs"]
            if (has_rows and follower.is_judged) or elapsed_s - drained_at > DRAIN_TIMEOUT_S:
                return status
        time.sleep(REFRESH_S)


def _status(
    gateway: Gateway,
    pairs: int,
    progress: dict[str, int],
    follower: RolloutFollower,
    elapsed_s: float,
    rate: float,
) -> DemoStatus:
    return DemoStatus(
        elapsed_s=elapsed_s,
        events_per_s=rate,
        events=progress["read"],
        pairs=progress["pairs"],
        unmatched=progress["unmatched"],
        duplicate=progress["duplicate"],
        superseded=progress["superseded"],
        late=progress["late"],
        invalid=progress["invalid"],
        pending=progress["waiting"],
        progress=min(1.0, progress["pairs"] / pairs),
        slices=follower.slices.deltas(),
        event_time=gateway.event_time,
        decision=follower.current,
        rollback_applied_after_s=gateway.rollback.after_s if gateway.rollback is not None else None,
    )


def _wait_until_stored(settings: Settings, decisions: int) -> None:
    """Wait until alerting has stored the last decisions."""
    with closing(client_opener(settings.clickhouse.url)()) as client:
        deadline = time.monotonic() + STORE_TIMEOUT_S
        while time.monotonic() < deadline:
            ((stored,),) = client.query("SELECT count() FROM decisions").result_rows
            if stored >= decisions:
                return
            time.sleep(0.1)
