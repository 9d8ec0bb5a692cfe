"""The last page of the demo: what broke and where, in words, and how to look further.

It describes the run; the verdict of a rollout is reached elsewhere.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from rich.console import Console
from rich.text import Text

from understudy.schemas.windows import WindowRow
from understudy.streams.embedded.discrepancies import (
    ERROR_PROBABILITY,
    Discrepancy,
    Search,
    search,
)
from understudy.streams.embedded.simulator import Regression
from understudy.streams.embedded.slices import (
    ERROR,
    JSON_VALID,
    METRICS,
    Metric,
    SliceKey,
    SliceSums,
)
from understudy.streams.embedded.view import Snapshot, ascii_text

_CONFIDENCE_Z: Final = NormalDist().inv_cdf(0.975)
_NOT_FOUND: Final = "Not found in this run; more pairs would tell it from chance."
_SQL_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Summary:
    """Paragraphs for people, commands to copy, and the finding behind them."""

    headline: str
    paragraphs: tuple[str, ...]
    commands: tuple[str, ...]
    found: Discrepancy | None

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join([self.headline, "", *self.paragraphs, "", *self.commands])

    def print(self, console: Console) -> None:
        """Paragraphs are wrapped to the console, commands stay whole to be copied."""
        accused = self.found is not None and self.found.is_worse
        console.print()
        console.print(_fit(console, self.headline, "bold red" if accused else "bold"))
        for paragraph in self.paragraphs:
            console.print()
            console.print(_fit(console, paragraph))
        console.print()
        console.print(_fit(console, "Ask it yourself:", "bold"))
        for command in self.commands:
            console.print(_fit(console, command, "cyan"), soft_wrap=True)


def _fit(console: Console, text: str, style: str = "") -> Text:
    return Text(ascii_text(text) if console.options.ascii_only else text, style=style)


def summarise(
    snapshot: Snapshot,
    rows: Iterable[WindowRow],
    *,
    clickhouse_url: str,
    injected: Regression | None = None,
) -> Summary:
    """Put a finished run into words.

    `rows` are all its window rows, in any order and version; `injected` is what the simulator
    broke, which is told after what the counts show.
    """
    result = search(rows)
    found = result.found
    paragraphs = [_coverage(snapshot, result)]
    if found is not None:
        paragraphs += [_evidence(found, result)]
    elif result.overall.pair.pairs:
        paragraphs += [_nothing_found(result)]
    if injected is not None:
        paragraphs.append(_truth(injected, found))
    commands = [_command(clickhouse_url, sql) for sql in _queries(found)]
    return Summary(_headline(result), tuple(paragraphs), tuple(commands), found)


def _headline(result: Search) -> str:
    if result.found is not None:
        return _discrepancy_in_words(result.found)
    if result.overall.pair.pairs:
        return "Nothing stands out: no slice differs beyond chance in what was compared."
    return "No pair was compared, so there is nothing to say about the candidate."


def _discrepancy_in_words(found: Discrepancy) -> str:
    """Such as: JSON validity in ja/extract: stable 99.3 % → candidate 87.9 % (−11.4 points)."""
    stable, candidate = found.sums.rates(found.metric)
    if stable is None or candidate is None:
        raise ValueError("a discrepancy needs answers on both sides")
    points = 100 * (candidate - stable)
    since = f" since {found.since:%H:%M:%S}" if found.since else " over the whole run"
    better = "" if found.is_worse else ", better"
    return (
        f"{found.metric.title} in {found.key.title}: stable {100 * stable:.1f} % → "
        f"candidate {100 * candidate:.1f} % ({_signed(points)} points{better}){since}"
    )


def _coverage(snapshot: Snapshot, result: Search) -> str:
    languages = f"{result.languages} language{'' if result.languages == 1 else 's'}"
    return (
        f"{snapshot.events:,} events, {snapshot.pairs:,} pairs in {languages}; "
        f"{snapshot.unmatched:,} unmatched, {snapshot.duplicate:,} duplicate, "
        f"{snapshot.late:,} late, {snapshot.invalid:,} invalid, {snapshot.pending:,} pending."
    )


def _evidence(found: Discrepancy, result: Search) -> str:
    contrast = found.sums.contrast(found.metric)
    counts = (
        f"Of {contrast.pairs:,} pairs there, only the candidate failed in {contrast.worse:,}, "
        f"only stable in {contrast.better:,}."
        if found.metric.higher_is_better
        else f"Of {contrast.pairs:,} pairs there, it hit only the candidate in "
        f"{contrast.worse:,}, only stable in {contrast.better:,}."
    )
    reasons = _json_reasons(found) if found.metric == JSON_VALID else ""
    return (
        f"{counts}{reasons} Without a difference, {_probability(found.corrected_p)} for any of "
        f"{result.tests} comparisons to differ this much (exact McNemar test, "
        "corrected for their number). This describes the run afterwards; it is not the verdict."
    )


def _json_reasons(found: Discrepancy) -> str:
    side = found.sums.candidate
    reasons = {
        "fenced in markdown": side.json_fenced,
        "broken off": side.json_truncated,
        "with text around": side.json_trailing_text,
        "not JSON": side.json_not_json,
        "nested too deep": side.json_too_deep,
    }
    told = [f"{count:,} {reason}" for reason, count in reasons.items() if count]
    return f" The candidate's invalid answers: {', '.join(told)}." if told else ""


def _probability(p: float) -> str:
    if p < 1e-6:
        return "the odds are under one in a million"
    return f"the probability is at most {p:.2g}"


def _nothing_found(result: Search) -> str:
    intervals = [_interval(result.overall, metric) for metric in (JSON_VALID, ERROR)]
    told = "; ".join(text for text in intervals if text)
    return (
        f"{result.tests} comparisons of slices and metrics, none beyond chance (exact McNemar "
        f"tests, {100 * ERROR_PROBABILITY:.0f} % in all). All languages, 95 % interval: {told}. "
        "A smaller difference, or one in a small language, can still be there."
    )


def _interval(sums: SliceSums, metric: Metric) -> str:
    """Candidate − stable in points, with the normal interval of a paired difference."""
    contrast = sums.contrast(metric)
    if not contrast.pairs:
        return ""
    share = contrast.excess / contrast.pairs
    discordant = (contrast.worse + contrast.better) / contrast.pairs
    half = _CONFIDENCE_Z * math.sqrt(max(0.0, discordant - share**2) / contrast.pairs)
    delta = -share if metric.higher_is_better else share
    low, high = 100 * (delta - half), 100 * (delta + half)
    return f"{metric.title} {_signed(low, 2)} to {_signed(high, 2)} points"


def _truth(injected: Regression, found: Discrepancy | None) -> str:
    what = next(metric.title for metric in METRICS if metric.name == injected.metric)
    where = SliceKey(injected.language, injected.workflow).title
    truth = (
        f"What the simulator broke: {what} in {where}, {100 * injected.rate:.0f} % of the "
        f"candidate's answers from {injected.since:%H:%M:%S} on."
    )
    return f"{truth} {'Found.' if is_truth(injected, found) else _NOT_FOUND}"


def is_truth(injected: Regression, found: Discrepancy | None) -> bool:
    """Whether a discrepancy is the one that was injected."""
    return (
        found is not None
        and found.is_worse
        and found.metric.name == injected.metric
        and found.key == SliceKey(injected.language, injected.workflow)
    )


def _command(clickhouse_url: str, sql: str) -> str:
    return f'understudy query --clickhouse {shlex.quote(clickhouse_url)} "{sql}"'


def _queries(found: Discrepancy | None) -> list[str]:
    """Every slice; the named one over time; where all events ended."""
    metric = found.metric if found else JSON_VALID
    where = _where(found.key) if found else ""
    rates = _rates_sql(metric)
    return [
        f"SELECT language, workflow, sum(pair_pairs) AS pairs, {rates} FROM windows FINAL "
        f"GROUP BY language, workflow HAVING sum(stable_{metric.side_total}) > 0 "
        f"ORDER BY abs(candidate - stable) DESC LIMIT 10",
        f"SELECT toStartOfMinute(window_start) AS minute, {rates} FROM windows FINAL{where} "
        f"GROUP BY minute ORDER BY minute",
        "SELECT sum(events_paired) AS paired, sum(events_unmatched_stable + "
        "events_unmatched_candidate + events_unmatched_control) AS unmatched, "
        "sum(events_duplicate) AS duplicate, sum(events_late) AS late, "
        "sum(events_invalid) AS invalid FROM windows FINAL",
    ]


def _rates_sql(metric: Metric) -> str:
    return ", ".join(
        f"round(100 * sum({side}_{metric.side_count}) / sum({side}_{metric.side_total}), 1) "
        f"AS {side}"
        for side in ("stable", "candidate")
    )


def _where(key: SliceKey) -> str:
    """A filter for a slice; labels that could be anything but a plain word are left out."""
    conditions = [
        f"{column} = '{value}'"
        for column, value in (("language", key.language), ("workflow", key.workflow))
        if value is not None and _SQL_SAFE.fullmatch(value)
    ]
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _signed(value: float, digits: int = 1) -> str:
    rounded = round(value, digits)
    sign = "−" if rounded < 0 else "+" if rounded > 0 else ""
    return f"{sign}{abs(rounded):.{digits}f}"
