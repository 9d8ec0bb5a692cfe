"""How often drift is told where no model changed, and after how many requests where one did.

Without a folder: traffic of three languages and two workflows whose rates differ tenfold, in waves
over the day and the week, with days and conversations that differ by themselves. The mix of the
last day, or of each day from the second week on, shifts by 20 points, and no model changes.

With a folder of real answers (`pairs_*.ndjson.gz`, see `real_pairs.py`): traffic is drawn from what
`stable` answered, with conversations and days as above, and then from what `candidate` answered to
the same prompts, under the same name.

    python benchmarks/drift.py [FOLDER] [--runs 200] [--per-hour 100] [--only TEXT]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from real_pairs import compared, drawn, groups

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import COLUMNS
from understudy.analyzers.drift.periods import HOURS_OF_DAY, HOURS_OF_WEEK, periods_of
from understudy.analyzers.drift.side_drift import SideDrift, drift_of
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums, add_batch
from understudy.schemas.events import Side
from understudy.streams.pairing.comparison import window_columns

Floats = NDArray[np.float64]
FIRST_HOUR: Final = 490_000 // HOURS_OF_WEEK * HOURS_OF_WEEK
DAY_SPREAD: Final = 0.1
"""Of the logarithm of each day's odds and lengths: a day with a tenth more errors is no rarity."""
SHIFT: Final = 0.2
FINE: Final = 49
COARSE: Final = 12
"""Looks are taken each hour for two days, then twice a day: who is not told by then takes days."""
TURNS: Final = 3
"""Of a conversation, whose turns share their fate."""
PARTS: Final = (
    # language, workflow, share, error rate, JSON, length
    ("en", "chat", 0.4, 0.004, 0.995, 800.0),
    ("en", "form", 0.2, 0.01, 0.9, 200.0),
    ("ja", "chat", 0.15, 0.02, 0.97, 400.0),
    ("ja", "form", 0.1, 0.03, 0.8, 120.0),
    ("de", "chat", 0.1, 0.005, 0.99, 900.0),
    ("de", "form", 0.05, 0.04, 0.7, 250.0),
)
"""Rates that differ so much that a change in the mix would look like one of the model."""


