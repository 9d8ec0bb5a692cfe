"""Time of a backtest: a day of one partition with 36 slices, judged by a policy from ClickHouse.

The windows of a day are drawn (errors, JSON validity, durations, tokens and costs of equal models)
and stored as a worker stores them, in a folder of the embedded ClickHouse that is used again by the
next run. Then `understudy rollout backtest` judges them, in a process of its own, as a person would
call it. Timed is the whole process, and, with --stages, what it does inside.

    python benchmarks/backtest.py [--folder /tmp/understudy-backtest] [--hours 24] [--rate 10]
        [--repeat 3] [--stages] [--json]
"""

from __future__ import annotations

import argparse
import cProfile
import datetime as dt
import json
import os
import platform
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.measure_kinds import both_sides, only_candidate, only_stable
from understudy.schemas.rollout_metrics import RATES
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import client_opener
from understudy.streams.clickhouse.tables import TABLES, WINDOWS, block
from understudy.streams.commands.main import main as understudy

ROLLOUT: Final = "search"
START_MS: Final = round(dt.datetime(2026, 11, 2, tzinfo=dt.UTC).timestamp() * 1000)
WINDOW_S: Final = 10
LANGUAGES: Final = ("en", "de", "es", "fr", "pt", "ja", "zh-Hans", "ko", "ar", "hi", "tr", "nl")
WORKFLOWS: Final = ("", "extract", "search")
SLICES: Final = [(language, workflow) for language in LANGUAGES for workflow in WORKFLOWS]
CHUNK_WINDOWS: Final = 360
"""Drawn and inserted at once: an hour."""
SEED: Final = 20261128
POLICY: Final = f"""
rollout_id: {ROLLOUT}
models: {{stable: heron-4, candidate: heron-5}}
min_requests: 5000
guardrails:
  - {{metric: error_rate, max_increase: 0.5pp, slices: [all, each language]}}
  - {{metric: json_valid_rate, max_drop: 0.5pp, slices: [all, each language]}}
  - {{metric: fallback_rate, max_increase: 1pp, slices: [all, each language]}}
  - {{metric: truncation_rate, max_increase: 1pp, slices: [all, each language]}}
  - {{metric: language_match_rate, max_drop: 1pp, slices: [all, each language]}}
  - {{metric: duration_p95, max_increase: 20%, slices: [all, each language]}}
  - {{metric: duration_p99, max_increase: 20%, slices: [all, each language]}}
  - {{metric: time_to_first_token_p95, max_increase: 20%, slices: [all, each language]}}
  - {{metric: cost_usd, max_increase: 10%, slices: [all, each language]}}
  - {{metric: output_tokens, max_increase: 20%, slices: [all, each language]}}
"""
CHANCES: Final = {
    "error_rate": 0.01,
    "fallback_rate": 0.01,
    "truncation_rate": 0.02,
    "json_valid_rate": 0.98,
    "json_schema_valid_rate": 0.97,
    "language_match_rate": 0.99,
}
"""How often what a rate counts comes, on both sides."""

Floats = NDArray[np.float64]
Columns = dict[str, Any]


# --- a day of windows -------------------------------------------------------------------------


def store(url: str, hours: float, rate: float) -> int:
    """Store the windows, unless they are there; return how many rows they are."""
    windows = round(hours * 3600 / WINDOW_S)
    rows = windows * len(SLICES)
    if _stored(url) == rows:
        return rows
    rng = np.random.default_rng(SEED)
    loader = Loader(client_opener(url))
    for first in range(0, windows, CHUNK_WINDOWS):
        count = min(CHUNK_WINDOWS, windows - first)
        loader.put([block(WINDOWS, draw(rng, first, count, rate))], {("events", 0): first + count})
    loader.close(600.0)
    return rows


def _stored(url: str) -> int:
    client = connect(url)
    try:
        exists = client.command(f"EXISTS TABLE {WINDOWS}")
        return int(client.command(f"SELECT count() FROM {WINDOWS}")) if exists else 0
    finally:
        client.close()


def draw(rng: np.random.Generator, first: int, windows: int, rate: float) -> Columns:
    """All columns of `windows` windows of every slice, closed, from the given one on."""
    shares = 1.0 / np.arange(2.0, len(SLICES) + 2.0)
    shares /= shares.sum()
    requests = rng.poisson(rate * WINDOW_S * shares, (windows, len(SLICES))).reshape(-1)
    n = requests.size
    columns: Columns = {
        name: [{}] * n if kind.startswith("Map") else np.zeros(n, dtype=np.int64)
        for name, kind in TABLES[WINDOWS].items()
    }
    starts = START_MS + 1000 * WINDOW_S * np.arange(first, first + windows)
    columns |= {
        "rollout_id": [ROLLOUT] * n,
        "mode": ["shadow"] * n,
        "language": [language for language, _ in SLICES] * windows,
        "workflow": [workflow for _, workflow in SLICES] * windows,
        "evaluator": [""] * n,
        "window_start": np.repeat(starts, len(SLICES)),
        "window_s": np.full(n, WINDOW_S),
        "source": ["events"] * n,
        "version": np.full(n, first + windows),
        "closed": np.ones(n, dtype=np.uint8),
        "events_paired": 2 * requests,
        "pair_pairs": requests,
        "pair_answered": requests,
    }
    _outcomes(rng, columns, requests)
    _values(rng, columns, np.repeat(np.arange(n), requests), n)
    return columns


