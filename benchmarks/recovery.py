"""How soon deciding decides again after a SIGKILL, on a real broker, with static membership.

A worker decides about some rollouts of twenty languages (the messages are those of `deciding.py`,
a burst of each rollout every second). It is killed, and started again at once as the same member of
its group, while windows go on coming. Event time then makes a leap of a minute, so that every
rollout is due for a decision with the first windows that were written after the kill. Counted is
until these decisions are in Kafka.

    python benchmarks/recovery.py [--rollouts 4] [--rate 200] [--partitions 12] [--kills 3] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from deciding import DEFAULT_POLICY, OPEN_S, ROLLOUT_ID, window_messages

from tests.brokers.choose import start_shared_broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.deciding import DecidingRun
from tests.faults.processes import CommandWorker, wait_until
from understudy.schemas.decisions import decode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.settings import DecidingSettings

CHECKPOINT_S: Final = DecidingSettings().checkpoint_interval_s
LEAP_S: Final = 61
"""Of event time: a decision is emitted again after a minute."""
LIVE_S: Final = 12
"""Between two kills: more than a checkpoint interval, so as much is unsaved as ever."""
DEADLINE_S: Final = 180.0
INSTANCE: Final = "recovery-0"


class Recovery(NamedTuple):
    """One kill; seconds since it, but for `loaded_s`."""

    assigned_s: float
    """The new process is a member, and has its partitions."""
    loaded_s: float
    """From then until its state is loaded and windows are read."""
    first_s: float
    """The first decision that rests on windows written after the kill."""
    last_s: float
    """The same of the last rollout."""


class Feed:
    """Bursts of windows, one a second of each rollout."""

    def __init__(self, run: DecidingRun, values: list[bytes], partitions: int) -> None:
        self._run, self._partitions = run, partitions
        self._bursts = [values[at : at + partitions] for at in range(0, len(values), partitions)]
        self._next = 0

    def write(self) -> None:
        """Write the next burst."""
        for value in self._bursts[self._next]:
            for name in self._run.rollouts:
                payload = value.replace(f'"{ROLLOUT_ID}"'.encode(), f'"{name}"'.encode())
                self._run.write(self._run.topics.windows.name, name.encode(), payload)
        self._run.flush()
        self._next += 1

    def leap(self) -> None:
        """Leave out a minute."""
        self._next += LEAP_S

    def seconds(self, count: int) -> Iterator[int]:
        """Write a burst each second, and yield after each."""
        for number in range(count):
            due_s = time.monotonic() + 1.0
            self.write()
            yield number
            time.sleep(max(0.0, due_s - time.monotonic()))


def worker_of(run: DecidingRun) -> CommandWorker:
    """`understudy worker --role deciding`, always as the same member."""
    environment = {**run.environment(), "UNDERSTUDY_DECIDING_INSTANCE_ID": INSTANCE}
    worker = CommandWorker(environment, run._new_log(), "deciding")
    run.workers.append(worker)
    return worker


def recover(run: DecidingRun, feed: Feed, worker: CommandWorker) -> tuple[CommandWorker, Recovery]:
    """Kill the worker, start another one, and wait for its decisions."""
    before = run.ends_of(run.topics.windows.name)
    worker.kill()
    killed_ms = round(1000 * time.time())
    worker = worker_of(run)
    feed.leap()
    decided: dict[str, int] = {}

    def are_decided() -> bool:
        decided.update(_decided_since(run, before))
        return len(decided) == len(run.rollouts)

    for _ in feed.seconds(round(DEADLINE_S)):
        if are_decided():
            break
    assigned_ms, loaded_s = _recovered(worker)
    since_s = [(at_ms - killed_ms) / 1000 for at_ms in decided.values()]
    found = Recovery((assigned_ms - killed_ms) / 1000, loaded_s, min(since_s), max(since_s))
    return worker, found


def _decided_since(run: DecidingRun, ends: dict[int, int]) -> dict[str, int]:
    """When each rollout was first decided upon windows beyond these ends, epoch milliseconds."""
    found: dict[str, int] = {}
    for records in run.read(run.topics.decisions.name).values():
        for record in records:
            decision = decode_decision(record.value or b"")
            cause = decision.cause
            if cause and cause.topic == "windows" and cause.offset >= ends.get(cause.partition, 0):
                found.setdefault(decision.rollout_id, record.timestamp_ms)
    return found


def _recovered(worker: CommandWorker) -> tuple[int, float]:
    """When the worker had its partitions assigned, epoch milliseconds, and what loading took."""
    lines = [line for line in worker.log.splitlines() if '"deciding.recovered"' in line]
    event = json.loads(lines[-1])
    loaded_ms = 1000 * dt.datetime.fromisoformat(event["timestamp"]).timestamp()
    return round(loaded_ms - 1000 * event["took_s"]), event["took_s"]


def measure(run: DecidingRun, values: list[bytes], partitions: int, kills: int) -> list[Recovery]:
    """Let a worker catch up with the history, then kill it some times."""
    for name in run.rollouts:
        policy = DEFAULT_POLICY.replace(ROLLOUT_ID, name)
        record = RolloutRecord(manifest=read_manifest(policy))
        run.write(run.topics.rollouts.name, name.encode(), encode_rollout_record(record))
    run.flush()
    feed, worker = Feed(run, values, partitions), worker_of(run)
    wait_until(lambda: '"deciding.recovered"' in worker.log, "it is at work", DEADLINE_S, worker)
    for _ in range(OPEN_S):
        feed.write()
    found = []
    for _ in range(kills):
        before = run.ends_of(run.topics.windows.name)
        feed.leap()
        feed.write()
        wait_until(
            lambda ends=before: len(_decided_since(run, ends)) == len(run.rollouts),  # type: ignore[misc]
            "it has caught up", DEADLINE_S, worker,
        )  # fmt: skip
        for _ in feed.seconds(LIVE_S):
            pass
        worker, recovery = recover(run, feed, worker)
        found.append(recovery)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second of each")
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    seconds = OPEN_S + chosen.kills * 2 * (LEAP_S + LIVE_S + 30)
    values = window_messages(chosen.rate, 1, chosen.partitions, seconds)
    names = [f"rollout-{number}" for number in range(chosen.rollouts)]
    broker, clickhouse = start_shared_broker(), ClickHouseServer().start()
    try:
        with DecidingRun(
            broker, clickhouse, DecidingSettings().session_timeout_s, rollouts=names,
            checkpoint_interval_s=CHECKPOINT_S,
        ) as run:  # fmt: skip
            found = measure(run, values, chosen.partitions, chosen.kills)
    finally:
        clickhouse.close()
        broker.close()
    report(found, as_json=chosen.json)


def report(found: list[Recovery], *, as_json: bool) -> None:
    """Print each kill, and the medians."""
    middle = Recovery(*map(statistics.median, zip(*found, strict=True)))
    load = round(os.getloadavg()[0], 1)
    if as_json:
        document: dict[str, Any] = {"kills": [one._asdict() for one in found], "load": load}
        print(json.dumps({**document, "median": middle._asdict()}, indent=2))
        return
    for one in (*found, middle):
        name = "median" if one is middle else "kill"
        first_s, last_s = one.first_s - one.assigned_s, one.last_s - one.assigned_s
        print(
            f"{name}: assigned {one.assigned_s:.1f} s after the kill, loaded {one.loaded_s:.1f} s "
            f"after that; first decision {first_s:.1f} s after the assignment, last {last_s:.1f} s"
        )
    print(f"{os.cpu_count()} cores, load {load}")


if __name__ == "__main__":
    main()
