"""CPU time of a worker at the rates that people have, from idle to a thousand requests a second.

`understudy worker` runs as a process of its own with its defaults, ClickHouse (chDB) within, and
decides about one rollout of three languages under the default policy. A producer writes simulated
requests when they come. Counted is the CPU time of the worker's process, all its threads, between
two moments after it has settled; broker and producer are processes of their own.

    python benchmarks/live_rates.py [--rates 0 1 10 100 1000] [--partitions 1 12 64]
        [--role all|pairing] [--seconds 20] [--broker real|embedded] [--against REVISION] [--json]

With `--against` a worker of another revision reads copies of the same messages at the same time, so
that other load on the machine falls on both. The embedded broker has four partitions, always.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from confluent_kafka import Producer
from revisions import THIS, Code, code_of
from rich.console import Console
from rich.table import Table

from understudy.schemas.events import encode_event, event_key
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.topics import Topics, understudy_topics
from understudy.streams.demo.simulator import LANGUAGE_SHARES, simulate
from understudy.streams.kafka.client_config import PARTITIONER
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS, EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics

ROLLOUT_ID: Final = "live"
POLICY: Final = f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5-preview}}"
LANGUAGES: Final = ("en", "zh-Hans", "ja")
SETTLE_S: Final = 5.0
"""After a change of the rate, before counting begins: several flushes."""
IDLE_SETTLE_S: Final = 50.0
"""Before an idle worker is measured: until the roll-ups, made every 45 s by default, have what came
before. A run of them takes half a second."""
STARTED_S: Final = 90.0
WARM_UP_RATE: Final = 10.0
"""Requests a second until the first rows are stored, before which tables are made: a second of CPU
time, and half a minute on a busy machine."""
LOG: Final = "log"
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
GROUPS: Final = {
    "pairing": "UNDERSTUDY_KAFKA_GROUP_ID",
    "deciding": "UNDERSTUDY_DECIDING_GROUP_ID",
    "alerting": "UNDERSTUDY_ALERTING_GROUP_ID",
}


# --- the service ------------------------------------------------------------------------------


@contextmanager
def broker(kind: str) -> Iterator[str]:
    """Addresses of a broker that is started for this."""
    if kind == "embedded":
        with EmbeddedBroker() as embedded:
            yield embedded.bootstrap_servers
        return
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.brokers.choose import start_shared_broker

    real = start_shared_broker()
    try:
        yield real.bootstrap_servers
    finally:
        real.close()


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that runs, and the topics that it reads."""

    name: str
    topics: Topics
    process: subprocess.Popen[bytes]
    folder: Path
    """Where its ClickHouse is, until the end of the context."""

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.folder / LOG).read_text(errors="replace")

    def stop(self) -> None:
        """Let it end as it does on SIGTERM; harmless when repeated."""
        self.process.terminate()
        self.process.wait()

    def cpu_s(self) -> Counter[str]:
        """CPU seconds since its start, by kind of thread."""
        spent: Counter[str] = Counter()
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            user, system = rest.split()[11:13]
            spent[_kind(name)] += int(user) + int(system)
        whole = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        spent["all"] = int(whole[11]) + int(whole[12])
        return Counter({name: ticks / TICKS_PER_S for name, ticks in spent.items()})


def _kind(thread: str) -> str:
    if thread.startswith("rdk:"):
        return "librdkafka"
    return "Python" if thread.startswith(("understudy", "python")) else "ClickHouse"


@contextmanager
def worker(
    servers: str, partitions: int, role: str, code: Code, more: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """`understudy worker` with its defaults and `more` variables, once it has its partitions."""
    prefix = f"live-{os.getpid()}-{partitions}-{code.name}."
    topics = understudy_topics(prefix, event_partitions=partitions)
    ensure_topics({"bootstrap.servers": servers, "log_level": 0}, [*topics])
    ours = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY")}
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": servers,
            "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
            "UNDERSTUDY_CLICKHOUSE_URL": f"chdb://{folder}/clickhouse",
            "UNDERSTUDY_HTTP_ENABLED": "false",
            **{variable: f"{prefix}{group}" for group, variable in GROUPS.items()},
            **code.environment(),
            **(more or {}),
        }
        log = Path(folder) / LOG
        command = [sys.executable, "-m", "understudy.streams.commands.main", "worker"]
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*command, "--role", role], cwd=folder, env={**ours, **settings}, stderr=stderr,
            )  # fmt: skip
        started = Worker(code.name, topics, process, Path(folder))
        try:
            _wait_for(started, role)
            yield started
        finally:
            started.stop()


def _wait_for(started: Worker, role: str) -> None:
    needed = ["partitions.assigned", *(["deciding.recovered"] if role == "all" else ())]
    deadline = time.monotonic() + STARTED_S
    while not all(event in (told := started.log) for event in needed):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the worker does not start:\n{told[-3000:]}")
        time.sleep(0.1)


# --- traffic ----------------------------------------------------------------------------------


