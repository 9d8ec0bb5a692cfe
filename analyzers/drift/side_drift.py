"""What of a side has changed: all its metrics, in all its traffic and in each language."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import (
    PROMPT_TOKENS,
    REQUESTS,
    DriftMetric,
    Sums,
)
from understudy.analyzers.drift.periods import Periods
from understudy.analyzers.drift.strata import Strata
from understudy.analyzers.drift.stratified_change import (
    StratifiedChange,
    stratified_change,
    stratified_means,
)
from understudy.analyzers.drift.student import student_quantile

FALSE_ALERTS: Final = 0.005
"""Chance of any alert about a side in one look if nothing but days differ: so small that of a
hundred fortnights with a look each day, five at most have one (`benchmarks/drift.py`)."""
_SHARE_OF_ALL: Final = 0.5
"""Of that chance, for all languages together; the languages share the rest."""
INTERVAL: Final = 0.05
"""Intervals hold, each by itself, in 95 of 100 cases."""


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """One metric of a side, then and now."""

    metric: DriftMetric
    language: str
    """Empty for all together."""
    found: StratifiedChange
    tested_at: float
    """The p-value below which it is told."""

    @property
    def is_alert(self) -> bool:
        """Whether more has changed than days do by themselves."""
        return self.found.p_value < self.tested_at

    @property
    def before(self) -> float:
        """In natural units, of the traffic that both periods have; a geometric mean of times."""
        return self._natural(self.found.before)

    @property
    def after(self) -> float:
        """The same, now."""
        return self._natural(self.found.after)

    @property
    def interval(self) -> tuple[float, float]:
        """Of the change: a difference of shares of a rate or level, relative otherwise."""
        reach = self.found.standard_error * student_quantile(INTERVAL, self.found.freedom)
        low, high = self.found.change - reach, self.found.change + reach
        return self._change(low), self._change(high)

    @property
    def is_relative(self) -> bool:
        """Whether the change is a share of what was before, and not a difference of shares."""
        return self.metric.kind not in ("rate", "level")

    @property
    def change(self) -> float:
        """The change, in the unit of the interval; NaN of a mean that was 0."""
        return self._change(self.found.change)

    def _natural(self, value: float) -> float:
        return math.exp(value) if self.metric.kind == "log_mean" else value

    def _change(self, difference: float) -> float:
        match self.metric.kind:
            case "rate" | "level":
                return difference
            case "log_mean":
                return math.expm1(difference)
            case _:
                return difference / self.found.before if self.found.before else math.nan


@dataclass(frozen=True, slots=True)
class SideDrift:
    """All that was compared of a side, alerts first."""

    periods: Periods
    findings: tuple[DriftFinding, ...]
    prompt_tokens_change: float | None
    """Relative, of the requests' own length: where it is large, what is asked has changed."""
    left_out: int = 0
    """How many combinations of language and workflow were too many to be compared."""

    @property
    def alerts(self) -> tuple[DriftFinding, ...]:
        """What is to be told."""
        return tuple(one for one in self.findings if one.is_alert)


def drift_of(
    sums: HourlySums, periods: Periods, *, false_alerts: float = FALSE_ALERTS
) -> SideDrift:
    """Return what has changed between two periods."""
    chosen = sums.where(sums.within(periods.reference) | sums.within(periods.recent))
    changes = list(_changes(chosen, periods))
    languages = sum(1 for _, language, _ in changes if language)
    share = false_alerts * (_SHARE_OF_ALL if languages else 1.0)
    tested_at = {
        True: share / max(1, len(changes) - languages),
        False: (false_alerts - share) / max(1, languages),
    }
    findings = [
        DriftFinding(metric, language, found, tested_at[not language])
        for metric, language, found in changes
    ]
    findings.sort(key=lambda one: (not one.is_alert, one.found.p_value, one.metric.name))
    prompt_tokens_change = _prompt_tokens_change(chosen, periods)
    return SideDrift(periods, tuple(findings), prompt_tokens_change, sums.left_out)


def _changes(
    sums: HourlySums, periods: Periods
) -> Iterator[tuple[DriftMetric, str, StratifiedChange]]:
    """Each metric, in all languages and in each of them, where it can be told."""
    parts, languages = _parts(sums), np.unique(sums.languages)
    chosen: list[tuple[str, NDArray[np.bool_]]] = [("", np.ones(parts.size, np.bool_))]
    if languages.size > 1:
        chosen += [(str(language), sums.languages == language) for language in languages]
    for language, rows in chosen:
        strata = Strata(parts[rows], sums.hours[rows], periods)
        for metric in sums.metrics:
            some = Sums(*(one[rows] for one in metric.sums(sums.columns)))
            found = stratified_change(strata, some, is_rate=metric.kind == "rate")
            if found is not None:
                yield metric, language, found


def _parts(sums: HourlySums) -> NDArray[np.int64]:
    """A number (n,) for each language and workflow."""
    languages = np.unique(sums.languages, return_inverse=True)[1].ravel()
    names, workflows = np.unique(sums.workflows, return_inverse=True)
    return (languages * max(1, names.size) + workflows.ravel()).astype(np.int64)


def _prompt_tokens_change(sums: HourlySums, periods: Periods) -> float | None:
    """In the same strata; how much it varies by itself is not known, as squares are not kept."""
    count, total = sums.columns[REQUESTS], sums.columns[PROMPT_TOKENS]
    strata = Strata(_parts(sums), sums.hours, periods)
    means = stratified_means(strata, Sums(count, total, total))
    if means is None or not means[0] > 0.0:
        return None
    return means[1] / means[0] - 1.0
