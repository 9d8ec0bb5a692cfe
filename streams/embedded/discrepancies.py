"""The largest discrepancy between the two sides: what, where, since when.

A description of a finished run, computed once: an exact McNemar test per slice and metric,
corrected for their number (Bonferroni, as improved by Tarone, 1990). It is not the verdict, which
has to stay valid however often one looks; that is for `understudy.analyzers.judge`.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.aggregate.rows import latest
from understudy.schemas.windows import WindowRow
from understudy.streams.embedded.slices import (
    JSON_VALID,
    METRICS,
    Contrast,
    Metric,
    SliceKey,
    SliceSums,
    by_window,
)

ERROR_PROBABILITY: Final = 0.01
"""Probability, at most, that a run without any difference names one."""
NARROWS_TO: Final = 0.75
"""A part is named instead of the whole when it holds this share of the excess."""
HAS_BEGINNING: Final = 8.0
"""Gain in log-likelihood from which on a change within the run is dated."""

EVERYTHING: Final = SliceKey()
_CAUSES: Final = {"json_schema_valid": JSON_VALID}
"""Metric to the one that explains it where both stand out."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A metric on which the two sides differ in a slice beyond chance."""

    metric: Metric
    key: SliceKey
    since: dt.datetime | None
    """Start of the first window of the changed stretch; None when it was so all along."""
    sums: SliceSums
    """The slice's sums since then."""
    corrected_p: float
    """Two-sided p-value over the whole run, times the number of tests that count."""

    @property
    def is_worse(self) -> bool:
        """Whether it is the candidate that does worse."""
        return self.sums.contrast(self.metric).excess > 0


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, and how much it looked at."""

    overall: SliceSums
    languages: int
    tests: int
    found: Discrepancy | None


@dataclass(frozen=True, slots=True)
class _Test:
    """One slice and metric, and how surprising its contrast is."""

    key: SliceKey
    metric: Metric
    contrast: Contrast
    log_p: float

    @property
    def least_log_p(self) -> float:
        """Log p-value if all discordant pairs spoke against the same side."""
        return min(0.0, (1 - self.contrast.worse - self.contrast.better) * math.log(2))

    @property
    def rank(self) -> tuple[bool, float]:
        """Harm before help, then the most surprising."""
        return self.contrast.excess < 0, self.log_p


def search(rows: Iterable[WindowRow]) -> Search:
    """The largest discrepancy of a run: one that harms before one that helps."""
    kept = latest(rows)
    slices = _slices(kept)
    tests = _tests(slices)
    counting = _tests_that_count(tests)
    limit = math.log(ERROR_PROBABILITY / counting)
    beyond = [test for test in tests if test.log_p <= limit]
    return Search(
        overall=slices.get(EVERYTHING, SliceSums()),
        languages=sum(k.language is not None and k.workflow is None for k in slices),
        tests=len(tests),
        found=_discrepancy(kept, slices, beyond, counting) if beyond else None,
    )


def log_p_value(contrast: Contrast) -> float:
    """Logarithm of the two-sided exact p-value of McNemar's test (Liddell, 1983)."""
    discordant = contrast.worse + contrast.better
    extreme = max(contrast.worse, contrast.better)
    terms = [_log_choose(discordant, k) for k in range(extreme, discordant + 1)]
    largest = max(terms)
    tail = largest + math.log(math.fsum(math.exp(term - largest) for term in terms))
    return min(0.0, math.log(2) + tail - discordant * math.log(2))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _slices(rows: Iterable[WindowRow]) -> dict[SliceKey, SliceSums]:
    """Sums of everything, of each language, and of each language and workflow."""
    slices: dict[SliceKey, SliceSums] = {}
    for row in rows:
        if not row.pair.pairs:
            continue
        keys = [EVERYTHING, SliceKey(row.language)]
        if row.workflow:
            keys.append(SliceKey(row.language, row.workflow))
        for key in keys:
            slices.setdefault(key, SliceSums()).add(row)
    return slices