class Gateway:
    """Writes requests when they come, for every worker the same."""

    def __init__(self, servers: str, all_topics: Sequence[Topics]) -> None:
        self._all_topics = all_topics
        self._producer = Producer(
            {"bootstrap.servers": servers, "partitioner": PARTITIONER, "linger.ms": 5,
             "enable.idempotence": True, "max.in.flight": 1, "log_level": 0}
        )  # fmt: skip

    def apply(self) -> None:
        """Write the policy."""
        record = encode_rollout_record(RolloutRecord(manifest=read_manifest(POLICY)))
        for topics in self._all_topics:
            self._producer.produce(topics.rollouts.name, record, ROLLOUT_ID.encode())
        self._producer.flush()

    def warm_up(self, workers: Sequence[Worker]) -> None:
        """Write requests until the first rows are stored."""
        deadline, seed = time.monotonic() + 2 * STARTED_S, -1
        while not all('"clickhouse.migrated"' in one.log for one in workers):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no rows are stored:\n{workers[0].log[-3000:]}")
            self.write(WARM_UP_RATE, SETTLE_S, seed)
            seed -= 1

    def write(self, rate: float, seconds: float, seed: int) -> int:
        """Write requests for some seconds; how many events that were."""
        begun, begun_s, written = dt.datetime.now(dt.UTC), time.monotonic(), 0
        share = sum(LANGUAGE_SHARES[language] for language in LANGUAGES)
        drawn = simulate(
            seed=seed, pairs=round(rate / share * (seconds + 60.0)) + 1, healthy=True,
            start=begun, rate_per_s=max(rate, 1e-9) / share,
        ) if rate else iter(())  # fmt: skip
        for message in drawn:
            event = message.event
            if event is None or event.language not in LANGUAGES:
                continue
            due_s = begun_s + message.arrival_offset_s
            if due_s > begun_s + seconds:
                break
            while (left_s := due_s - time.monotonic()) > 0:
                self._producer.poll(min(left_s, 0.1))
            event = msgspec.structs.replace(event, rollout_id=ROLLOUT_ID)
            payload, key = encode_event(event), event_key(event).encode()
            for topics in self._all_topics:
                self._producer.produce(topics.events.name, payload, key)
            written += 1
        while (left_s := begun_s + seconds - time.monotonic()) > 0:
            self._producer.poll(min(left_s, 0.1))
        return written


# --- measuring --------------------------------------------------------------------------------


def measure(chosen: argparse.Namespace, partitions: int, servers: str) -> list[dict[str, Any]]:
    """Each worker's use of a core at each rate, one rate after the other."""
    rows = []
    with ExitStack() as stack:
        codes = [THIS]
        if chosen.against:
            codes.append(stack.enter_context(code_of(chosen.against)))
        workers = [
            stack.enter_context(worker(servers, partitions, chosen.role, code)) for code in codes
        ]
        gateway = Gateway(servers, [one.topics for one in workers])
        gateway.apply()
        gateway.warm_up(workers)
        for number, rate in enumerate(chosen.rates):
            gateway.write(rate, SETTLE_S if rate else IDLE_SETTLE_S, 2 * number)
            before, begun_s = [one.cpu_s() for one in workers], time.monotonic()
            events = gateway.write(rate, chosen.seconds, 2 * number + 1)
            after, took_s = [one.cpu_s() for one in workers], time.monotonic() - begun_s
            for one, earlier, later in zip(workers, before, after, strict=True):
                spent = {name: later[name] - earlier[name] for name in later}
                rows.append(
                    {
                        "worker": one.name,
                        "partitions": partitions,
                        "requests_per_s": rate,
                        "percent_of_a_core": {k: 100.0 * s / took_s for k, s in spent.items()},
                        "us_per_event": 1e6 * spent["all"] / events if events else None,
                    }
                )
    return rows


def show(console: Console, rows: list[dict[str, Any]], chosen: argparse.Namespace) -> None:
    table = Table(
        title=f"worker --role {chosen.role}, {chosen.broker} broker", title_justify="left",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        caption_justify="left",
    )  # fmt: skip
    kinds = ("all", "Python", "librdkafka", "ClickHouse")
    for name in ("partitions", "requests/s", "worker", *(f"% of a core: {k}" for k in kinds)):
        table.add_column(name, justify="right")
    table.add_column("µs/event", justify="right")
    for row in rows:
        percent = row["percent_of_a_core"]
        us = row["us_per_event"]
        table.add_row(
            str(row["partitions"]), f"{row['requests_per_s']:g}", row["worker"],
            *(f"{percent.get(kind, 0.0):.1f}" for kind in kinds), f"{us:,.0f}" if us else "",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 1.0, 10.0, 100.0, 1000.0])
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 12, 64])
    parser.add_argument("--role", choices=("all", "pairing"), default="all")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--broker", choices=("real", "embedded"), default="real")
    parser.add_argument("--against", metavar="REVISION", help="measure that revision as well")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    rows = []
    numbers = [EMBEDDED_PARTITIONS] if chosen.broker == "embedded" else chosen.partitions
    with broker(chosen.broker) as servers:
        for partitions in numbers:
            rows += measure(chosen, partitions, servers)
    show(console, rows, chosen)
    if chosen.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
