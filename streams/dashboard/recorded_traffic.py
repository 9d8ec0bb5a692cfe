"""The sums of recorded events, in the shape in which ClickHouse gives those of live ones. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from understudy.analyzers.windows.rows import RowTotals
from understudy.streams.clickhouse.traffic_figures import (
    HISTOGRAMS,
    LANGUAGE_HISTOGRAMS,
    LANGUAGE_SUMS,
    MAX_LANGUAGES,
    OTHER_SUMS,
    SIDE_SUMS,
    SIDES,
    LanguageTraffic,
    Traffic,
)

_NOWHEN: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""Recorded events have no span of their own to show."""


def recorded_traffic(totals: RowTotals) -> Traffic:
    """Return the sums of all events."""
    sums = _side_sums(totals, SIDE_SUMS)
    for name in OTHER_SUMS:
        section, _, field = name.partition("_")
        sums[name] = float(getattr(totals.events if section == "events" else totals.pair, field))
    rows = int(totals.stable.requests + totals.candidate.requests > 0)
    return Traffic(_NOWHEN, _NOWHEN, rows, sums, _histograms(totals, HISTOGRAMS), [])


def recorded_languages(totals: Mapping[str, RowTotals]) -> list[LanguageTraffic]:
    """Return the sums of each language, those with the most requests first."""
    found = [
        LanguageTraffic(
            language, _side_sums(one, LANGUAGE_SUMS), _histograms(one, LANGUAGE_HISTOGRAMS)
        )
        for language, one in totals.items()
    ]
    found.sort(key=lambda one: (-one.sums["candidate_requests"], one.language))
    return found[:MAX_LANGUAGES]


def _side_sums(totals: RowTotals, names: tuple[str, ...]) -> dict[str, float]:
    return {
        f"{side}_{name}": float(getattr(getattr(totals, side), name))
        for side in SIDES
        for name in names
    }


def _histograms(totals: RowTotals, names: tuple[str, ...]) -> dict[str, dict[int, int]]:
    return {
        f"{side}_{name}": getattr(getattr(totals, side), name) for side in SIDES for name in names
    }
