"""Rows of cases, as pairing makes them of two files: one window for each unit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from understudy.analyzers.fixed_sample.units import UNIT_WINDOW_S, unit_times_ms
from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.schemas.window_measures import EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow

POLICY = """
rollout_id: files
models: {stable: a, candidate: b}
mode: shadow
"""


def policy(text: str = "") -> Rollout:
    """Return the default policy, with further lines."""
    return read_policy(POLICY + text)


def json_policy(limit: str = "1pp", further: str = "") -> Rollout:
    """Return a policy that limits JSON validity alone."""
    return policy(f"guardrails:\n- {{metric: json_valid_rate, max_drop: {limit}{further}}}\n")


FIELDS = ("answers", "texts", "finish_reason_known", "fallback_known", "tools_called")
"""What every answer has."""


class Case(msgspec.Struct, kw_only=True):
    """One request and what became of its two sides."""

    language: str = "en"
    conversation: str | None = None
    bad_stable: bool = False
    bad_candidate: bool = False
    """Whether the JSON is broken."""
    lost: str = ""
    """The side that never came."""
    cost: tuple[float, float] | None = None
    duration_ms: tuple[float, float] | None = None


def cases_of(n: int, stable_only: int = 0, candidate_only: int = 0, both: int = 0) -> list[Case]:
    """Return so many cases of which some sides are bad."""
    states = (
        [(True, False)] * stable_only + [(False, True)] * candidate_only + [(True, True)] * both
    )
    states += [(False, False)] * (n - len(states))
    return [Case(bad_stable=stable, bad_candidate=candidate) for stable, candidate in states]


def rows_of(cases: Sequence[Case]) -> list[WindowRow]:
    """Return the row of each case."""
    times = unit_times_ms(case.conversation for case in cases)
    return [_row(case, from_epoch_ms(time)) for case, time in zip(cases, times, strict=True)]


def _row(case: Case, start: dt.datetime) -> WindowRow:
    parts: dict[str, Any] = _lost(case) if case.lost else _paired(case)
    return WindowRow(
        rollout_id="files", mode="shadow", language=case.language, window_start=start,
        window_s=UNIT_WINDOW_S, partition=0, version=1, closed=True, **parts,
    )  # fmt: skip


def _lost(case: Case) -> dict[str, Any]:
    other = "candidate" if case.lost == "stable" else "stable"
    return {
        "events": EventCounts(**{f"unmatched_{other}": 1}),
        "pair": PairSums(**{f"lost_{case.lost}": 1}),
    }


def _paired(case: Case) -> dict[str, Any]:
    good = [not case.bad_stable, not case.bad_candidate]
    pair: dict[str, Any] = {
        "json_valid_only_stable": int(good[0] and not good[1]),
        "json_valid_only_candidate": int(good[1] and not good[0]),
        "json_valid_both": int(all(good)),
    }
    sides: list[dict[str, Any]] = [dict.fromkeys(FIELDS, 1) for _ in range(2)]
    if case.cost is not None:
        stable, candidate = case.cost
        pair |= {
            "cost_usd_count": 1, "cost_usd_stable_sum": stable, "cost_usd_candidate_sum": candidate,
            "cost_usd_stable_squares": stable**2, "cost_usd_candidate_squares": candidate**2,
            "cost_usd_products": stable * candidate,
        }  # fmt: skip
    if case.duration_ms is not None:
        for side, duration in zip(sides, case.duration_ms, strict=True):
            bucket = int(log_bucket(np.array([duration]))[0])
            side |= {"duration_ms_count": 1, "duration_ms_histogram": {bucket: 1}}
    return {
        "events": EventCounts(paired=2),
        "stable": SideSums(requests=1, model_requests=1, json_expected=1, json_valid=good[0],
                           **sides[0]),
        "candidate": SideSums(requests=1, model_requests=1, json_expected=1, json_valid=good[1],
                              **sides[1]),
        "pair": PairSums(pairs=1, model_pairs=1, answered=1, json_expected_both=1, **pair),
    }  # fmt: skip


def conversations(outcomes: Iterable[tuple[int, bool, bool]]) -> Iterator[Case]:
    """Return turns of one fate: how many, whether bad on stable's side and the candidate's."""
    for number, (turns, bad_stable, bad_candidate) in enumerate(outcomes):
        for _ in range(turns):
            yield Case(conversation=str(number), bad_stable=bad_stable, bad_candidate=bad_candidate)