def volume(hours: NDArray[np.int64], per_hour: float) -> Floats:
    """Return the expected requests of each hour: by day and by night, and fewer at weekends."""
    day = 1.0 + 0.8 * np.sin(2 * np.pi * hours / HOURS_OF_DAY)
    weekend = np.where(hours // HOURS_OF_DAY % 7 >= 5, 0.5, 1.0)
    return per_hour * day * weekend


def mixed(rng: np.random.Generator, hours: NDArray[np.int64], shifted: NDArray[np.bool_],
          per_hour: float) -> HourlySums:  # fmt: skip
    """Return traffic of models that do not change; en may give 20 points of it to ja."""
    columns = {name: np.zeros(hours.size * len(PARTS)) for name in COLUMNS}
    days = hours // HOURS_OF_DAY
    effect = rng.normal(0.0, DAY_SPREAD, (int(days.max() - days.min()) + 1, len(PARTS), 3))
    whole = volume(hours, per_hour)
    for number, (language, _, share, errors, valid, length) in enumerate(PARTS):
        moved = {"en": -SHIFT / 2, "ja": SHIFT / 2}.get(language, 0.0)
        part = slice(number * hours.size, (number + 1) * hours.size)
        talks = rng.poisson(whole * (share + np.where(shifted, moved, 0.0)) / TURNS)
        day = effect[days - days.min(), number]
        n = talks * TURNS
        failed = TURNS * rng.binomial(talks, _moved(errors, day[:, 0]))
        answered = n - failed
        good = rng.binomial(answered, _moved(valid, day[:, 1]))
        mean = length * np.exp(day[:, 2])
        total = mean * TURNS * rng.gamma(np.maximum(answered, 1e-9) / TURNS)
        for name, values in {
            "requests": n, "model_requests": n, "errors": failed, "answers": answered,
            "texts": answered, "json_expected": answered, "json_valid": good,
            "output_characters_count": answered, "output_characters_sum": total,
            "output_characters_squares": 2.0 * mean**2 * answered, "input_tokens_sum": 50.0 * n,
        }.items():  # fmt: skip
            columns[name][part] = values
    languages, workflows = (np.repeat([one[n] for one in PARTS], hours.size) for n in (0, 1))
    return HourlySums(np.tile(hours, len(PARTS)), languages, workflows, columns)


def _moved(rate: float, effect: Floats) -> Floats:
    odds = rate / (1.0 - rate) * np.exp(effect)
    return np.asarray(odds / (1.0 + odds))


def look(sums: HourlySums, side: Side, end: int, first: int = FIRST_HOUR) -> SideDrift | None:
    """Return what a look at the end of an hour tells."""
    periods = periods_of(side, first, end)
    return None if periods is None else drift_of(sums, periods)


def silent(runs: int, per_hour: float) -> Iterator[str]:
    """Yield shares of runs with an alert although no model changed."""
    for side, days in (("candidate", 28), ("stable", 29), ("candidate", 15)):
        once = shifted_once = month = 0
        for seed in range(runs):
            rng = np.random.default_rng(seed)
            hours = FIRST_HOUR + np.arange((days + 14) * HOURS_OF_DAY)
            end = FIRST_HOUR + days * HOURS_OF_DAY
            same = mixed(rng, hours, np.zeros(hours.size, np.bool_), per_hour)
            once += _alerts(look(same, side, end))  # type: ignore[arg-type]
            shifted = mixed(rng, hours, hours >= end - HOURS_OF_DAY, per_hour)
            looks = [look(shifted, side, end + n * HOURS_OF_DAY) for n in range(14)]  # type: ignore[arg-type]
            shifted_once += _alerts(looks[0])
            month += any(map(_alerts, looks))
        yield (
            f"{side}, {days} days: {once / runs:.3f} without a change of the mix, "
            f"{shifted_once / runs:.3f} with one, {month / runs:.3f} in 14 daily looks after it"
        )


def _alerts(found: SideDrift | None) -> bool:
    return found is not None and bool(found.alerts)


# Real answers


@dataclass(frozen=True)
class Answers:
    """What one side answered to each prompt, in sums of one answer: (prompts, columns)."""

    languages: list[str]
    stable: Floats
    candidate: Floats


def answers_of(pairs: list[dict[str, Any]]) -> Answers:
    """Measure real answers as a worker does."""
    comparisons = compared(pairs)
    n = len(comparisons)
    some = drawn(comparisons, list(range(n)))
    sums = [WindowSums() for _ in range(n)]
    add_batch(sums, np.arange(n), window_columns(some))
    key = SliceKey("real", "shadow", "und", "", 0)
    rows = [
        DrawnRow.of(one, key, window_s=10, partition=0, version=0, closed=True).to_row()
        for one in sums
    ]
    sides = ([msgspec.structs.asdict(getattr(row, side)) for row in rows]
             for side in ("stable", "candidate"))  # fmt: skip
    stable, candidate = (
        np.array([[float(side[name]) for name in COLUMNS] for side in found]) for found in sides
    )
    return Answers(list(some.requests.language), stable, candidate)


def swapped(answers: Answers, rng: np.random.Generator, hours: NDArray[np.int64], swap: int,
            per_hour: float) -> HourlySums:  # fmt: skip
    """Return traffic that the other model answers from an hour on."""
    names, parts = np.unique(answers.languages, return_inverse=True)
    counts = rng.poisson(volume(hours, per_hour) / TURNS)
    sums = np.zeros((hours.size, names.size, len(COLUMNS)))
    chances: Floats = np.ones(parts.size)
    for number, (hour, count) in enumerate(zip(hours, counts, strict=True)):
        if number % HOURS_OF_DAY == 0:  # each day asks for some things more than for others
            chances = rng.gamma(1.0 / DAY_SPREAD, size=parts.size)
            chances /= chances.sum()
        prompts = rng.choice(parts.size, count, p=chances)
        table = answers.candidate if hour >= swap else answers.stable
        np.add.at(sums[number], parts[prompts], TURNS * table[prompts])
    columns = {name: sums[:, :, n].ravel() for n, name in enumerate(COLUMNS)}
    return HourlySums(
        np.repeat(hours, names.size), np.tile(names, hours.size),
        np.full(hours.size * names.size, ""), columns,
    )  # fmt: skip


def told(answers: Answers, seed: int, per_hour: float) -> tuple[int | None, str, bool]:
    """Return after how many requests a swap is told, what told it, and whether it was too early."""
    rng = np.random.default_rng(seed)
    days = 28
    hours = FIRST_HOUR + np.arange((days + 7) * HOURS_OF_DAY)
    swap = FIRST_HOUR + days * HOURS_OF_DAY + 9
    sums = swapped(answers, rng, hours, swap, per_hour)
    early = any(_alerts(look(sums, "stable", swap - n * HOURS_OF_DAY)) for n in range(7))
    for end in (*range(swap + 1, swap + FINE), *range(swap + FINE, int(hours[-1]) + 2, COARSE)):
        found = look(sums, "stable", end)
        if found is not None and found.alerts:
            after = (sums.hours >= swap) & (sums.hours < end)
            requests = int(sums.columns["requests"][after].sum())
            return requests, found.alerts[0].metric.name, early
    return None, "", early


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--per-hour", type=float, default=100.0)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    if arguments.folder is None:
        for line in silent(arguments.runs, arguments.per_hour):
            print(line, flush=True)
        return
    for group in groups(arguments.folder):
        name = f"{group.stable} → {group.candidate} ({group.name})"
        if arguments.only not in name:
            continue
        answers = answers_of(group.pairs)
        found = [told(answers, seed, arguments.per_hour) for seed in range(arguments.runs)]
        requests = sorted(one[0] for one in found if one[0] is not None)
        middle = requests[len(requests) // 2] if requests else None
        print(json.dumps({
            "models": name, "pairs": len(group.pairs), "told": len(requests) / len(found),
            "median_requests": middle, "by": sorted({one[1] for one in found if one[1]}),
            "early": sum(one[2] for one in found) / len(found),
        }, ensure_ascii=False), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