def _outcomes(rng: np.random.Generator, columns: Columns, requests: NDArray[np.int64]) -> None:
    """Independent outcomes of both sides."""
    columns["stable_requests"] = columns["candidate_requests"] = requests
    for metric, chance in CHANCES.items():
        rate = RATES[metric]
        columns[f"stable_{rate.among}"] = columns[f"candidate_{rate.among}"] = requests
        columns[f"pair_{rate.paired_among}"] = requests
        both = rng.binomial(requests, chance**2)
        alone = chance * (1.0 - chance) / (1.0 - chance**2)
        stable = rng.binomial(requests - both, alone)
        candidate = rng.binomial(requests - both - stable, alone / (1.0 - alone))
        columns[f"pair_{only_stable(rate.joint)}"] = stable
        columns[f"pair_{only_candidate(rate.joint)}"] = candidate
        columns[f"pair_{both_sides(rate.joint)}"] = both
        columns[f"stable_{rate.success}"] = both + stable
        columns[f"candidate_{rate.success}"] = both + candidate


def _values(rng: np.random.Generator, columns: Columns, rows: NDArray[np.int64], n: int) -> None:
    """Durations, tokens and costs of every request; prompts are hard or easy for both sides."""
    effort = rng.lognormal(0.0, 0.5, rows.size)
    tokens: dict[str, Floats] = {}
    costs: dict[str, Floats] = {}

    def total(values: Floats) -> Floats:
        return np.bincount(rows, weights=values, minlength=n)

    for side in ("stable", "candidate"):
        for time_name, typical_ms in (("duration_ms", 1_000.0), ("time_to_first_token_ms", 200.0)):
            times = typical_ms * effort * rng.lognormal(0.0, 0.4, rows.size)
            columns[f"{side}_{time_name}_count"] = np.bincount(rows, minlength=n)
            columns[f"{side}_{time_name}_sum"] = total(times)
            columns[f"{side}_{time_name}_histogram"] = _histograms(rows, log_bucket(times), n)
        tokens[side] = np.rint(200.0 * effort * rng.lognormal(0.0, 0.3, rows.size))
        costs[side] = np.rint(2e7 * effort * rng.lognormal(0.0, 0.3, rows.size)) / 1e10
    for name, values in (("output_tokens", tokens), ("cost_usd", costs)):
        counts = np.bincount(rows, minlength=n)
        columns[f"pair_{name}_count"] = counts
        columns[f"pair_{name}_products"] = total(values["stable"] * values["candidate"])
        for side, own in values.items():
            columns[f"{side}_{name}_count"] = counts
            columns[f"{side}_{name}_sum"] = columns[f"pair_{name}_{side}_sum"] = total(own)
            squares = total(own**2)
            columns[f"{side}_{name}_squares"] = columns[f"pair_{name}_{side}_squares"] = squares
    for name, kind in TABLES[WINDOWS].items():
        if kind == "UInt64":
            columns[name] = np.asarray(columns[name], dtype=np.int64)
        elif kind == "UInt128":  # takes whole numbers of any size, one by one
            columns[name] = [int(value) for value in columns[name]]


def _histograms(
    rows: NDArray[np.int64], buckets: NDArray[np.int64], n: int
) -> list[dict[int, int]]:
    lowest = int(buckets.min(initial=0))
    width = int(buckets.max(initial=0)) - lowest + 1
    cells, counts = np.unique(rows * width + (buckets - lowest), return_counts=True)
    result: list[dict[int, int]] = [{} for _ in range(n)]
    of_row, of_bucket = (cells // width).tolist(), (cells % width + lowest).tolist()
    for row, bucket, count in zip(of_row, of_bucket, counts.tolist(), strict=True):
        result[row][bucket] = count
    return result


def _layout() -> int:
    """A number of the table's columns: a folder of another release is not used again."""
    return crc32(repr(TABLES[WINDOWS]).encode())


# --- the backtest -----------------------------------------------------------------------------


def arguments(url: str, policy: Path) -> list[str]:
    """Of `understudy`."""
    return ["rollout", "backtest", "-f", str(policy), "--clickhouse", url, "--json"]


class Run(NamedTuple):
    """A backtest as its caller waits for it, the CPU time that it took, and what it printed."""

    seconds: float
    cpu_seconds: float
    printed: Mapping[str, Any]


def measure(url: str, policy: Path, repeat: int) -> Iterator[Run]:
    """So many runs, one after the other."""
    command = [sys.executable, "-m", "understudy.streams.commands.main", *arguments(url, policy)]
    for _ in range(repeat):
        begun_s, cpu_s = time.perf_counter(), _cpu_seconds()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        taken_s = time.perf_counter() - begun_s
        yield Run(taken_s, _cpu_seconds() - cpu_s, json.loads(done.stdout))


def _cpu_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show_stages(console: Console, url: str, policy: Path, most: int = 45) -> None:
    """Where the CPU time goes, by function, all that it calls included."""
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    understudy(arguments(url, policy), standalone_mode=False)
    profile.disable()
    stats = pstats.Stats(profile, stream=console.file)
    stats.sort_stats("cumulative").print_stats(most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/understudy-backtest"))
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stages", action="store_true", help="profile one run in this process")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    url = f"chdb://{chosen.folder.resolve()}-{chosen.hours:g}h-{chosen.rate:g}-{_layout():08x}"
    rows = store(url, chosen.hours, chosen.rate)
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(POLICY, "utf-8")
        if chosen.stages:
            show_stages(console, url, policy)
            return
        runs = list(measure(url, policy, chosen.repeat))
    found = {
        "rows": rows,
        "median_seconds": round(statistics.median(run.seconds for run in runs), 2),
        "median_cpu_seconds": round(statistics.median(run.cpu_seconds for run in runs), 2),
        "verdict": runs[0].printed["decision"]["verdict"],
        "decisions": len(runs[0].printed["timeline"]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        console.print(found)


if __name__ == "__main__":
    main()
