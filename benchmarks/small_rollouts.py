"""CPU time of deciding a small rollout: one language, a request a second, and many a core.

What a small rollout costs is the fixed cost of a message, of a look and of a decision, hardly
anything depends on its requests. The messages are made by the service's own pairing from the
simulated gateway's events; a message is written whenever a partition has news, at most once a
second. Counted is the CPU time of this process from when the first windows have closed, without
Kafka and without checkpoints (`deciding.py` has them).

    python benchmarks/small_rollouts.py [--rate 1] [--partitions 1] [--seconds 600] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import time
from typing import Any, Final

import msgspec
from rich.console import Console
from simulated_windows import Written, written_windows

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.events import encode_event
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollouts import compile_manifest
from understudy.schemas.windows import WindowsMessage
from understudy.streams.demo.simulator import ROLLOUT_ID, SimulatedMessage

START: Final = dt.datetime(2026, 11, 2, 9, 0, tzinfo=dt.UTC)
OPEN_S: Final = 150
"""So long until the first windows have closed."""
POLICY: Final = f"""
rollout_id: {ROLLOUT_ID}
models: {{stable: heron-4, candidate: heron-5-preview}}
"""
"""The default guardrails."""


def _in_one_slice(message: SimulatedMessage) -> SimulatedMessage:
    if message.event is None:
        return message
    event = msgspec.structs.replace(message.event, language="en", workflow="")
    return SimulatedMessage(message.key, encode_event(event), message.arrival_offset_s, event)


def measure(written: list[Written]) -> dict[str, Any]:
    """Decide all of it; what the messages after the first windows have closed cost."""
    evaluator = RolloutEvaluator(compile_manifest(read_manifest(POLICY)))
    decode = msgspec.json.Decoder(WindowsMessage).decode
    decisions, taken_s = 0, 0.0
    measured = [one for one in written if one.second >= OPEN_S]
    for one in written:
        begun_s = time.process_time()
        decision = evaluator.add(decode(one.payload), one.at_ms)
        if one.second >= OPEN_S:
            taken_s += time.process_time() - begun_s
            decisions += decision is not None
    seconds = measured[-1].second - OPEN_S + 1
    return {
        "seconds": seconds,
        "messages": len(measured),
        "decisions": decisions,
        "ms_a_message": round(1000.0 * taken_s / len(measured), 2),
        "ms_a_second": round(1000.0 * taken_s / seconds, 2),
        "rollouts_a_core": round(seconds / taken_s),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=1.0, help="requests a second")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=600, help="of event time")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    written = written_windows(
        START, chosen.rate, chosen.partitions, chosen.seconds, relabel=_in_one_slice,
        pairs=round(2.0 * chosen.rate * chosen.seconds),  # more than come in that time
    )  # fmt: skip
    found = measure(list(written))
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(found)


if __name__ == "__main__":
    main()
