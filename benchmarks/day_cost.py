"""What a day of two million requests costs: cores, memory, bytes in Kafka and in ClickHouse.

`understudy worker` with all roles runs with its defaults on a real broker and takes simulated
requests of one rollout in three languages, at the rate that makes two million a day. After windows
have begun to close, some minutes are measured and multiplied. All that is counted grows with time:
events, comparisons and closed windows with the requests, early versions of windows, state and
decisions with the hours.

Bytes in Kafka are those of the broker's log, compressed as they come, once (times the replication
factor, for as long as a topic keeps them). ClickHouse is asked after the worker has stopped.

    python benchmarks/day_cost.py [--requests 2000000] [--partitions 12] [--minutes 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import live_rates
from revisions import REPOSITORY, THIS
from rich.console import Console
from rich.table import Table

from understudy.schemas.clickhouse.rollups import ROLLUPS
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.embedded_service import free_port

DAY_S: Final = 86_400.0
SETTLE_S: Final = 160.0
"""Until windows close: their lateness of 130 s, and two of them."""
MB: Final = 1e6
TABLES: Final = ("comparisons", "windows", "decisions", "unmatched")


@contextmanager
def broker() -> Iterator[tuple[str, Path]]:
    """Addresses of Apache Kafka, and the folder of its logs."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.brokers.kraft import KraftBroker

    kraft = KraftBroker()
    try:
        kraft.start()
        yield kraft.bootstrap_servers, kraft.data_folder
    finally:
        kraft.close()


@dataclass(frozen=True, slots=True)
class Moment:
    """What has been used until now."""

    at_s: float
    cpu_s: float
    kafka: dict[str, int]
    """Bytes by topic."""
    inserted: float
    """Bytes of rows, as ClickHouse was sent them."""


def moment(worker: live_rates.Worker, logs: Path, metrics: str) -> Moment:
    """Read all counters."""
    kafka: dict[str, int] = {}
    for segment in logs.glob("*/*.log"):
        topic = segment.parent.name.rpartition("-")[0]
        kafka[topic] = kafka.get(topic, 0) + segment.stat().st_size
    with urllib.request.urlopen(metrics) as response:
        text = response.read().decode()
    found = re.search(r"^understudy_loader_bytes_total (\S+)$", text, re.MULTILINE)
    inserted = float(found[1]) if found else 0.0
    return Moment(time.monotonic(), worker.cpu_s()["all"], kafka, inserted)


def peak_memory_mb(worker: live_rates.Worker) -> float:
    """The most memory that the process has held."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / MB


def stored(folder: Path, whole_s: float, merge: bool) -> dict[str, float]:
    """Bytes on disk that a day makes by table, in MB, with or without merging all parts of each.

    Tables grow with the time that was run, roll-ups with the intervals that it touched.
    """
    client = connect(f"chdb://{folder / 'clickhouse'}")
    try:
        if merge:
            roll_up(client)
            for table in (*TABLES, *(one.table.name for one in ROLLUPS)):
                client.command(f"OPTIMIZE TABLE {table} FINAL")
        found = client.query(
            "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active "
            "AND database = currentDatabase() GROUP BY table"
        )
        sizes = {str(table): float(size) / MB for table, size in found.result_rows}
        a_day = {table: sizes.get(table, 0.0) * DAY_S / whole_s for table in TABLES}
        for rollup in ROLLUPS:
            name = rollup.table.name
            ((touched,),) = client.query(f"SELECT uniqExact(window_start) FROM {name}").result_rows
            intervals = DAY_S / rollup.interval_s / max(1, int(touched))
            a_day[name] = sizes.get(name, 0.0) * intervals
        return a_day
    finally:
        client.close()


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run it, and multiply what some minutes took by what a day has of them."""
    rate, port = chosen.requests / DAY_S, free_port(0)
    more = {"UNDERSTUDY_HTTP_ENABLED": "true", "UNDERSTUDY_HTTP_PORT": str(port)}
    metrics = f"http://127.0.0.1:{port}/metrics"
    with (
        broker() as (servers, logs),
        live_rates.worker(servers, chosen.partitions, "all", THIS, more) as worker,
    ):
        gateway = live_rates.Gateway(servers, [worker.topics])
        gateway.apply()
        began_s = time.monotonic()
        gateway.write(rate, SETTLE_S, 1)
        before = moment(worker, logs, metrics)
        gateway.write(rate, chosen.minutes * 60.0, 2)
        after = moment(worker, logs, metrics)
        memory_mb = peak_memory_mb(worker)
        whole_s = time.monotonic() - began_s
        worker.stop()
        as_inserted = stored(worker.folder, whole_s, merge=False)
        merged = stored(worker.folder, whole_s, merge=True)
    took_s = after.at_s - before.at_s
    a_day = DAY_S / took_s
    grown = {name: size - before.kafka.get(name, 0) for name, size in after.kafka.items()}
    prefix = worker.topics.events.name.removesuffix("events")
    return {
        "requests": chosen.requests,
        "partitions": chosen.partitions,
        "cores": (after.cpu_s - before.cpu_s) / took_s,
        "memory_mb": memory_mb,
        "kafka_mb": {
            name.removeprefix(prefix): size * a_day / MB
            for name, size in sorted(grown.items(), key=lambda item: -item[1])
            if name.startswith(prefix) and size
        },
        "clickhouse_sent_mb": (after.inserted - before.inserted) * a_day / MB,
        "clickhouse_mb": {
            name: {"when_the_worker_stopped": size, "merged": merged[name]}
            for name, size in as_inserted.items()
        },
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def show(console: Console, document: dict[str, Any]) -> None:
    table = Table(
        title=f"a day of {document['requests']:,} requests, {document['partitions']} partitions",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, load {document['load_average'][0]}",
        title_justify="left", caption_justify="left",
    )  # fmt: skip
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("cores", f"{document['cores']:.3f}")
    table.add_row("most memory of the worker, MB", f"{document['memory_mb']:,.0f}")
    for name, size in document["kafka_mb"].items():
        table.add_row(f"Kafka, {name}, MB", f"{size:,.0f}")
    table.add_row("ClickHouse, sent as rows, MB", f"{document['clickhouse_sent_mb']:,.0f}")
    for name, sizes in document["clickhouse_mb"].items():
        shown = f"{sizes['when_the_worker_stopped']:,.0f} → {sizes['merged']:,.0f}"
        table.add_row(f"ClickHouse, {name}, MB on disk → merged", shown)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=2_000_000, help="of a day")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--minutes", type=float, default=3.0, help="that are measured")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    document = measure(chosen)
    show(console, document)
    if chosen.json:
        print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
