"""CPU time of a worker that evaluates, and of one that pairs beside it and should not notice.

A producer writes simulated requests when they come. First `understudy worker --role pairing` reads
them alone, then a second process with the role evaluating reads them too: it samples a share by
hash, joins it, and asks a scripted judge at an endpoint of this machine. Counted is the CPU time of
each process, all its threads, between two moments after it has settled.

    python benchmarks/evaluating.py [--rate 100] [--share 1%] [--seconds 30]
        [--broker real|embedded] [--partitions 12] [--json]

Broker, producer and judge are processes or threads of their own, and not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer
from live_rates import ROLLOUT_ID, Gateway, Worker, broker, worker
from revisions import THIS, Code

from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.kafka.embedded_broker import EMBEDDED_PARTITIONS

POLICY: Final = """
rollout_id: {rollout}
models: {{stable: heron-4, candidate: heron-5-preview}}
evaluate:
  - evaluator: helpfulness@1
    share: {share}
    floor_per_hour: {floor}
    control_share: 0%
    budget: {{usd_per_day: 1000, calls_per_minute: 100000}}
"""
SETTLE_S: Final = 8.0
"""After a worker begins or another joins: several flushes."""


@dataclass(frozen=True, slots=True)
class Configured(Code):
    """This revision's code, with settings of a worker."""

    settings: tuple[tuple[str, str], ...] = ()

    def environment(self) -> dict[str, str]:
        return dict(self.settings)


@contextmanager
def judge_server() -> Any:
    """A judge that answers at once and prefers neither."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.streams.evaluating.scripted_judge import JudgeServer, scripted

    with JudgeServer(scripted(lambda *_: "A")) as server:
        yield server


def apply(servers: str, topic: str, chosen: argparse.Namespace) -> None:
    policy = POLICY.format(rollout=ROLLOUT_ID, share=chosen.share, floor=chosen.floor)
    record = encode_rollout_record(RolloutRecord(manifest=read_manifest(policy)))
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    producer.produce(topic, record, ROLLOUT_ID.encode())
    producer.flush()


def percents(
    gateway: Gateway, workers: Sequence[Worker], chosen: argparse.Namespace, seed: int
) -> list[float]:
    """Each worker's use of a core in per cent while requests come at the rate."""
    gateway.write(chosen.rate, SETTLE_S, seed)
    before, begun_s = [one.cpu_s()["all"] for one in workers], time.monotonic()
    gateway.write(chosen.rate, chosen.seconds, seed + 1)
    took_s = time.monotonic() - begun_s
    return [
        100.0 * (one.cpu_s()["all"] - earlier) / took_s
        for one, earlier in zip(workers, before, strict=True)
    ]


def measure(chosen: argparse.Namespace) -> dict[str, float]:
    partitions = EMBEDDED_PARTITIONS if chosen.broker == "embedded" else chosen.partitions
    with ExitStack() as stack:
        servers = stack.enter_context(broker(chosen.broker))
        judge = stack.enter_context(judge_server())
        asking = Configured(
            THIS.name, THIS.benchmarks, THIS.path,
            (
                ("UNDERSTUDY_EVALUATING_BASE_URL", judge.base_url),
                ("UNDERSTUDY_EVALUATING_MODEL", "scripted-1"),
                ("UNDERSTUDY_EVALUATING_INPUT_USD_PER_MILLION_TOKENS", "1"),
                ("UNDERSTUDY_EVALUATING_OUTPUT_USD_PER_MILLION_TOKENS", "1"),
            ),
        )  # fmt: skip
        pairing = stack.enter_context(worker(servers, partitions, "pairing", THIS))
        gateway = Gateway(servers, [pairing.topics])
        apply(servers, pairing.topics.rollouts.name, chosen)
        (alone,) = percents(gateway, [pairing], chosen, 1)
        evaluating = stack.enter_context(worker(servers, partitions, "evaluating", asking))
        calls = len(judge.requests)
        begun_s = time.monotonic()
        beside, own = percents(gateway, [pairing, evaluating], chosen, 3)
        return {
            "pairing_alone": alone,
            "pairing_beside": beside,
            "evaluating": own,
            "calls_per_s": (len(judge.requests) - calls) / (time.monotonic() - begun_s),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--share", default="1%")
    parser.add_argument("--floor", type=int, default=0, help="pairs of each language in an hour")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--broker", choices=("real", "embedded"), default="real")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    found = measure(chosen)
    if chosen.json:
        print(json.dumps({**vars(chosen), **found, "load": os.getloadavg()[0]}, indent=2))
        return
    print(f"{chosen.rate:g} requests/s, {chosen.share} sampled, {chosen.broker} broker, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"pairing alone           {found['pairing_alone']:5.1f} % of a core")
    print(f"pairing beside it       {found['pairing_beside']:5.1f} %")
    print(
        f"evaluating              {found['evaluating']:5.1f} %, {found['calls_per_s']:.2f} calls/s"
    )


if __name__ == "__main__":
    main()
