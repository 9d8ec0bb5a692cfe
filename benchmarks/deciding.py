"""CPU time of deciding, per message and per checkpoint, and how many rollouts a worker carries.

The messages are made by the service's own pairing from the simulated gateway's events: languages
get regions until there are twenty, requests are spread over twelve partitions, and each partition
tells what changed once a second. So there are fourteen open windows at a time, of each language and
partition. The policy is the default one, or, with
--nine, has nine guardrails, most of them in every language.

Counted is the CPU time of the state store, from when the first windows have closed and the state
has its full size: messages come in bursts, one of each partition, as they do from one worker that
pairs, and there is a checkpoint every ten seconds, besides one after each decision. Kafka is left
out; `latency.py` and `recovery.py` have it. Garbage is collected as a worker does it.

    python benchmarks/deciding.py [--rate 200] [--workflows 1] [--partitions 12] [--seconds 30]
        [--nine] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final
from zlib import crc32

import msgspec
from rich.console import Console
from rich.table import Table
from simulated_windows import written_windows

from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.state import decode_state
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import encode_event
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import compile_manifest
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.snapshots import decision_in, decode_snapshot
from understudy.streams.deciding.state_store import RolloutStateStore
from understudy.streams.demo.simulator import ROLLOUT_ID, SimulatedMessage
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.settings import DecidingSettings

REGIONS: Final = {
    "en": ("US", "GB", "IN", "AU"),
    "es": ("ES", "MX", "AR", "CO"),
    "de": ("DE", "AT", "CH"),
    "ar": ("EG", "SA", "MA"),
    "pt": ("BR", "PT"),
}
START: Final = dt.datetime(2026, 11, 2, 9, 0, tzinfo=dt.UTC)
KEY: Final = ROLLOUT_ID.encode()
OPEN_S: Final = 150
"""So long until the first windows have closed."""
FLUSHES_PER_S: Final = 1.0
CHECKPOINT_S: Final = DecidingSettings().checkpoint_interval_s
POLICY: Final = f"""
rollout_id: {ROLLOUT_ID}
models: {{stable: heron-4, candidate: heron-5-preview}}
guardrails:
  - {{metric: error_rate, max_increase: 0.5pp, slices: [all, each language]}}
  - {{metric: json_valid_rate, max_drop: 0.5pp, slices: [all, each language]}}
  - {{metric: json_schema_valid_rate, max_drop: 1pp, slices: [all, each language]}}
  - {{metric: language_match_rate, max_drop: 1pp, slices: [all, each language]}}
  - {{metric: fallback_rate, max_increase: 1pp}}
  - {{metric: truncation_rate, max_increase: 1pp}}
  - {{metric: duration_p99, max_increase: 20%, slices: [all, each language]}}
  - {{metric: cost_usd, max_increase: 10%, slices: [all, each language]}}
  - {{metric: similarity_excess, max: 5pp, slices: [all, each language], required: none}}
"""


DEFAULT_POLICY: Final = f"""
rollout_id: {ROLLOUT_ID}
models: {{stable: heron-4, candidate: heron-5-preview}}
"""


# --- messages ---------------------------------------------------------------------------------


def window_messages(rate: float, workflows: int, partitions: int, seconds: int) -> list[bytes]:
    """What pairing writes to `understudy.windows` within so many seconds of event time."""

    def relabel(message: SimulatedMessage) -> SimulatedMessage:
        return _relabelled(message, crc32(message.key.encode()), workflows)

    pairs = round(rate * seconds)
    written = written_windows(START, rate, partitions, seconds, relabel=relabel, pairs=pairs)
    return [one.payload for one in written]


def _relabelled(message: SimulatedMessage, number: int, workflows: int) -> SimulatedMessage:
    event = message.event
    if event is None:
        return message
    regions = REGIONS.get(event.language or "", ("",))
    region = regions[number // 64 % len(regions)]
    language = f"{event.language}-{region}" if region else event.language
    workflow = f"workflow-{number // 4096 % workflows}"
    relabelled = msgspec.structs.replace(event, language=language, workflow=workflow)
    return SimulatedMessage(
        message.key, encode_event(relabelled), message.arrival_offset_s, relabelled
    )


# --- stages -----------------------------------------------------------------------------------


@dataclass
class Clock:
    """CPU time by stage, milliseconds, one figure each time."""

    taken_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do some work."""
        begun_s = time.process_time()
        result = work()
        self.taken_ms[stage].append(1000 * (time.process_time() - begun_s))
        return result


DECODE: Final = "of these, decode"
APPLY: Final = "messages of a second, one of each partition"
CHECKPOINT: Final = "checkpoint"
RESTORE: Final = "restore"
PLACE_MS: Final = to_epoch_ms(START)


@dataclass
class Written:
    """What checkpoints wrote."""

    checkpoints: int = 0
    values: int = 0
    n_bytes: int = 0


class Worker:
    """A store with its table, without Kafka."""

    def __init__(self, policy: str, partitions: int) -> None:
        self.table: dict[bytes, bytes] = {}
        self.store = RolloutStateStore(self.table)
        self.clock = Clock()
        self.written = Written()
        self._partitions = partitions
        record = RolloutRecord(manifest=read_manifest(policy))
        self.store.apply_record(KEY, encode_rollout_record(record), LogPlace(0, 0, PLACE_MS))

    def take(self, second: int, burst: list[bytes]) -> bool:
        """Apply messages that were written within a second; return whether a decision follows."""
        self.store.announce((KEY, value) for value in burst)
        outputs = [
            self.store.apply_windows(KEY, value, self._place(second, number))
            for number, value in enumerate(burst)
        ]
        return any(output.decisions for output in outputs)

    def save(self) -> None:
        """Write a checkpoint."""
        checkpoint = self.clock.time(CHECKPOINT, lambda: self.store.checkpoint(KEY))
        self.written.checkpoints += 1
        for key, value in chain.from_iterable(writes.items() for writes in checkpoint):
            self.table[key] = value
            self.written.values += 1
            self.written.n_bytes += len(key) + len(value)
        self.store.mark_saved(KEY)

    def _place(self, second: int, number: int) -> LogPlace:
        written_ms = PLACE_MS + round(1000.0 * second / FLUSHES_PER_S) + number
        return LogPlace(0, second * self._partitions + number, written_ms)


