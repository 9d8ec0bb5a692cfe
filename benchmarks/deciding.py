"""CPU time of deciding, per message and per table entry, and how many rollouts a worker carries.

The messages are made by the service's own pairing from the simulated gateway's events: languages
get regions until there are twenty, requests are spread over twelve partitions, and each partition
tells what changed once a second. So there are fourteen open windows at a time, of each language and
partition. The policy is the default one, or, with
--nine, has nine guardrails, most of them in every language.

Counted is the CPU time of this process, from when the first windows have closed and the state has
its full size. Kafka is left out; `latency.py` has it.

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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from zlib import crc32

import msgspec
from rich.console import Console
from rich.table import Table

from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.state import decode_state
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import encode_event
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.state_store import (
    ZSTD_LEVEL,
    LogPlace,
    RolloutSnapshot,
    RolloutStateStore,
    zstd,
)
from understudy.streams.demo.simulator import ROLLOUT_ID, SimulatedMessage, simulate
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch
from understudy.streams.pairing.windows_messages import windows_messages
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
    messages: list[bytes] = []
    states = [Partition(number, PairingPolicy()) for number in range(partitions)]
    for batches in _seconds(rate, workflows, partitions, seconds):
        for state in states:
            state.process(_records(batches[state.number], state.position))
            sent = windows_messages(
                state.take_rows(),
                source=state.source,
                partition=state.number,
                version=state.position,
                watermark_ms=state.watermark_ms,
            )
            messages += [encoded for _, encoded in sent]
    return messages


def _seconds(
    rate: float, workflows: int, partitions: int, seconds: int
) -> Iterator[dict[int, list[SimulatedMessage]]]:
    """Messages by partition, one second after the other."""
    pairs = round(rate * seconds)
    messages = simulate(seed=1, pairs=pairs, healthy=True, start=START, rate_per_s=rate)
    until_s, batches = 1.0, defaultdict[int, list[SimulatedMessage]](list)
    for message in messages:
        if message.arrival_offset_s >= until_s:
            yield batches
            until_s, batches = until_s + 1.0, defaultdict(list)
            if until_s > seconds:
                return
        number = crc32(message.key.encode())
        batches[number % partitions].append(_relabelled(message, number, workflows))


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


def _records(messages: list[SimulatedMessage], position: int) -> RecordBatch:
    at_ms = to_epoch_ms(START)
    return RecordBatch(
        payloads=[message.payload for message in messages],
        offsets=range(position, position + len(messages)),
        timestamps_ms=[at_ms + round(1000 * m.arrival_offset_s) for m in messages],
        keys=[message.key.encode() for message in messages],
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


PER_MESSAGE: Final = ("decode", "apply, look when due")
PER_ENTRY: Final = ("encode state", "encode snapshot", "compress")
RESTORE: Final = "restore"


def measure(
    values: list[bytes], settled: int, partitions: int, policy: str
) -> tuple[Clock, dict[str, int]]:
    """The stages of every message after the first `settled`, and an entry every second of them."""
    record = RolloutRecord(manifest=read_manifest(policy))
    evaluator = RolloutEvaluator(compile_manifest(record.manifest))
    decoder = msgspec.json.Decoder(WindowsMessage)
    clock, sizes = Clock(), dict[str, int]()
    for number, value in enumerate(values):
        second, place = divmod(number, partitions)
        written_ms = round(1000.0 * second / FLUSHES_PER_S) + place
        if number < settled:
            evaluator.add(decoder.decode(value), written_ms)
            continue
        message = clock.time(PER_MESSAGE[0], partial(decoder.decode, value))
        clock.time(PER_MESSAGE[1], partial(evaluator.add, message, written_ms))
        if (number + 1) % partitions == 0:
            sizes = _entry(clock, record, evaluator)
    return clock, sizes


def _entry(clock: Clock, record: RolloutRecord, evaluator: RolloutEvaluator) -> dict[str, int]:
    """What the processor writes every ten seconds, in its steps; and what a new worker does."""
    state = clock.time(PER_ENTRY[0], evaluator.encode_state)
    entry = RolloutSnapshot(
        record=record,
        state=msgspec.Raw(state),
        last_applied_command=0,
        record_offset=0,
        record_timestamp_ms=0,
        newest_windows=None,
    )
    encoded = clock.time(PER_ENTRY[1], lambda: msgspec.msgpack.encode(entry))
    value = clock.time(PER_ENTRY[2], lambda: zstd.compress(encoded, ZSTD_LEVEL))
    place = LogPlace(0, 0, 0)
    clock.time(RESTORE, lambda: RolloutStateStore({KEY: value}).apply_windows(KEY, _NOTHING, place))
    decoded = decode_state(evaluator.rollout, checks_of(evaluator.rollout), state)
    partitions = decoded.stores["events"].partitions
    rows = sum(len(partition.rows) for partition in partitions.values())
    return {"open_rows": rows, "packed_bytes": len(encoded), "entry_bytes": len(value)}


_NOTHING: Final = msgspec.json.encode(
    WindowsMessage(rollout_id=ROLLOUT_ID, partition=0, version=0, watermark=None, rows=[])
)


# --- the report -------------------------------------------------------------------------------


def report(clock: Clock, sizes: dict[str, int], partitions: int) -> dict[str, Any]:
    """Medians and means; a mean has Python's garbage collector in it, a median has not."""
    stages = {
        name: {"median_ms": statistics.median(taken), "mean_ms": statistics.fmean(taken)}
        for name, taken in clock.taken_ms.items()
    }
    message_ms = sum(stages[name]["mean_ms"] for name in PER_MESSAGE)
    entry_ms = sum(stages[name]["mean_ms"] for name in PER_ENTRY)
    busy_ms_per_s = partitions * FLUSHES_PER_S * message_ms + entry_ms / CHECKPOINT_S
    return {
        "messages": len(clock.taken_ms[PER_MESSAGE[0]]),
        "partitions": partitions,
        "stages": stages,
        "message_ms": message_ms,
        "entry_ms": entry_ms,
        **sizes,
        "busy_ms_per_s": busy_ms_per_s,
        "changelog_gb_a_day": sizes["entry_bytes"] / CHECKPOINT_S * 86_400 / 1e9,
        "rollouts_per_core": 1000 / busy_ms_per_s,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def show(console: Console, found: dict[str, Any]) -> None:
    table = Table(
        title=f"{found['messages']:,} messages, state of {found['open_rows']:,} open rows",
        caption=f"{found['machine']}, load {found['load_average'][0]}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("stage")
    table.add_column("of")
    table.add_column("median ms", justify="right")
    table.add_column("mean ms", justify="right")
    for name, taken in found["stages"].items():
        kind = "message" if name in PER_MESSAGE else "entry" if name in PER_ENTRY else "start"
        table.add_row(name, kind, f"{taken['median_ms']:.1f}", f"{taken['mean_ms']:.1f}")
    console.print(table)
    console.print(
        f"a message {found['message_ms']:.1f} ms, an entry {found['entry_ms']:.1f} ms, of "
        f"{found['packed_bytes'] / 1000:,.0f} kB, "
        f"{found['entry_bytes'] / 1000:,.0f} kB compressed\n"
        f"a rollout of {found['partitions']} partitions takes {found['busy_ms_per_s']:.0f} ms of a "
        f"second: a core carries {found['rollouts_per_core']:.1f} of them\n"
        f"changelog {found['changelog_gb_a_day']:.1f} GB a day"
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
    clock, sizes = measure(values, settled, chosen.partitions, policy)
    found = report(clock, sizes, chosen.partitions)
    show(Console(stderr=chosen.json), found)
    if chosen.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
