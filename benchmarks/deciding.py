"""CPU time per message of deciding, stage by stage, and how large a rollout's entry is.

The messages are made by the service's own pairing from the simulated gateway's events: languages
get regions until there are twenty, requests are spread over twelve partitions, and each partition
tells what changed once a second. So there are fourteen open windows at a time, of each language and
partition. The policy has nine guardrails, most of them in every language.

Counted is the CPU time of this process from when the first windows have closed, which is when the
state has its full size. Kafka is left out; `latency.py` has it.

    python benchmarks/deciding.py [--rate 200] [--workflows 1] [--partitions 12] [--seconds 30]
        [--json]
"""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast
from zlib import crc32

import msgspec
from confluent_kafka import Producer

from understudy.schemas.events import encode_event
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.topics import understudy_topics
from understudy.streams.deciding.docket import Docket
from understudy.streams.embedded.simulator import ROLLOUT_ID, SimulatedMessage, simulate
from understudy.streams.pairing.partition import Partition
from understudy.streams.pairing.policy import PairingPolicy
from understudy.streams.pairing.publishing import Publisher
from understudy.streams.pairing.records import RecordBatch

REGIONS: Final = {
    "en": ("US", "GB", "IN", "AU"),
    "es": ("ES", "MX", "AR", "CO"),
    "de": ("DE", "AT", "CH"),
    "ar": ("EG", "SA", "MA"),
    "pt": ("BR", "PT"),
}
START: Final = dt.datetime(2026, 11, 2, 9, 0, tzinfo=dt.UTC)
KEY: Final = ROLLOUT_ID.encode()
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


# --- messages ---------------------------------------------------------------------------------


@dataclass
class Collected:
    """Stands in for pairing's producer, and keeps what it is given."""

    values: list[bytes] = field(default_factory=list)

    def produce(self, topic: str, value: bytes, key: bytes, **_: Any) -> None:
        self.values.append(value)


def window_messages(rate: float, workflows: int, partitions: int, seconds: int) -> list[bytes]:
    """What pairing writes to `understudy.windows` within so many seconds of event time."""
    collected = Collected()
    publisher = Publisher(cast(Producer, collected), understudy_topics(""))
    states = [Partition(number, PairingPolicy()) for number in range(partitions)]
    for batches in _seconds(rate, workflows, partitions, seconds):
        for state in states:
            state.process(_records(batches[state.number], state.position))
            rows = state.take_rows()
            publisher.send_rows(rows, state.number, state.position, state.watermark_ms)
    return collected.values


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
    at_ms = round(START.timestamp() * 1000)
    return RecordBatch(
        payloads=[message.payload for message in messages],
        offsets=range(position, position + len(messages)),
        timestamps_ms=[at_ms + round(1000 * m.arrival_offset_s) for m in messages],
        keys=[message.key.encode() for message in messages],
    )


# --- stages -----------------------------------------------------------------------------------


def docket() -> Docket:
    """A docket that has the policy."""
    made = Docket({})
    record = RolloutRecord(manifest=read_manifest(POLICY))
    made.rollout(KEY, encode_rollout_record(record), 0, round(START.timestamp() * 1000))
    return made


@dataclass
class Clock:
    """CPU time by stage, milliseconds, one figure a message."""

    taken_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        begun_s = time.process_time()
        result = work()
        self.taken_ms[stage].append(1000 * (time.process_time() - begun_s))
        return result