def measure(
    values: list[bytes], settled: int, partitions: int, policy: str
) -> tuple[Clock, Written, dict[str, int]]:
    """The stages of every message after the first `settled`, with the checkpoints of a worker."""
    worker = Worker(policy, partitions)
    decode = msgspec.json.Decoder(WindowsMessage).decode
    bursts = [values[start : start + partitions] for start in range(0, len(values), partitions)]
    for second, burst in enumerate(bursts):
        is_measured = second >= settled // partitions
        if second == settled // partitions:
            worker.save()
            worker.clock, worker.written = Clock(), Written()
        if is_measured:
            worker.clock.time(DECODE, lambda burst=burst: [decode(value) for value in burst])
        take = partial(worker.take, second, burst)
        has_decided = worker.clock.time(APPLY, take)
        if is_measured and (has_decided or second % round(CHECKPOINT_S) == 0):
            worker.save()
    clock = worker.clock
    for _ in range(3):
        clock.time(RESTORE, lambda: decision_in(worker.table, KEY))
    return clock, worker.written, _sizes(worker)


def _sizes(worker: Worker) -> dict[str, int]:
    snapshot = decode_snapshot(worker.table[KEY])
    whole = worker.store.snapshot(KEY)
    assert whole is not None
    rollout = compile_manifest(snapshot.record.manifest)
    state = decode_state(rollout, checks_of(rollout), bytes(whole.state))
    return {
        "open_rows": len(state.open_rows()),
        "parts": len(snapshot.parts),
        "snapshot_bytes": len(worker.table[KEY]),
        "table_bytes": sum(map(len, worker.table.values())),
    }


# --- the report -------------------------------------------------------------------------------


def report(
    clock: Clock, written: Written, sizes: dict[str, int], partitions: int
) -> dict[str, Any]:
    """Medians and means; a mean has Python's garbage collector in it, a median has not."""
    stages = {
        name: {"median_ms": statistics.median(taken), "mean_ms": statistics.fmean(taken)}
        for name, taken in clock.taken_ms.items()
    }
    seconds = len(clock.taken_ms[APPLY]) / FLUSHES_PER_S
    applied_ms, checkpoint_ms = stages[APPLY]["mean_ms"], stages[CHECKPOINT]["mean_ms"]
    busy_ms_per_s = FLUSHES_PER_S * applied_ms + written.checkpoints * checkpoint_ms / seconds
    return {
        "seconds": seconds,
        "partitions": partitions,
        "stages": stages,
        "message_ms": applied_ms / partitions,
        "checkpoint_ms": checkpoint_ms,
        "checkpoint_bytes": written.n_bytes / written.checkpoints,
        "checkpoint_values": written.values / written.checkpoints,
        "checkpoints_a_minute": 60 * written.checkpoints / seconds,
        **sizes,
        "busy_ms_per_s": busy_ms_per_s,
        "changelog_gb_a_day": written.n_bytes / seconds * 86_400 / 1e9,
        "rollouts_per_core": 1000 / busy_ms_per_s,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def show(console: Console, found: dict[str, Any]) -> None:
    table = Table(
        title=f"{found['seconds']:g} s, state of {found['open_rows']:,} open rows",
        caption=f"{found['machine']}, load {found['load_average'][0]}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("stage")
    table.add_column("median ms", justify="right")
    table.add_column("mean ms", justify="right")
    for name, taken in found["stages"].items():
        table.add_row(name, f"{taken['median_ms']:.1f}", f"{taken['mean_ms']:.1f}")
    console.print(table)
    console.print(
        f"a message {found['message_ms']:.1f} ms; a checkpoint {found['checkpoint_ms']:.1f} ms, "
        f"{found['checkpoint_values']:.1f} values, {found['checkpoint_bytes'] / 1000:,.0f} kB, "
        f"{found['checkpoints_a_minute']:.1f} a minute\n"
        f"the table holds {found['table_bytes'] / 1000:,.0f} kB, {found['parts']} parts besides a "
        f"snapshot of {found['snapshot_bytes'] / 1000:,.0f} kB\n"
        f"a rollout of {found['partitions']} partitions takes {found['busy_ms_per_s']:.0f} ms of a "
        f"second: a core carries {found['rollouts_per_core']:.1f} of them\n"
        f"changelog {found['changelog_gb_a_day']:.2f} GB a day"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--workflows", type=int, default=1)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=30, help="of event time that are measured")
    parser.add_argument("--nine", action="store_true", help="nine guardrails, not the default")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    values = window_messages(
        chosen.rate, chosen.workflows, chosen.partitions, OPEN_S + chosen.seconds
    )
    settled = len(values) * OPEN_S // (OPEN_S + chosen.seconds)
    policy = POLICY if chosen.nine else DEFAULT_POLICY
    with garbage_collection_of_a_worker():
        clock, written, sizes = measure(values, settled, chosen.partitions, policy)
    found = report(clock, written, sizes, chosen.partitions)
    show(Console(stderr=chosen.json), found)
    if chosen.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
