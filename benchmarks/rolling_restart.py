"""How long a rolling restart pauses each partition, by group protocol.

Two workers are replaced one after the other under load, on a real broker. The pause of a partition
is the longest time between two messages of window rows about it. On a busy machine it is longer
than on a calm one, so it is measured here; that nothing is lost is a test (`tests/faults`).

    python benchmarks/rolling_restart.py
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.brokers.choose import start_shared_broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.harness import Run
from tests.faults.rolling_restart import restart_both_workers

PROTOCOLS = ("classic", "consumer")


def longest_pauses_s(run: Run) -> dict[int, float]:
    """Return the longest time between two messages of window rows about each partition."""
    stamps: dict[int, list[int]] = {}
    for records in run.read(run.topics.windows.name).values():
        for record in records:
            partition = int((record.value or b"").split(b'"partition":', 1)[1].split(b",", 1)[0])
            stamps.setdefault(partition, []).append(record.timestamp_ms)
    return {
        number: max(after - before for before, after in pairwise(seen)) / 1000
        for number, seen in sorted(stamps.items())
    }


def main() -> None:
    """Restart under each protocol, and print the pauses."""
    broker, clickhouse = start_shared_broker(), ClickHouseServer().start()
    try:
        for protocol in PROTOCOLS:
            with Run(broker, clickhouse, protocol=protocol) as run:
                restart_both_workers(run)
                pauses = longest_pauses_s(run)
            shown = ", ".join(f"partition {n} {pause:.1f} s" for n, pause in pauses.items())
            print(f"{protocol:9} longest {max(pauses.values()):.1f} s ({shown})")
    finally:
        clickhouse.close()
        broker.close()


if __name__ == "__main__":
    main()
