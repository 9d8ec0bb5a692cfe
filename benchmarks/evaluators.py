"""What evaluators without a judge model say about answers that real models gave, by language.

The answers of two models to one prompt are held against each other, the first as the control would
be: two runs of one model, models about as good, a smaller one. `other prompt` is the mean of the
answers to other prompts, the clearest regression there is, and `AUC` the share in which an answer
to the own prompt scores higher: at 0.5 an evaluator says nothing. `pairs` is about how many judged
pairs it takes until a candidate that answers 1 request in 10 off the topic stands out by four
standard errors.

    python benchmarks/evaluators.py FOLDER [--json]
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from understudy.analyzers.evaluators.embeddings import embedding_evaluators
from understudy.analyzers.evaluators.scoring import SCORING, Answers, ScoringEvaluator
from understudy.streams.evaluating.static_embeddings import load_embeddings

FILES: Final = (
    "arena_hard_en_quant", "m_arena_hard_latin", "m_arena_hard_nonlatin",
    "structured_frameworks",
)  # fmt: skip
STANDARD_ERRORS: Final = 4.0
OFF_TOPIC: Final = 0.1
FEWEST: Final = 25
"""Requests of a row; fewer say little."""


@dataclass
class Requests:
    """Requests of one language, with a reference and the answers that are held against it."""

    prompts: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    expects_json: bool = False
    language: str = ""


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"pairs_{name}.ndjson.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def groups(folder: Path) -> dict[tuple[str, str], Requests]:
    """Requests by language and by who is held against whom."""
    found: dict[tuple[str, str], Requests] = defaultdict(Requests)
    for name in FILES:
        for pair in read(folder, name):
            stable, candidate = pair["stable"], pair["candidate"]
            if not stable["output"] or not candidate["output"]:
                continue
            source = pair["source"].rpartition("/")[2]
            is_json = name == "structured_frameworks"
            language = f"JSON, {source}" if is_json else pair["language"]
            models = " → ".join(short(one["model"]) for one in (stable, candidate))
            one = found[language, models]
            one.expects_json = is_json
            one.language = pair["language"]
            one.prompts.append(pair["prompt"])
            one.references.append(stable["output"])
            one.answers.append(candidate["output"])
    return {key: one for key, one in found.items() if len(one.prompts) >= FEWEST}


def short(model: str) -> str:
    return model.rpartition("__")[2].rpartition(" via ")[2]


def scores(
    evaluator: ScoringEvaluator, requests: Requests, answers: Iterable[str]
) -> list[float | None]:
    """How answers score, each against the reference of its request."""
    found: list[float | None] = []
    triples = zip(requests.prompts, requests.references, answers, strict=True)
    for prompt, reference, answer in triples:
        held = Answers(prompt, answer, answer, reference, requests.expects_json, requests.language)
        score = evaluator.score(held)
        found.append(None if score is None else score.candidate)
    return found


def present(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def auc(high: list[float], low: list[float]) -> float:
    """The share of (high, low) in which high is above, ties counting half."""
    if not high or not low:
        return math.nan
    wins = sum((a > b) + 0.5 * (a == b) for a in high for b in low)
    return wins / (len(high) * len(low))


@dataclass(frozen=True)
class Row:
    evaluator: str
    language: str
    models: str
    requests: int
    said: float
    mean: float
    deviation: float
    off_topic: float
    auc: float
    pairs: float
    ms: float


def rows(folder: Path, evaluators: dict[str, ScoringEvaluator]) -> list[Row]:
    rng = random.Random(1)
    found = []
    for (language, models), requests in sorted(groups(folder).items()):
        others = requests.answers[:]
        rng.shuffle(others)
        for name, evaluator in evaluators.items():
            began_s = time.process_time()
            own = scores(evaluator, requests, requests.answers)
            ms = (time.process_time() - began_s) / len(own) * 1000
            foreign = present(scores(evaluator, requests, others))
            values = present(own)
            if len(values) < FEWEST:
                continue
            mean, deviation = statistics.fmean(values), statistics.pstdev(values)
            off_topic = statistics.fmean(foreign)
            # Both sides vary, so their difference varies by the square root of two more.
            harm = OFF_TOPIC * (mean - off_topic)
            needed = (STANDARD_ERRORS * deviation * math.sqrt(2) / harm) ** 2 if harm else math.inf
            found.append(Row(name, language, models, len(values), len(values) / len(own), mean,
                             deviation, off_topic, auc(values, foreign), needed, ms))  # fmt: skip
    return found


def shown(found: list[Row]) -> Table:
    table = Table("evaluator", "language", "answers held against each other", "requests", "says",
                  "mean", "sd", "other prompt", "AUC", "pairs", "ms")  # fmt: skip
    for one in found:
        table.add_row(
            one.evaluator, one.language, one.models, str(one.requests), f"{one.said:.0%}",
            f"{one.mean:.2f}", f"{one.deviation:.2f}", f"{one.off_topic:.2f}", f"{one.auc:.2f}",
            f"{one.pairs:,.0f}", f"{one.ms:.1f}",
        )  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    embed = load_embeddings()
    evaluators = dict(SCORING)
    if embed is not None:
        evaluators |= embedding_evaluators(embed, similar_in=None, relevant_in=None)
    found = rows(options.folder, evaluators)
    if options.json:
        json.dump([one.__dict__ for one in found], sys.stdout, indent=1)
    else:
        Console(width=160).print(shown(found))


if __name__ == "__main__":
    main()
