"""What the verdict makes of answers that real models gave to the same prompts.

Each file holds pairs, one JSON object a line: `pair_id`, `source`, `language`, `prompt`,
`expects_json`, `tools_expected`, and for `stable` and `candidate` each `model`, `output`,
`tool_calls`, `latency_ms`, `input_tokens`, `output_tokens` and `error`, null where unknown. The
pairs of two models become events, go through decoding, join and comparison as in a worker, and are
then drawn with replacement: 20 000 requests at 10 a second, judged window by window under the
default guardrails. So the truth is known: it is what holds over the pairs of the file.

Where a source gives tokens, one price for both models (2.50 and 10 dollars for a million of input
and output tokens) makes them a cost. Nothing else is invented: what is unknown is not judged.

    python benchmarks/real_pairs.py FOLDER [--seeds 10] [--only TEXT] [--json]
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import json
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from understudy.analyzers.compare.arrays import select
from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_columns import RowColumns
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.histogram import quantile
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums, add_batch, number_rows
from understudy.schemas.event_time import from_epoch_ms, to_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.measure_kinds import only_candidate, only_stable
from understudy.schemas.rollout_metrics import MEANS, METRICS, RATES, TIMES
from understudy.schemas.rollouts import Guardrail, Rollout
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing.comparison import Comparisons, merge_comparisons, window_columns
from understudy.streams.pairing.event_partition import Partition
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import RecordBatch

REQUESTS: Final = 20_000
PER_WINDOW: Final = 100
"""Ten a second in windows of ten seconds."""
WINDOW_S: Final = 10
WINDOWS_AT_ONCE: Final = 50
"""Windows that are folded together: clear regressions end within the first of them."""
START_MS: Final = 1_760_000_000_000
INPUT_USD: Final = 2.5e-6
OUTPUT_USD: Final = 10e-6
"""Of a token; the same for both models, so that the cost says how many tokens they take."""
FEW: Final = 0.02
"""Languages with a smaller share of the pairs are judged, but do not decide what is expected."""
CLEARLY: Final = 1.5
"""A harm of this many margins is a clear regression; between one and this much, holding is fine."""
POLICY: Final = """
rollout_id: {rollout_id}
models: {{stable: a, candidate: b}}
mode: shadow
min_duration: 10m
independent_requests: true
"""


@dataclass(frozen=True)
class Group:
    """The pairs of two models from one source."""

    name: str
    stable: str
    candidate: str
    pairs: list[dict[str, Any]]


@dataclass(frozen=True)
class Harm:
    """How much worse the candidate is over all pairs, in margins of a guardrail."""

    guardrail: str
    slice: str
    margins: float


@dataclass(frozen=True)
class Outcome:
    """What one draw came to."""

    verdict: str
    requests: int
    reason: str


# Pairs to comparisons


def groups(folder: Path) -> Iterator[Group]:
    """Yield the pairs of all files by models and source; languages are taken together."""
    for file in sorted(folder.glob("pairs_*.ndjson.gz")):
        found: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for pair in map(json.loads, gzip.decompress(file.read_bytes()).splitlines()):
            found[_group_of(pair)].append(pair)
        for (source, stable, candidate), pairs in found.items():
            yield Group(f"{file.name.split('.')[0]} {source}", stable, candidate, pairs)


def _group_of(pair: dict[str, Any]) -> tuple[str, str, str]:
    """Return source and models without the language that some names end with."""
    source = re.sub(r"-\w\w$", "", pair["source"].rpartition("/")[2])
    names = (re.sub(r"[_-][a-z]{2}$", "", pair[side]["model"]) for side in ("stable", "candidate"))
    stable, candidate = (name.replace("__", "/") for name in names)
    return source, stable, candidate


def event(pair: dict[str, Any], side: str, number: int) -> dict[str, Any]:
    """Return a side of a pair as a gateway would write it."""
    answer = pair[side]
    written: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "real",
        "pair_id": str(number),
        "mode": "shadow",
        "side": side,
        "sides": ["stable", "candidate"],
        "served": side == "stable",
        "request_time": from_epoch_ms(START_MS + number).isoformat(),
        "language": pair["language"],
        "request": {
            "prompt": pair["prompt"],
            "expects": "json" if pair["expects_json"] else "text",
            "tools": _tools_of(pair),
        },
    }
    if answer["error"]:
        written["error"] = {"type": "provider_error"}
    else:
        calls = answer["tool_calls"]
        written["response"] = {
            "model": answer["model"][:128],
            "output": answer["output"],
            "tool_calls": [_call(call) for call in calls] if calls else None,
        }
    tokens = {"input_tokens": answer["input_tokens"], "output_tokens": answer["output_tokens"]}
    usage = {name: value for name, value in tokens.items() if value is not None}
    if len(usage) == 2:
        usage["cost_usd"] = INPUT_USD * usage["input_tokens"] + OUTPUT_USD * usage["output_tokens"]
    written["usage"] = usage
    if answer["latency_ms"] is not None:
        written["timing"] = {"duration_ms": min(answer["latency_ms"], 6e8)}
    return written


def _tools_of(pair: dict[str, Any]) -> list[str] | None:
    """Return the tools that any side called, where tools were offered."""
    if not pair["tools_expected"]:
        return None
    calls = [call for side in ("stable", "candidate") for call in pair[side]["tool_calls"] or ()]
    return sorted({call["name"] for call in calls}) or ["unknown"]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": call["arguments"]}


def compared(pairs: Iterable[dict[str, Any]]) -> Comparisons:
    """Return the comparisons of pairs, as a worker makes them."""
    payloads = [
        json.dumps(event(pair, side, number)).encode()
        for number, pair in enumerate(pairs)
        for side in ("stable", "candidate")
    ]
    n = len(payloads)
    times = [START_MS + 86_400_000] * n
    partition = Partition(0, PairingPolicy())
    output = partition.process(RecordBatch(payloads, range(n), times, [None] * n))
    if output.dead_letters:
        raise SystemExit(f"not an event: {output.dead_letters[0].detail}")
    (comparisons,) = merge_comparisons([*output.comparisons, *partition.finish().comparisons])
    return comparisons


# Drawing


def drawn(comparisons: Comparisons, rows: list[int]) -> Comparisons:
    """Return some of the pairs, each as often as its row is named."""
    stable, candidate, pair = comparisons.stable, comparisons.candidate, comparisons.pair
    assert stable is not None
    assert candidate is not None
    assert pair is not None
    return Comparisons(
        requests=select(comparisons.requests, rows),
        stable=select(stable, rows),
        candidate=select(candidate, rows),
        pair=select(pair, rows),
    )


def drawn_rows(comparisons: Comparisons, seed: int) -> list[WindowRow]:
    """Return the closed windows of requests that are drawn with replacement, in their order."""
    rng = np.random.default_rng(seed)
    some = drawn(comparisons, rng.integers(len(comparisons), size=REQUESTS).tolist())
    starts = START_MS + np.arange(REQUESTS) // PER_WINDOW * WINDOW_S * 1000
    requests = some.requests
    labels = requests.rollout_id, requests.mode, requests.language, requests.workflow
    slices, keys = number_rows(map(SliceKey, *labels, starts.tolist()))
    sums = [WindowSums() for _ in keys]
    add_batch(sums, slices, window_columns(some))
    return [
        DrawnRow.of(one, key, window_s=WINDOW_S, partition=0, version=0, closed=True).to_row()
        for key, one in sorted(
            zip(keys, sums, strict=True), key=lambda item: item[0].window_start_ms
        )
    ]


def closed_rows(rollout: Rollout, rows: list[WindowRow]) -> ClosedRows:
    """Return rows in the columns that the guardrails of a policy need."""
    n = len(rows)
    languages = sorted({row.language for row in rows})
    alike = np.zeros(n, np.int64)
    return ClosedRows(
        source="events",
        start_ms=np.array([to_epoch_ms(row.window_start) for row in rows]),
        window_s=np.full(n, WINDOW_S),
        partition=alike,
        mode=Labels(alike, ["shadow"]),
        language=Labels(np.array([languages.index(row.language) for row in rows]), languages),
        workflow=Labels(alike, [""]),
        columns=RowColumns.of_rows(rows, columns_needed(rollout)),
    )


def judged(rollout: Rollout, comparisons: Comparisons, seed: int) -> Outcome:
    """Return the first rollback or promote verdict of a draw; hold where there is none."""
    evaluator = RolloutEvaluator(rollout)
    rows = closed_rows(rollout, drawn_rows(comparisons, seed))
    for start in range(0, REQUESTS // PER_WINDOW, WINDOWS_AT_ONCE):
        first_ms = START_MS + start * WINDOW_S * 1000
        end_ms = first_ms + WINDOWS_AT_ONCE * WINDOW_S * 1000
        part = np.flatnonzero((rows.start_ms >= first_ms) & (rows.start_ms < end_ms))
        for decision in evaluator.take_closed([rows.part(part)]):
            if decision.verdict != "hold":
                elapsed_ms = to_epoch_ms(decision.decided_at) - START_MS
                requests = elapsed_ms // (WINDOW_S * 1000) * PER_WINDOW
                return Outcome(decision.verdict, requests, decision.reasons[0])
    return Outcome("hold", REQUESTS, "; ".join(evaluator.decision().reasons))


# The truth


def harms(rollout: Rollout, comparisons: Comparisons) -> list[Harm]:
    """Return the harm over all pairs, in margins, by guardrail and slice, the worst first."""
    found = []
    for name, rows in _slices(comparisons):
        row = _total(comparisons, rows)
        for guardrail in rollout.guardrails:
            if guardrail.action != "rollback":
                continue
            margins = _margins(guardrail, row)
            if margins is not None:
                found.append(Harm(guardrail.name, name, margins))
    return sorted(found, key=lambda harm: -harm.margins)


def _slices(comparisons: Comparisons) -> Iterator[tuple[str, list[int]]]:
    yield "all", list(range(len(comparisons)))
    languages = comparisons.requests.language
    for language, count in Counter(languages).items():
        if count >= FEW * len(comparisons):
            yield language, [row for row, one in enumerate(languages) if one == language]


def _total(comparisons: Comparisons, rows: list[int]) -> WindowRow:
    some = drawn(comparisons, rows)
    sums = WindowSums()
    add_batch([sums], np.zeros(len(rows), np.int64), window_columns(some))
    key = SliceKey("real", "shadow", "und", "", START_MS)
    return DrawnRow.of(sums, key, window_s=WINDOW_S, partition=0, version=0, closed=True).to_row()


def _margins(guardrail: Guardrail, row: WindowRow) -> float | None:
    """Return the harm of a guardrail in margins; None where it is not measured."""
    metric = METRICS[guardrail.metric]
    if metric.kind == "rate":
        rate = RATES[metric.name]
        pairs = getattr(row.pair, rate.paired_among)
        if not pairs:
            return None
        only = (only_candidate(rate.joint), only_stable(rate.joint))
        more, less = (getattr(row.pair, name) for name in only)
        harm = (less - more if metric.higher_is_better else more - less) / pairs
        return harm / guardrail.value
    if metric.kind == "quantile":
        histogram = f"{TIMES[metric.measure].name}_histogram"
        sides = [getattr(side, histogram) for side in (row.candidate, row.stable)]
        if not all(sides):
            return None
        candidate, stable = (quantile(side, metric.quantile) for side in sides)
        return (candidate / stable - 1.0) / guardrail.value
    if metric.kind == "mean":
        name = MEANS[metric.name].name
        candidate, stable = (
            getattr(row.pair, f"{name}_{side}_sum") for side in ("candidate", "stable")
        )
        return (candidate / stable - 1.0) / guardrail.value if stable else None
    return None


def expected(worst: float) -> str:
    """Return the verdict that the truth asks for."""
    if worst >= CLEARLY:
        return "rollback"
    return "promote" if worst < 1.0 / CLEARLY else "either"


# The report


def result(group: Group, rollout: Rollout, seeds: int) -> dict[str, Any]:
    """Return what stands in the table for one pair of models."""
    comparisons = compared(group.pairs)
    found = harms(rollout, comparisons)
    worst = found[0] if found else Harm("", "", 0.0)
    outcomes = [judged(rollout, comparisons, seed) for seed in range(seeds)]
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    usual = verdicts.most_common(1)[0][0]
    of_usual = [outcome for outcome in outcomes if outcome.verdict == usual]
    return {
        "source": group.name,
        "stable": group.stable,
        "candidate": group.candidate,
        "pairs": len(group.pairs),
        "languages": len(set(comparisons.requests.language)),
        "worst": f"{worst.guardrail}/{worst.slice}",
        "margins": round(worst.margins, 2),
        "expected": expected(worst.margins),
        "verdicts": dict(verdicts),
        "requests": statistics.median(outcome.requests for outcome in of_usual),
        "reason": of_usual[0].reason,
    }


def table(results: list[dict[str, Any]]) -> Table:
    """Return the results as a table for a terminal."""
    shown = Table(title="Real pairs")
    for column in ("stable → candidate", "pairs", "worst harm", "expected", "reached", "requests"):
        shown.add_column(column, overflow="fold")
    for one in results:
        reached = ", ".join(f"{verdict} {count}" for verdict, count in one["verdicts"].items())
        shown.add_row(
            f"{one['stable']} → {one['candidate']}\n[dim]{one['source']}[/dim]",
            str(one["pairs"]),
            f"{one['worst']} × {one['margins']}",
            one["expected"],
            reached,
            f"{one['requests']:,.0f}",
        )
    return shown


def main() -> None:
    """Judge all pairs in a folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", type=Path, help="holds pairs_*.ndjson.gz")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="models or sources whose name contains this")
    parser.add_argument("--json", action="store_true", help="results as JSON, one a line")
    arguments = parser.parse_args()
    rollout = read_policy(POLICY.format(rollout_id="real").encode(), "policy")
    results = []
    started = dt.datetime.now(dt.UTC)
    for group in groups(arguments.folder):
        named = f"{group.name} {group.stable} {group.candidate}"
        if arguments.only not in named:
            continue
        results.append(result(group, rollout, arguments.seeds))
        if arguments.json:
            print(json.dumps(results[-1], ensure_ascii=False), flush=True)
        else:
            print(named, results[-1]["verdicts"], file=sys.stderr, flush=True)
    if not arguments.json:
        Console().print(table(results))
        print(f"{len(results)} pairs of models in {dt.datetime.now(dt.UTC) - started}")


if __name__ == "__main__":
    main()