def _tests(slices: Mapping[SliceKey, SliceSums]) -> list[_Test]:
    return [
        _Test(key, metric, contrast, log_p_value(contrast))
        for metric in METRICS
        for key, sums in slices.items()
        if (contrast := sums.contrast(metric)).pairs
    ]


def _tests_that_count(tests: Sequence[_Test]) -> int:
    """By how many tests the error is divided (Tarone, 1990).

    A test with so few discordant pairs that it could not stand out anyhow needs no share.
    """
    least = sorted(test.least_log_p for test in tests)
    share = 1
    while bisect_right(least, math.log(ERROR_PROBABILITY / share)) > share:
        share += 1
    return share


def _discrepancy(
    rows: Sequence[WindowRow],
    slices: Mapping[SliceKey, SliceSums],
    beyond: Sequence[_Test],
    counting: int,
) -> Discrepancy:
    first = _cause(min(beyond, key=lambda test: test.rank), beyond)
    key = _narrowed(slices, first.metric, first.key)
    since, sums = _changed_stretch(rows, first.metric, key)
    corrected_p = math.exp(min(0.0, first.log_p + math.log(counting)))
    return Discrepancy(first.metric, key, since, sums, corrected_p)


def _cause(test: _Test, beyond: Sequence[_Test]) -> _Test:
    """The test of the metric that explains this one, where it stands out too."""
    cause = _CAUSES.get(test.metric.name)
    same_slice = (other for other in beyond if other.key == test.key)
    return next((other for other in same_slice if other.metric == cause), test)


def _narrowed(slices: Mapping[SliceKey, SliceSums], metric: Metric, key: SliceKey) -> SliceKey:
    """The smallest part of a slice that holds most of its excess."""
    excess = slices[key].contrast(metric).excess
    shares = {
        part: slices[part].contrast(metric).excess / excess
        for part in slices
        if _is_part(part, key)
    }
    largest = max(shares, key=lambda part: shares[part], default=key)
    if shares.get(largest, 0.0) < NARROWS_TO:
        return key
    return _narrowed(slices, metric, largest)


def _is_part(part: SliceKey, whole: SliceKey) -> bool:
    """Whether `part` is one of the slices that `whole` divides into."""
    if whole.language is None:
        return part.language is not None and part.workflow is None
    return part.language == whole.language and None is whole.workflow is not part.workflow


def _changed_stretch(
    rows: Sequence[WindowRow], metric: Metric, key: SliceKey
) -> tuple[dt.datetime | None, SliceSums]:
    """When the slice changed, and its sums since then."""
    windows = list(by_window(rows, key))
    first = _change_point([sums.contrast(metric) for _, sums in windows])
    total = SliceSums()
    for _, sums in windows[first:]:
        total.add(sums)
    return (windows[first][0] if first else None), total


def _change_point(contrasts: Sequence[Contrast]) -> int:
    """Index of the window at which the excess most likely began; 0 when there is no such point.

    The split of the series that gains the most binomial log-likelihood over no split.
    """
    harms = sum(contrast.excess for contrast in contrasts) > 0
    bad = [contrast.worse if harms else contrast.better for contrast in contrasts]
    pairs = [contrast.pairs for contrast in contrasts]
    whole = _log_likelihood(sum(bad), sum(pairs))
    best, best_gain = 0, HAS_BEGINNING
    for first in range(1, len(contrasts)):
        before = sum(bad[:first]), sum(pairs[:first])
        after = sum(bad[first:]), sum(pairs[first:])
        gain = _log_likelihood(*before) + _log_likelihood(*after) - whole
        if gain > best_gain and after[0] * before[1] > before[0] * after[1]:
            best, best_gain = first, gain
    return best


def _log_likelihood(hits: int, trials: int) -> float:
    """Binomial log-likelihood at its maximum, without the constant."""
    return sum(k * math.log(k / trials) for k in (hits, trials - hits) if k > 0)
