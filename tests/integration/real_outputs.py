"""Real model outputs as events that a gateway might have written.

Real are: prompts, outputs, tool calls, errors, languages, and where the source has them latencies
and token counts; the times between requests come from a trace of real traffic. Made up, from a
seed, is what the sources lack:

- a duration: time to first token from measured providers, then output at 40 to 120 tokens/s;
- token counts: a quarter of the characters; costs: 2 and 8 dollars per million tokens in and out;
- whether an answer was streamed, was cut off, came from a fallback model; the workflow;
- a control side: the stable answer, or the first half of it;
- disorder: lost, repeated, late and damaged messages, requests that went to one side alone.

The expected figures are computed from the events, so nothing depends on how plausible these are.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Document = dict[str, Any]

START = dt.datetime(2025, 3, 3, 9, 0, tzinfo=dt.UTC)
ARRIVALS_TRACE = "trace_azure_llm_2023_conv.csv.gz"
LATENCY_TRACE = "trace_llmperf_latency.csv.gz"
USD_PER_TOKEN = {"stable": (2.0e-6, 8.0e-6), "candidate": (1.8e-6, 7.2e-6)}
WORKFLOWS = {
    "pairs_wrtn_tools": "agent",
    "pairs_llmdrift": "reasoning",
    "pairs_nerre_json": "extraction",
    "pairs_structured_frameworks": "extraction",
    "pairs_mtbench_eu": "chat",
}
WRITTEN_OTHERWISE = {"zh-Hans": "zh-CN", "en": "EN", "pt": "PT"}
LATE_AFTER_S = 125.0
LOST, REPEATED, LATE, DAMAGED = 0.01, 0.01, 0.006, 0.006
SINGLE, CONTROL, UNTAGGED = 0.06, 0.05, 0.03


def real_events(folder: Path, pairs_per_file: int, seed: int = 1) -> list[bytes]:
    """Lines in order of arrival, about `pairs_per_file` pairs of each file, mixed."""
    rng = random.Random(seed)
    pairs = [
        pair
        for file in sorted(folder.glob("pairs_*.ndjson.gz"))
        for pair in _sample(file, pairs_per_file, rng)
    ]
    rng.shuffle(pairs)
    gateway = _Gateway(rng, _first_tokens_ms(folder))
    arrivals: list[tuple[float, int, bytes]] = []
    for at_s, pair in zip(_request_offsets_s(folder), pairs, strict=False):
        for arrival_s, line in gateway.mirror(pair, at_s):
            arrivals.append((arrival_s, len(arrivals), line))
    return [line for _, _, line in sorted(arrivals)]


def _sample(file: Path, count: int, rng: random.Random) -> Iterator[Document]:
    with gzip.open(file, "rb") as lines:
        every = list(lines)
    for line in rng.sample(every, min(count, len(every))):
        yield {**json.loads(line), "file": file.name.removesuffix(".ndjson.gz")}


def _request_offsets_s(folder: Path) -> Iterator[float]:
    """Seconds after the first request of the trace."""
    with gzip.open(folder / ARRIVALS_TRACE, "rt") as lines:
        moments = [
            dt.datetime.fromisoformat(row["timestamp"][:26].replace(" ", "T"))
            for row in csv.DictReader(lines)
        ]
    return ((moment - moments[0]).total_seconds() for moment in moments)


def _first_tokens_ms(folder: Path) -> list[float]:
    with gzip.open(folder / LATENCY_TRACE, "rt") as lines:
        return [1000 * float(r["ttft_s"]) for r in csv.DictReader(lines) if r["ttft_s"]]


@dataclass
class _Gateway:
    rng: random.Random
    first_tokens_ms: list[float]

    def mirror(self, pair: Document, at_s: float) -> Iterator[tuple[float, bytes]]:
        """Lines of one request with the seconds at which each is written."""
        rng = self.rng
        common = self._common(pair, at_s)
        if rng.random() < SINGLE:
            side = rng.choice(("stable", "candidate"))
            common |= {"mode": "canary", "sides": [side]}
        for side in common["sides"]:
            event = {**common, "side": side, "served": side == "stable"}
            event |= self._answer(pair, side)
            yield from self._write(event, at_s)

    def _common(self, pair: Document, at_s: float) -> Document:
        rng = self.rng
        language = pair["language"]
        if rng.random() < 0.1:
            language = WRITTEN_OTHERWISE.get(language, language)
        rollout = _rollout(pair)
        control = rng.random() < CONTROL
        moment = START + dt.timedelta(milliseconds=int(1000 * at_s))
        return {
            "schema_version": 1,
            "rollout_id": rollout,
            "pair_id": pair["pair_id"],
            "mode": "interleave" if len(rollout) % 3 == 0 else "shadow",
            "sides": ["stable", "candidate", "control"] if control else ["stable", "candidate"],
            "request_time": moment.isoformat(),
            "language": None if rng.random() < UNTAGGED else language,
            "workflow": WORKFLOWS.get(pair["file"]),
            "request": {
                "prompt": pair["prompt"],
                "expects": "json" if pair["expects_json"] else "text",
                "tools": _tools(pair),
            },
        }

    def _answer(self, pair: Document, side: str) -> Document:
        rng = self.rng
        real = pair["stable" if side == "control" else side]
        output = real["output"]
        if side == "control" and output and rng.random() < 0.5:
            output = output[: len(output) // 2]
        stream = rng.random() < 0.6
        tokens = {
            "input": real["input_tokens"] or len(pair["prompt"]) // 4,
            "output": real["output_tokens"] or len(output or "") // 4,
        }
        timing = self._timing(real["latency_ms"], tokens["output"], stream)
        price = USD_PER_TOKEN["candidate" if side == "candidate" else "stable"]
        usage = {
            "input_tokens": tokens["input"],
            "output_tokens": tokens["output"],
            "cost_usd": round(tokens["input"] * price[0] + tokens["output"] * price[1], 8),
        }
        if real["error"]:
            error = {"type": str(real["error"])[:40], "status": 500}
            return {"error": error, "usage": usage, "timing": timing}
        return {
            "response": {
                "model": real["model"],
                "output": output,
                "tool_calls": [self._call(call) for call in real["tool_calls"] or []] or None,
                "finish_reason": _pick(rng, ((0.02, "length"), (1, "stop"))),
                "stream": stream,
            },
            "usage": usage,
            "timing": timing,
            "fallback": {"used": True, "attempts": 2} if rng.random() < 0.01 else None,
        }

    def _timing(self, latency_ms: float | None, tokens: int, stream: bool) -> Document:
        first_ms = self.rng.choice(self.first_tokens_ms)
        if latency_ms is None:
            latency_ms = first_ms + 1000 * tokens / self.rng.uniform(40, 120)
        first_ms = round(min(first_ms, latency_ms), 1)
        return {
            "duration_ms": round(latency_ms, 1),
            "time_to_first_token_ms": first_ms if stream else None,
        }

    def _call(self, call: Document) -> Document:
        """Arguments as a JSON value or, as some gateways write them, a string that holds one."""
        arguments = call["arguments"]
        if not isinstance(arguments, str) and self.rng.random() < 0.5:
            arguments = json.dumps(arguments, ensure_ascii=False)
        return {"name": call["name"], "arguments": arguments}

    def _write(self, event: Document, at_s: float) -> Iterator[tuple[float, bytes]]:
        rng, line = self.rng, json.dumps(event, ensure_ascii=False).encode()
        arrival_s = at_s + event["timing"]["duration_ms"] / 1000
        fate = _pick(
            rng,
            ((LOST, "lost"), (REPEATED, "repeated"), (LATE, "late"), (DAMAGED, "damaged"), (1, "")),
        )
        if fate == "lost":
            return
        if fate == "late":
            arrival_s = at_s + LATE_AFTER_S + 60 * rng.random()
        yield arrival_s, line
        if fate == "repeated":
            yield arrival_s + 5 * rng.random(), line
        elif fate == "damaged":
            yield arrival_s, _damaged(rng, line)


def _pick(rng: random.Random, choices: tuple[tuple[float, str], ...]) -> str:
    """The first choice whose share is drawn; the last has all that is left."""
    point = rng.random()
    for share, name in choices:
        if (point := point - share) < 0:
            return name
    return choices[-1][1]


def _rollout(pair: Document) -> str:
    """A name for the pair of models that has no slash in it."""
    names = (pair["stable"]["model"], pair["candidate"]["model"])
    return re.sub(r"[^\w.-]+", "-", "_to_".join(names))[:128]


def _tools(pair: Document) -> list[str] | None:
    if not pair["tools_expected"]:
        return None
    sides = (pair["stable"], pair["candidate"])
    return sorted({call["name"] for side in sides for call in side["tool_calls"] or []}) or ["any"]


def _damaged(rng: random.Random, line: bytes) -> bytes:
    return rng.choice(
        (
            line[: len(line) // 3].strip(),
            line.replace(b'"schema_version": 1', b'"schema_version": 9', 1),
            re.sub(rb'"request_time": "[^"]*"', b'"request_time": "yesterday"', line, count=1),
            re.sub(rb'"sides": \[[^\]]*\]', b'"sides": []', line, count=1),
            b"\xff\xfe not text",
        )
    )
