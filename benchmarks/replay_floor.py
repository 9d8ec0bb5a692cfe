"""What a replay costs, beside the least that anybody must do who compares two answers.

The least is to parse each line (`orjson.loads`) and to ask once how alike the outputs of each pair
are (`rapidfuzz.process.cpdist` of `Indel.normalized_similarity`). A replay validates, joins,
compares in all measures, tells languages, adds windows up and reports besides.

Both are processes of their own, in turns; their start is taken off: what counts is the difference
between a recording and its first tenth.

    python benchmarks/replay_floor.py [--pairs 20000] [--rate 100] [--repeat 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from before_after import cpu_of, replay_command
from pairing import WORKLOADS, make_log
from rich.console import Console
from rich.table import Table

LEAST: Final = """
import sys
import orjson
from rapidfuzz import process
from rapidfuzz.distance import Indel

waiting, left, right = {}, [], []
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:  # recordings have faults
            continue
        output = (event.get("response") or {}).get("output") or ""
        other = waiting.pop(event.get("pair_id"), None)
        if other is None:
            waiting[event.get("pair_id")] = output
        else:
            left.append(other)
            right.append(output)
process.cpdist(left, right, scorer=Indel.normalized_similarity, workers=1)
"""
"""Reads a recording; no more than it says above."""
HEAD: Final = 10
"""Of a recording one in so many lines is its head, whose cost is taken off with the start."""


def measure(workload: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """CPU time of an event, microseconds, of both."""
    events = make_log(workload, chosen.pairs, 1, chosen.rate).payloads
    head = len(events) // HEAD
    with tempfile.TemporaryDirectory() as folder:
        part, whole = Path(folder) / "part.jsonl", Path(folder) / "whole.jsonl"
        part.write_bytes(b"\n".join(events[:head]))
        whole.write_bytes(b"\n".join(events))
        least = [sys.executable, "-c", LEAST]
        taken: dict[str, list[float]] = {"least": [], "replay": []}
        for _ in range(chosen.repeat):
            for name, command in (("least", least), ("replay", replay_command())):
                more_s = cpu_of([*command, str(whole)]).cpu_s - cpu_of([*command, str(part)]).cpu_s
                taken[name].append(1e6 * more_s / (len(events) - head))
    least_us, replay_us = (statistics.median(taken[name]) for name in ("least", "replay"))
    return {
        "workload": workload,
        "least_us": least_us,
        "replay_us": replay_us,
        "ratio": replay_us / least_us,
        "ratio_of_fastest": min(taken["replay"]) / min(taken["least"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second, recorded")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--workload", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    table = Table(
        title="replay: CPU µs an event", title_justify="left", caption_justify="left",
        caption=f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    )  # fmt: skip
    for column in ("", "parse and one similarity", "replay", "ratio", "of the fastest"):
        table.add_column(column, justify="right" if column else "left")
    rows = []
    for workload in chosen.workload:
        rows.append(row := measure(workload, chosen))
        numbers = row["least_us"], row["replay_us"]
        ratios = row["ratio"], row["ratio_of_fastest"]
        table.add_row(workload, *(f"{n:.1f}" for n in numbers), *(f"{n:.2f}" for n in ratios))
    console.print(table)
    if chosen.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
