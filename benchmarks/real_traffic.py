"""How often verdicts are false, and how soon right, on traffic as real traffic is.

Requests are drawn one by one: turns of conversations that share their fate, answers that arrive
when they are done, sides that never come, small languages, bursts, incidents, cold starts. They
become window rows as a worker would emit them (early ones, with what still waits, and closed ones
two minutes later), and the rows go through the service's own `RolloutEvaluator`. What was asked of
each scenario is held against what was measured.

    python benchmarks/real_traffic.py [--rollouts 1000] [--only WORD] [--seed 1] [--json FILE]
        [--markdown FILE]
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.closed_windows import columns_needed
from understudy.analyzers.guardrails.design_effect import (
    PARTIES,
    Assumption,
    DesignEffect,
    TurnSums,
)
from understudy.analyzers.guardrails.design_effect_steps import DesignEffectSteps, EffectWindows
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.analyzers.guardrails.row_columns import (
    HISTOGRAMS,
    NAME_PLACES,
    HistogramColumn,
    NameColumn,
    RowColumns,
)
from understudy.analyzers.guardrails.sequential_tests import SCALE_PARTS, carried
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.guardrails.turn_readers import read_counts, read_products
from understudy.analyzers.sequential import Direction, log_evidence
from understudy.analyzers.sequential.restart import log_shares, restarted_path
from understudy.analyzers.sequential.verdict import LOG_SUSPICION
from understudy.analyzers.windows.histogram import log_bucket
from understudy.schemas.decisions import Decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout, SliceChoice
from understudy.schemas.windows import SECTIONS, WindowRow, WindowsMessage, windows_message

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rng = np.random.Generator
Lengths = Callable[[Rng, int], npt.NDArray[np.int64]]

WINDOW_S: Final = 10.0
LATENESS_S: Final = 120.0
"""A window closes when the watermark has passed its end by this."""
JOIN_TIMEOUT_S: Final = 120.0
"""Also how far apart turns may lie whose products count."""
START: Final = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
NEVER: Final = math.inf
TOGETHER: Final = 50
"""Rollouts decided side by side: their windows fit into memory."""
CHECKED: Final = 3
"""Rollouts of those that the evaluator decides as well."""
DIRECTIONS: Final[tuple[Direction, Direction]] = ("rollback", "promotion")
LOOKS_AT_INTERVALS: Final = 5
"""How often an interval is held against the truth."""


# Traffic -----------------------------------------------------------------------------------------


def turns(n: int) -> Lengths:
    """Conversations of `n` turns each."""
    return lambda rng, size: np.full(size, n)


def geometric(mean: float) -> Lengths:
    """Conversations that end after each turn with the same chance."""
    return lambda rng, size: rng.geometric(1.0 / mean, size)


def pareto(shape: float, most: int = 200) -> Lengths:
    """Few conversations that are very long."""
    return lambda rng, size: np.minimum((1.0 - rng.random(size)) ** (-1.0 / shape), most).astype(
        np.int64
    )


class Rates(NamedTuple):
    """Chances of a bad request, (n,) each, stable's and the candidate's."""

    stable: Floats
    candidate: Floats


def steady(stable: float, candidate: float) -> Callable[[Floats, npt.NDArray[np.int64]], Rates]:
    """The same rates at any time in any language."""
    return lambda time_s, language: Rates(
        np.full(time_s.size, stable), np.full(time_s.size, candidate)
    )


SINGLE: Final = turns(1)
EQUAL: Final = steady(0.01, 0.01)


@dataclass(frozen=True)
class Traffic:
    """What is drawn. Rates are those of conversations: all turns of a bad one are bad."""

    rate: float = 10.0
    """Requests per second."""
    seconds: float = 3_600.0
    lengths: Lengths = SINGLE
    gap_s: float = 0.0
    is_named: bool = True
    """Whether events name conversation and turn."""
    bad: Callable[[Floats, npt.NDArray[np.int64]], Rates] = EQUAL
    shared: float = 0.5
    """Chance that one draw decides both sides."""
    fails_in: float = 1.0
    """Share of a bad conversation's turns that are bad."""
    share: float | None = None
    """The candidate's share of conversations, in a canary; None where requests are mirrored."""
    languages: tuple[float, ...] = (1.0,)
    """Their shares of the conversations."""
    lost: float = 0.0
    """Share of the candidate's answers that never come."""
    good_s: tuple[float, float] = (1.0, 1.0)
    """How long good answers take, stable's and the candidate's; log-normal where `spread` is."""
    bad_s: tuple[float, float] = (1.0, 1.0)
    """How long it takes until a bad one has failed."""
    spread: tuple[float, float] = (0.0, 0.0)
    """Of log durations, stable's and the candidate's."""
    fate: float = 0.0
    """Share of the variance of log durations and costs that a conversation's turns have in common,
    and as much that the two sides have."""
    slow_until_s: float = 0.0
    """Until when both sides take five times as long: a cold start."""
    candidate_slower_from_s: float = NEVER
    candidate_slower: float = 1.0
    dearer: float | None = None
    """The candidate's mean cost as a multiple of stable's; None where no costs are known."""
    look_s: float = WINDOW_S
    """How often a worker emits what has changed."""

    @property
    def is_paired(self) -> bool:
        """Whether both sides answer each request."""
        return self.share is None


class Requests(NamedTuple):
    """Requests in the order of their time, (n,) each; what a side without an answer has is nan."""

    time_s: Floats
    conversation: npt.NDArray[np.int64]
    turn: npt.NDArray[np.int64]
    language: npt.NDArray[np.int64]
    to_candidate: Bools
    """In a canary."""
    stable_bad: Bools
    candidate_bad: Bools
    stable_s: Floats
    candidate_s: Floats
    stable_cost: Floats
    candidate_cost: Floats
    stable_at: Floats
    """When its answer is there; infinite where it never is."""
    candidate_at: Floats


def drawn(traffic: Traffic, rng: Rng) -> Requests:
    """Draw the requests of one rollout, with conversations that were under way before it."""
    sample = traffic.lengths(rng, 20_000)
    before_s = min(3_600.0, float(np.quantile(sample, 0.999)) * traffic.gap_s)
    n = rng.poisson(traffic.rate / sample.mean() * (traffic.seconds + before_s))
    start_s = rng.uniform(-before_s, traffic.seconds, n)
    length = traffic.lengths(rng, n)
    of_turn = np.repeat(np.arange(n), length)
    turn = np.arange(of_turn.size) - np.repeat(np.cumsum(length) - length, length) + 1
    time_s = start_s[of_turn] + (turn - 1) * traffic.gap_s
    order = np.argsort(time_s, kind="stable")
    order = order[(time_s[order] >= 0.0) & (time_s[order] < traffic.seconds)]
    conversation, turn, time_s = of_turn[order], turn[order], time_s[order]
    language = rng.choice(len(traffic.languages), size=n, p=traffic.languages)[conversation]
    stable_bad, candidate_bad = _fates(traffic, rng, n, conversation, time_s, language)
    stable_s, candidate_s = _durations(traffic, rng, n, conversation, time_s)
    stable_took = np.where(stable_bad & (traffic.spread[0] == 0.0), traffic.bad_s[0], stable_s)
    candidate_took = np.where(
        candidate_bad & (traffic.spread[1] == 0.0), traffic.bad_s[1], candidate_s
    )
    lost = rng.random(time_s.size) < traffic.lost
    stable_cost, candidate_cost = _costs(traffic, rng, n, conversation)
    return Requests(
        time_s, conversation, turn, language,
        to_candidate=(rng.random(n) < (traffic.share or 0.0))[conversation],
        stable_bad=stable_bad, candidate_bad=candidate_bad & ~lost,
        stable_s=stable_took, candidate_s=candidate_took,
        stable_cost=stable_cost, candidate_cost=candidate_cost,
        stable_at=time_s + stable_took,
        candidate_at=np.where(lost, NEVER, time_s + candidate_took),
    )  # fmt: skip


def _fates(
    traffic: Traffic,
    rng: Rng,
    n: int,
    conversation: npt.NDArray[np.int64],
    time_s: Floats,
    language: npt.NDArray[np.int64],
) -> tuple[Bools, Bools]:
    """Draw who is bad: a conversation's turns draw alike, and so do its sides where shared."""
    rates = traffic.bad(time_s, language)
    ours = rng.random(n)
    theirs = np.where(rng.random(n) < traffic.shared, ours, rng.random(n))
    fails = rng.random(time_s.size) < traffic.fails_in
    stable: Bools = (theirs[conversation] < rates.stable) & fails
    candidate: Bools = (ours[conversation] < rates.candidate) & fails
    return stable, candidate


def _likes(
    traffic: Traffic, rng: Rng, n: int, conversation: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Draw standard normal deviates of both sides that conversations and requests share."""
    common, own = math.sqrt(traffic.fate), math.sqrt(1.0 - traffic.fate)
    fate = common * rng.standard_normal(n)[conversation]
    effort = rng.standard_normal(conversation.size)
    half = math.sqrt(0.5)
    sides = [
        fate + own * (half * effort + half * rng.standard_normal(conversation.size))
        for _ in range(2)
    ]
    return sides[0], sides[1]


def _durations(
    traffic: Traffic, rng: Rng, n: int, conversation: npt.NDArray[np.int64], time_s: Floats
) -> tuple[Floats, Floats]:
    if max(traffic.spread) == 0.0:
        return np.full(time_s.size, traffic.good_s[0]), np.full(time_s.size, traffic.good_s[1])
    theirs, ours = _likes(traffic, rng, n, conversation)
    cold = np.where(time_s < traffic.slow_until_s, 5.0, 1.0)
    slower = np.where(time_s >= traffic.candidate_slower_from_s, traffic.candidate_slower, 1.0)
    stable = cold * traffic.good_s[0] * np.exp(traffic.spread[0] * theirs)
    candidate = cold * slower * traffic.good_s[1] * np.exp(traffic.spread[1] * ours)
    return stable, candidate


def _costs(
    traffic: Traffic, rng: Rng, n: int, conversation: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Log-normal, sigma 1; the sides share most of it."""
    if traffic.dearer is None:
        return np.zeros(conversation.size), np.zeros(conversation.size)
    theirs, ours = _likes(traffic, rng, n, conversation)
    return 0.002 * np.exp(theirs), 0.002 * traffic.dearer * np.exp(ours)


# Windows -----------------------------------------------------------------------------------------

Column = tuple[str, str]
"""Section and field of a window row."""


def columns_of(traffic: Traffic, requests: Requests) -> dict[Column, Floats]:
    """Return what each request adds to its window once it is complete, (n,) each."""
    by_side = _of_pairs if traffic.is_paired else _of_arms
    columns = by_side(requests, has_costs=traffic.dearer is not None)
    if traffic.is_named:
        columns |= _of_turns(traffic, requests)
    return columns


def _of_pairs(requests: Requests, *, has_costs: bool) -> dict[Column, Floats]:
    one = np.ones(requests.time_s.size)
    stable, candidate = requests.stable_bad, requests.candidate_bad
    columns: dict[Column, Any] = {
        ("events", "paired"): 2.0 * one,
        ("pair", "pairs"): one,
        ("pair", "model_pairs"): one,
        ("pair", "error_only_stable"): stable & ~candidate,
        ("pair", "error_only_candidate"): candidate & ~stable,
        ("pair", "error_both"): candidate & stable,
        ("stable", "requests"): one,
        ("stable", "model_requests"): one,
        ("stable", "errors"): stable,
        ("candidate", "requests"): one,
        ("candidate", "model_requests"): one,
        ("candidate", "errors"): candidate,
    }
    if has_costs:
        s, c = requests.stable_cost, requests.candidate_cost
        sums = {
            "count": one, "stable_sum": s, "candidate_sum": c, "stable_squares": s * s,
            "candidate_squares": c * c, "products": c * s,
        }  # fmt: skip
        columns |= {("pair", f"cost_usd_{name}"): value for name, value in sums.items()}
    return {name: value.astype(np.float64) for name, value in columns.items()}


def _of_arms(requests: Requests, *, has_costs: bool) -> dict[Column, Floats]:
    columns: dict[Column, Any] = {("events", "single"): np.ones(requests.time_s.size)}
    for side, bad, cost, is_here in (
        ("stable", requests.stable_bad, requests.stable_cost, ~requests.to_candidate),
        ("candidate", requests.candidate_bad, requests.candidate_cost, requests.to_candidate),
    ):
        columns |= {
            (side, "requests"): is_here,
            (side, "model_requests"): is_here,
            (side, "errors"): bad & is_here,
        }
        if has_costs:
            of_arm = cost * is_here
            columns |= {
                (side, "cost_usd_count"): is_here,
                (side, "cost_usd_sum"): of_arm,
                (side, "cost_usd_squares"): of_arm**2,
            }
    return {name: value.astype(np.float64) for name, value in columns.items()}


def _of_turns(traffic: Traffic, requests: Requests) -> dict[Column, Floats]:
    """Return each turn's products with the earlier ones within reach; see `schemas.measures`."""
    stable, candidate = requests.stable_bad * 1.0, requests.candidate_bad * 1.0
    if traffic.is_paired:
        everyone = np.ones(stable.size, dtype=np.bool_)
        columns = _turns_of(requests, everyone, {"error": candidate - stable}, "turns")
        if traffic.dearer is not None:
            s, c = requests.stable_cost, requests.candidate_cost
            columns |= {("turns", name): value for name, value in _cost_products(requests, s, c)}
        return columns
    columns = {}
    for side, bad, cost, is_here in (
        ("stable", stable, requests.stable_cost, ~requests.to_candidate),
        ("candidate", candidate, requests.candidate_cost, requests.to_candidate),
    ):
        values = {"error": bad} | ({} if traffic.dearer is None else {"cost_usd": cost})
        columns |= _turns_of(requests, is_here, values, f"{side}_turns")
    return columns


def _turns_of(
    requests: Requests, is_here: Bools, values: Mapping[str, Floats], section: str
) -> dict[Column, Floats]:
    columns = {
        (section, "requests"): is_here * 1.0,
        (section, "first"): ((requests.turn == 1) & is_here) * 1.0,
        (section, "earlier"): (requests.turn - 1.0) * is_here,
    }
    for name, value in values.items():
        pairs, sums, products = (
            sum_of * is_here
            for sum_of in _over_earlier_turns(
                requests,
                lambda i, j: (np.ones(i.size), value[i] + value[j], value[i] * value[j]),  # noqa: B023
            )
        )
        columns |= {
            (section, f"{name}_pairs"): pairs,
            (section, f"{name}_sums"): sums,
            (section, f"{name}_products"): products,
        }
    return columns


def _cost_products(
    requests: Requests, stable: Floats, candidate: Floats
) -> Iterator[tuple[str, Floats]]:
    s, c = stable, candidate
    names = ("pairs", "stable_sums", "candidate_sums", "stable_products", "candidate_products",
             "cross_products")  # fmt: skip
    sums = _over_earlier_turns(
        requests,
        lambda i, j: (
            np.ones(i.size), s[i] + s[j], c[i] + c[j], s[i] * s[j], c[i] * c[j],
            c[i] * s[j] + s[i] * c[j],
        ),
    )  # fmt: skip
    yield from ((f"cost_usd_{name}", value) for name, value in zip(names, sums, strict=True))


def _over_earlier_turns(
    requests: Requests,
    products: Callable[[npt.NDArray[np.intp], npt.NDArray[np.intp]], Sequence[Floats]],
) -> list[Floats]:
    """Sum `products` of each turn with those before it within the join timeout, (n,) each."""
    order = np.lexsort((requests.turn, requests.conversation))
    conversation, time_s = requests.conversation[order], requests.time_s[order]
    totals: list[Floats] | None = None
    lag = 0
    while lag + 1 < order.size:
        lag += 1
        near = (conversation[lag:] == conversation[:-lag]) & (
            time_s[lag:] - time_s[:-lag] <= JOIN_TIMEOUT_S
        )
        later, earlier = order[lag:][near], order[:-lag][near]
        added = products(later, earlier)
        totals = totals or [np.zeros(order.size) for _ in added]
        for total, one in zip(totals, added, strict=True):
            total[later] += one  # a turn has one turn so many turns before it
        if later.size == 0:
            break
    return totals or []


class Gateway:
    """The requests of one rollout, as a worker's window rows."""

    def __init__(self, traffic: Traffic, rng: Rng) -> None:
        self.traffic, self.requests = traffic, drawn(traffic, rng)
        columns = columns_of(traffic, self.requests)
        self._names, self._values = list(columns), np.column_stack(list(columns.values()))
        windows = math.ceil(traffic.seconds / WINDOW_S)
        edges = np.arange(windows + 1) * WINDOW_S
        self._bounds = np.searchsorted(self.requests.time_s, edges).tolist()
        self._known = [0] * windows
        self._buckets = {
            "stable": log_bucket(1_000.0 * self.requests.stable_s),
            "candidate": log_bucket(1_000.0 * self.requests.candidate_s),
        }

    def looks(self) -> Iterator[tuple[float, WindowsMessage]]:
        """Yield the time and what has changed, look by look, until the last window has closed."""
        windows, version, first = len(self._known), 0, 0
        now_s = 0.0
        while first < windows:
            now_s += self.traffic.look_s
            rows: list[WindowRow] = []
            version += 1
            newest = min(windows, math.ceil(now_s / WINDOW_S))
            for window in range(first, newest):
                is_closed = now_s >= (window + 1) * WINDOW_S + LATENESS_S
                rows.extend(self._rows(window, now_s, version, is_closed=is_closed))
                first += is_closed
            if rows:
                moment = START + dt.timedelta(seconds=now_s)
                yield (
                    now_s,
                    windows_message(
                        rows, rollout_id="r", partition=0, version=version, watermark=moment
                    ),
                )

    def closed_rows(self, names: frozenset[str]) -> list[ClosedRows]:
        """Return all windows as they are in the end, in columns; only where answers are quick."""
        requests, n_languages = self.requests, len(self.traffic.languages)
        window = (requests.time_s // WINDOW_S).astype(np.int64)
        keys, places = np.unique(window * n_languages + requests.language, return_inverse=True)
        numbers = {name: np.zeros(keys.size) for name in names}
        for (section, name), values in zip(self._names, self._values.T, strict=True):
            if f"{section}_{name}" in numbers:
                numbers[f"{section}_{name}"] = np.bincount(places, values, keys.size)
        histograms = {}
        for side in ("stable", "candidate"):
            name = f"{side}_duration_ms_histogram"
            if name in numbers:
                here = self._is_here(side, np.arange(places.size))
                histograms[name] = _histogram(keys.size, places[here], self._buckets[side][here])
                numbers[f"{side}_duration_ms_count"] = np.bincount(places[here], None, keys.size)
        for name in HISTOGRAMS & numbers.keys():
            del numbers[name]
            histograms.setdefault(name, HistogramColumn.of([{}] * keys.size))
        nameless = {}
        for name in NAME_PLACES.keys() & numbers.keys():
            del numbers[name]
            nameless[name] = NameColumn.of([{}] * keys.size)
        alike = np.zeros(keys.size, np.int64)
        mode = "shadow" if self.traffic.is_paired else "canary"
        return [
            ClosedRows(
                source="events",
                start_ms=to_epoch_ms(START) + round(1_000 * WINDOW_S) * (keys // n_languages),
                window_s=np.full(keys.size, int(WINDOW_S)),
                partition=alike,
                mode=Labels(alike, [mode]),
                language=Labels(keys % n_languages, [_language(n) for n in range(n_languages)]),
                workflow=Labels(alike, [""]),
                columns=RowColumns(
                    np.full(keys.size, self.traffic.is_paired), numbers, histograms, nameless
                ),
            )
        ]

    def _rows(
        self, window: int, now_s: float, version: int, *, is_closed: bool
    ) -> Iterator[WindowRow]:
        """Yield the rows of a window when anything has come to it since."""
        place = slice(self._bounds[window], self._bounds[window + 1])
        time_s = self.requests.time_s[place]
        sent = time_s <= now_s
        has_stable = self.requests.stable_at[place] <= now_s
        has_candidate = self.requests.candidate_at[place] <= now_s
        if not self.traffic.is_paired:
            to_candidate = self.requests.to_candidate[place]
            has_stable, has_candidate = has_stable | to_candidate, has_candidate | ~to_candidate
        is_over = sent & (is_closed | (time_s + JOIN_TIMEOUT_S <= now_s))
        known = int(has_stable.sum() + has_candidate.sum() + is_over.sum())
        if known == self._known[window] and not is_closed:
            return
        self._known[window] = known
        values = self._values[place]
        counted = values * (has_stable & has_candidate)[:, None]
        names = list(self._names)
        if self.traffic.is_paired:
            waiting = self._waiting(place, has_stable, has_candidate, is_over)
            names += list(waiting)
            counted = np.column_stack([counted, *waiting.values()])
        language = self.requests.language[place]
        for number in np.unique(language[has_stable | has_candidate]).tolist():
            here = language == number
            sums = dict(zip(names, counted[here].sum(axis=0).tolist(), strict=True))
            complete = np.flatnonzero(here & has_stable & has_candidate) + place.start
            yield self._row(window, number, version, sums, complete, is_closed=is_closed)

    def _waiting(
        self, place: slice, has_stable: Bools, has_candidate: Bools, is_over: Bools
    ) -> dict[Column, Floats]:
        """Return what waits for a side, and what has waited in vain, (n,) each."""
        found: dict[Column, Floats] = {}
        for side, has_side, other, has_other, bad in (
            ("stable", has_stable, "candidate", has_candidate, self.requests.candidate_bad[place]),
            ("candidate", has_candidate, "stable", has_stable, self.requests.stable_bad[place]),
        ):
            alone = has_other & ~has_side
            lost, waits = (alone & is_over) * 1.0, (alone & ~is_over) * 1.0
            found["pair", f"lost_{side}"] = lost
            found["pair", f"lost_{side}_{other}_errors"] = lost * bad
            found["events", f"unmatched_{other}"] = lost
            found["unresolved", f"awaiting_{side}"] = waits
            found["unresolved", f"awaiting_{side}_errors"] = waits * bad
        return found

    def _row(
        self,
        window: int,
        language: int,
        version: int,
        sums: Mapping[Column, float],
        complete: npt.NDArray[np.intp],
        *,
        is_closed: bool,
    ) -> WindowRow:
        sections: dict[str, dict[str, Any]] = {}
        for (section, name), value in sums.items():
            if section in SECTIONS and value:
                whole = value if "cost" in name else int(value)
                sections.setdefault(section, {})[name] = whole
        if max(self.traffic.spread) > 0.0:
            for side in ("stable", "candidate"):
                of_side = sections.setdefault(side, {})
                here = complete[self._is_here(side, complete)]
                of_side["duration_ms_histogram"] = _counts(self._buckets[side][here])
                of_side["duration_ms_count"] = int(here.size)
        return WindowRow(
            rollout_id="r",
            mode="shadow" if self.traffic.is_paired else "canary",
            language=_language(language),
            window_start=START + dt.timedelta(seconds=window * WINDOW_S),
            window_s=int(WINDOW_S),
            partition=0,
            version=version,
            closed=is_closed,
            **{name: SECTIONS[name](**values) for name, values in sections.items()},
        )

    def _is_here(self, side: str, complete: npt.NDArray[np.intp]) -> Bools:
        if self.traffic.is_paired:
            return np.ones(complete.size, dtype=np.bool_)
        to_candidate = self.requests.to_candidate[complete]
        return to_candidate if side == "candidate" else ~to_candidate


def _language(number: int) -> str:
    return f"x{number:02}"


def _histogram(
    n_rows: int, rows: npt.NDArray[np.int64], buckets: npt.NDArray[np.integer[Any]]
) -> HistogramColumn:
    lowest = int(buckets.min())
    width = int(buckets.max()) - lowest + 1
    entries, counts = np.unique(rows * width + (buckets - lowest), return_counts=True)
    return HistogramColumn(
        n_rows, entries // width, entries % width + lowest, counts.astype(np.float64)
    )


def _counts(buckets: npt.NDArray[np.integer[Any]]) -> dict[int, int]:
    found, counts = np.unique(buckets, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


# Rollouts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Aim:
    """What was asked of a scenario; None where nothing was."""

    most_rolled_back: float | None = None
    most_promoted: float | None = None
    least_rolled_back: float | None = None
    least_promoted: float | None = None
    rolled_back_by: float | None = None
    """Median requests."""
    rolled_back_within_s: float | None = None
    """Of event time, in all rollouts."""
    promoted_by: float | None = None
    """Median requests."""
    most_quality_breaches: float | None = None
    most_intervals_missed: float | None = None


@dataclass(frozen=True)
class Scenario:
    """Traffic under a policy, and what is asked of the verdicts."""

    name: str
    traffic: Traffic
    guardrails: str = "[{metric: error_rate, max_increase: 1pp, slices: [all]}]"
    policy: str = ""
    """Further lines."""
    aim: Aim = field(default_factory=Aim)
    is_live: bool = False
    """Whether rows come as a worker emits them, with what still waits, or closed ones alone."""
    truth: float | None = None
    """The harm, where intervals are held against it."""
    weight: float = 1.0
    """Of the rollouts asked for, the share that is drawn: less where one is long."""


class Outcome(NamedTuple):
    """Of one rollout; never is infinite."""

    rollback_s: float = NEVER
    rollback_requests: float = NEVER
    promotion_s: float = NEVER
    promotion_requests: float = NEVER
    breaches_quality: bool = False
    misses_truth: bool = False


def policy_of(scenario: Scenario) -> Rollout:
    """Return the scenario's policy; its one stage is never left by itself."""
    share = scenario.traffic.share
    stage = "shadow" if share is None else f"{{mode: canary, share: {100 * share:g}%}}"
    mode = "shadow" if share is None else "canary"
    guardrails = f"guardrails: {scenario.guardrails}" if scenario.guardrails else ""
    return read_policy(
        f"rollout_id: r\nmodels: {{stable: a, candidate: b}}\nmode: {mode}\nstages: [{stage}]\n"
        f"{guardrails}\n{scenario.policy or 'min_duration: 0s'}\n"
    )


def outcome_of(scenario: Scenario, policy: Rollout, rng: Rng) -> Outcome:
    """Draw one rollout and have it decided."""
    gateway = Gateway(scenario.traffic, rng)
    if scenario.is_live:
        return _live(scenario, gateway, RolloutEvaluator(policy))
    return _in_columns(scenario, gateway, RolloutEvaluator(policy), policy)


def _live(scenario: Scenario, gateway: Gateway, evaluator: RolloutEvaluator) -> Outcome:
    """Have it decided from rows as a worker emits them, early ones included."""
    outcome = Outcome()
    for now_s, message in gateway.looks():
        decision = evaluator.take(message)
        if decision is not None:
            outcome = _after(outcome, decision, now_s, gateway.requests)
        if outcome.rollback_s < NEVER:
            break
    return outcome


def _in_columns(
    scenario: Scenario, gateway: Gateway, evaluator: RolloutEvaluator, policy: Rollout
) -> Outcome:
    """Have it decided from closed windows, as a backtest does: the same core, much faster."""
    outcome = Outcome()
    rows = gateway.closed_rows(columns_needed(policy))
    parts = 1 if scenario.truth is None else LOOKS_AT_INTERVALS
    ends_s = scenario.traffic.seconds * np.linspace(0.0, 1.0, parts + 1)
    for first_s, end_s in itertools.pairwise(ends_s.tolist()):
        starts_s = (rows[0].start_ms - to_epoch_ms(START)) / 1_000.0
        part = np.flatnonzero((starts_s >= first_s) & (starts_s < end_s))
        for decision in evaluator.take_closed([rows[0].part(part)]):
            moment_s = (to_epoch_ms(decision.decided_at) - to_epoch_ms(START)) / 1_000.0
            outcome = _after(outcome, decision, moment_s, gateway.requests)
        if scenario.truth is not None and _misses(evaluator.decision(), scenario.truth):
            outcome = outcome._replace(misses_truth=True)
    return outcome


def can_be_stacked(scenario: Scenario, policy: Rollout) -> bool:
    """Whether many rollouts can be decided at once: one check in all requests, closed windows."""
    checks = _deciding_checks(policy)
    is_plain = len(checks) == 1 and not checks[0].is_tail and checks[0].weight == 1.0
    asks_more = scenario.truth is not None or scenario.aim.most_quality_breaches is not None
    in_all = checks[0].guardrail.slices == SliceChoice(True, False, False)
    return is_plain and in_all and not scenario.is_live and not asks_more


def _deciding_checks(policy: Rollout) -> list[Check]:
    """Those of the policy's guardrails: whether stable is a measure to judge by only alerts."""
    return [check for check in checks_of(policy) if check.is_guardrail]


def outcomes_together(scenario: Scenario, policy: Rollout, rngs: Sequence[Rng]) -> list[Outcome]:
    """Have rollouts decided side by side, by the same arithmetic as `RolloutEvaluator`.

    The first of them is decided by the evaluator as well, and must come out the same.
    """
    (check,) = _deciding_checks(policy)
    parts = [_statistics(check, policy, Gateway(scenario.traffic, rng)) for rng in rngs]
    statistics, divisor, requests = (np.stack(part, axis=1) for part in zip(*parts, strict=True))
    rollback, promotion = _evidence_paths(check, statistics, divisor[..., None])
    sent = requests.cumsum(axis=0)
    rolls_back = rollback >= -math.log(policy.false_rollback)
    promotes = (promotion >= -math.log(policy.false_promotion)) & (rollback < LOG_SUSPICION)
    promotes &= sent >= policy.stages[0].min_requests
    outcomes = []
    for rollout in range(len(rngs)):
        back, forth = (_first(hits[:, rollout]) for hits in (rolls_back, promotes))
        forth = forth if forth < back else NEVER
        outcomes.append(
            Outcome(
                *_at(back, sent[:, rollout]),
                *_at(forth, sent[:, rollout]),
            )
        )
    return outcomes


def _statistics(check: Check, policy: Rollout, gateway: Gateway) -> tuple[Floats, Floats, Floats]:
    """Return the statistics of each window, what divides them, and its requests, (T, …)."""
    rows = gateway.closed_rows(columns_needed(policy))[0]
    windows = round(gateway.traffic.seconds / WINDOW_S)
    places = (rows.start_ms - to_epoch_ms(START)) // round(1_000 * WINDOW_S)

    def dense(values: Floats) -> Floats:
        filled = np.zeros((windows, *values.shape[1:]))
        np.add.at(filled, places, values)
        return filled

    reader = check.reader
    assert reader is not None, "a tail has no reader of its own"
    statistics = dense(reader.read(rows.columns))
    counts = dense(read_counts(rows.columns)).reshape(windows, PARTIES, -1)
    products = dense(read_products(check, rows.columns)).reshape(windows, PARTIES, -1)
    turn_sums = TurnSums(
        np.concatenate([counts[..., 1:], products], axis=-1)[:, None], counts[:, None, :, 0]
    )
    starts_ms = to_epoch_ms(START) + round(1_000 * WINDOW_S) * np.arange(windows)
    steps = DesignEffectSteps(
        check.test,
        DesignEffect.begin(check.test, [ALL]),
        EffectWindows(starts_ms, statistics[:, None], statistics, turn_sums),
        Assumption(policy.independent_requests, policy.turns_per_conversation),
    )
    return statistics, steps.of_windows[:, 0], counts[..., 0].sum(axis=-1)


def _evidence_paths(check: Check, statistics: Floats, divisor: Floats) -> tuple[Floats, Floats]:
    """Return log evidence for rollback and for promotion after each window, (T, rollouts)."""
    test, rollouts = check.test, statistics.shape[1]
    ready, _ = carried(test, statistics, np.zeros(statistics.shape[1:]))
    scales = test.scales_before(ready, np.zeros((rollouts, SCALE_PARTS)))[:-1]
    won = {
        direction: test.increments(ready, direction, scales) / divisor for direction in DIRECTIONS
    }
    counts = ready.any(axis=-1)
    fresh = np.where(counts, log_shares(counts.cumsum(axis=0) - 1.0), -np.inf)
    begun = np.full(won["rollback"].shape[1:], -np.inf)
    path = restarted_path(begun, won["rollback"], fresh)[1:]
    return log_evidence(path), log_evidence(won["promotion"].cumsum(axis=0))


def _first(hits: Bools) -> float:
    return float(hits.argmax()) if hits.any() else NEVER


def _at(window: float, sent: Floats) -> tuple[float, float]:
    if math.isinf(window):
        return NEVER, NEVER
    return WINDOW_S * (window + 1.0), float(sent[int(window)])


def _after(outcome: Outcome, decision: Decision, now_s: float, requests: Requests) -> Outcome:
    sent = int(np.searchsorted(requests.time_s, now_s))
    if decision.quality.breaches:
        outcome = outcome._replace(breaches_quality=True)
    if decision.verdict == "rollback" and outcome.rollback_s == NEVER:
        return outcome._replace(rollback_s=now_s, rollback_requests=sent)
    if decision.verdict == "promote" and outcome.promotion_s == NEVER:
        return outcome._replace(promotion_s=now_s, promotion_requests=sent)
    return outcome


def _misses(decision: Decision, truth: float) -> bool:
    low, high = decision.evidence[0].interval or (-NEVER, NEVER)
    return not low <= truth <= high


# Scenarios ---------------------------------------------------------------------------------------

SAFE: Final = Aim(most_rolled_back=0.01, most_promoted=0.05)
UNNAMED: Final = Aim(most_rolled_back=0.02, most_promoted=0.08)
AT_MARGIN: Final = steady(0.01, 0.02)
INDEPENDENT: Final = "independent_requests: true\nmin_duration: 0s"
ZIPF: Final = tuple((1 / np.arange(1.0, 31.0) / np.sum(1 / np.arange(1.0, 31.0))).tolist())
"""Thirty languages; the fourth has 6 % of the traffic, the thirteenth 2 %."""
LARGE, SMALL = 3, 12


def worse_in(language: int, bad: float) -> Callable[[Floats, npt.NDArray[np.int64]], Rates]:
    """The candidate is worse in one language alone."""
    return lambda time_s, languages: Rates(
        np.full(time_s.size, 0.01), np.where(languages == language, bad, 0.01)
    )


def bursts(time_s: Floats, language: npt.NDArray[np.int64]) -> Rates:
    """For 10 s of each minute the candidate fails in 13 % of its requests."""
    stable = np.full(time_s.size, 0.01)
    return Rates(stable, np.where(time_s % 60.0 < 10.0, 0.13, stable))


def drifting(time_s: Floats, language: npt.NDArray[np.int64]) -> Rates:
    """The base rate rises and falls by half within the hour; the harm stays at the margin."""
    stable = 0.01 * (1.0 + 0.5 * np.sin(2.0 * np.pi * time_s / 3_600.0))
    return Rates(stable, stable + 0.01)


def incident(time_s: Floats, language: npt.NDArray[np.int64]) -> Rates:
    """For ten minutes both sides fail in a fifth of their requests."""
    stable = np.where((time_s >= 1_200.0) & (time_s < 1_800.0), 0.2, 0.01)
    return Rates(stable, stable)


def conversations() -> Iterator[Scenario]:
    """Turns that share their fate, named or not."""
    for words, length, gap_s in (
        ("5 turns at once", turns(5), 0.0),
        ("20 turns at once", turns(20), 0.0),
        ("5 turns 45 s apart", turns(5), 45.0),
        ("20 turns 45 s apart", turns(20), 45.0),
    ):
        named = Traffic(lengths=length, gap_s=gap_s, bad=AT_MARGIN)
        yield Scenario(f"{words}, at the margin", named, aim=SAFE)
        aim = UNNAMED if words.startswith("5") else Aim()
        unnamed = replace(named, is_named=False)
        yield Scenario(f"{words}, at the margin, unnamed", unnamed, aim=aim)
        if words.startswith("20"):
            equal = Aim(most_rolled_back=0.01)
            yield Scenario(f"{words}, equal models", replace(named, bad=EQUAL), aim=equal)
            aim = replace(equal, most_rolled_back=None)
            yield Scenario(f"{words}, equal models, unnamed", replace(unnamed, bad=EQUAL), aim=aim)
    for words, length, gap_s, fails_in in (
        ("5 turns 45 s apart, half of a bad conversation's turns fail", turns(5), 45.0, 0.5),
        ("5 turns 5 min apart", turns(5), 300.0, 1.0),
        ("geometric lengths, mean 5, 45 s apart", geometric(5.0), 45.0, 1.0),
        ("Pareto lengths (1.5), 45 s apart", pareto(1.5), 45.0, 1.0),
        ("5 turns 45 s apart, drifting base rate", turns(5), 45.0, 1.0),
    ):
        bad = drifting if "drifting" in words else steady(0.01 / fails_in, 0.02 / fails_in)
        traffic = Traffic(lengths=length, gap_s=gap_s, bad=bad, fails_in=fails_in)
        yield Scenario(f"{words}, at the margin", traffic, aim=SAFE)
    declared = "turns_per_conversation: 20\nmin_duration: 0s"
    yield Scenario(
        "20 turns 45 s apart, at the margin, unnamed, turns_per_conversation: 20",
        Traffic(lengths=turns(20), gap_s=45.0, bad=AT_MARGIN, is_named=False), policy=declared,
    )  # fmt: skip
    for n in (5, 20):
        clean = Traffic(lengths=turns(n), gap_s=45.0, bad=steady(0.0, 0.01))
        words = f"stable clean, the candidate fails whole conversations, {n} turns, at the margin"
        yield Scenario(words, clean, aim=SAFE)
        yield Scenario(f"{words}, unnamed", replace(clean, is_named=False))
    for share in (0.05, 0.5):
        arms = Traffic(lengths=turns(5), gap_s=45.0, bad=AT_MARGIN, share=share)
        yield Scenario(f"canary of {share:.0%}, 5 turns 45 s apart, at the margin", arms, aim=SAFE)


def single_questions() -> Iterator[Scenario]:
    """Requests without relation to each other: what may not become slower."""
    yield Scenario("single turns, at the margin", Traffic(bad=AT_MARGIN), aim=SAFE)
    for words, traffic, policy, by in (
        ("turn 1 named", Traffic(), "", 4_950),
        ("independent_requests", Traffic(is_named=False), INDEPENDENT, 4_950),
        ("neither", Traffic(is_named=False), "", 18_000),
    ):
        worse = replace(traffic, bad=steady(0.01, 0.03))
        yield Scenario(
            f"single turns, 1 → 3 %, {words}", worse, policy=policy,
            aim=Aim(rolled_back_by=by, least_rolled_back=0.95),
        )  # fmt: skip
        yield Scenario(
            f"single turns, equal models, {words}", replace(traffic, bad=EQUAL), policy=policy,
            aim=Aim(most_rolled_back=0.01, least_promoted=0.9),
        )  # fmt: skip
    yield Scenario(
        "single turns, 1 → 3 %, 100/s, a look every 5 s, turn 1 named",
        Traffic(rate=100.0, seconds=120.0, bad=steady(0.01, 0.03), look_s=5.0), is_live=True,
        weight=0.05, aim=Aim(rolled_back_by=4_380, least_rolled_back=0.95),
    )  # fmt: skip
    yield Scenario(
        "10 s of each minute 13 % bad, one of nine guardrails", Traffic(bad=bursts), guardrails="",
        weight=0.1, aim=Aim(least_rolled_back=0.95, rolled_back_by=8_000),
    )  # fmt: skip
    yield Scenario(
        "no error on either side, margin 0.1 points", Traffic(bad=steady(0.0, 0.0), seconds=2_000),
        "[{metric: error_rate, max_increase: 0.1pp, slices: [all]}]",
        aim=Aim(promoted_by=6_000, least_promoted=0.9),
    )  # fmt: skip
    yield Scenario(
        "incident on both sides for ten minutes, equal models", Traffic(bad=incident),
        aim=Aim(most_rolled_back=0.01),
    )  # fmt: skip
    yield Scenario(
        "95 % interval, 5 turns at once, five looks",
        Traffic(lengths=turns(5), bad=AT_MARGIN), truth=0.01,
        weight=0.15, aim=Aim(most_intervals_missed=0.05),
    )  # fmt: skip


def arrivals() -> Iterator[Scenario]:
    """Answers that come late, or never; equal rates but for what is said."""
    for words, rate, bad, good_s, bad_s in (
        ("fails after 0.2 s, stable after 60 s, 100/s, 5 %", 100, 0.05, (1.0, 1.0), (60.0, 0.2)),
        ("fails after 0.2 s, stable after 60 s, 300/s, 2 %", 300, 0.02, (1.0, 1.0), (60.0, 0.2)),
        ("fails after 0.2 s, is good after 30 s, 100/s, 5 %", 100, 0.05, (1.0, 30.0), (1.0, 0.2)),
    ):
        traffic = Traffic(
            rate=rate, seconds=300.0, bad=steady(bad, bad), good_s=good_s, bad_s=bad_s, look_s=5.0
        )
        yield Scenario(
            f"the candidate {words}", traffic, policy=INDEPENDENT, is_live=True, weight=0.05,
            aim=Aim(most_rolled_back=0.01),
        )  # fmt: skip
    yield Scenario(
        "the candidate fails in half of the requests, 100/s",
        Traffic(rate=100, seconds=20.0, bad=steady(0.0, 0.5), look_s=1.0),
        policy=INDEPENDENT, is_live=True, weight=0.1,
        aim=Aim(least_rolled_back=1.0, rolled_back_within_s=5.0),
    )  # fmt: skip
    for lost in (0.02, 0.04, 0.045):
        yield Scenario(
            f"{lost:.1%} of the candidate's answers never come", Traffic(lost=lost),
            policy=INDEPENDENT, is_live=True, weight=0.05,
            aim=Aim(least_rolled_back=0.95, rolled_back_by=3_400 if lost > 0.02 else None),
        )  # fmt: skip
    yield Scenario(
        "4.5 % more errors, for comparison", Traffic(bad=steady(0.01, 0.055)), policy=INDEPENDENT,
        is_live=True, weight=0.05, aim=Aim(least_rolled_back=0.95),
    )  # fmt: skip


def small_languages() -> Iterator[Scenario]:
    """Thirty languages under the default policy."""
    for language, words, bad in (
        (LARGE, "6 % of the traffic 99 → 95 %", 0.05),
        (SMALL, "2 % of the traffic 99 → 90 %", 0.10),
    ):
        traffic = Traffic(languages=ZIPF, bad=worse_in(language, bad), seconds=4_200.0)
        yield Scenario(
            f"30 languages, one of {words}, min_duration 1h", traffic, guardrails="",
            policy="min_duration: 1h", weight=0.1, aim=Aim(most_promoted=0.01),
        )  # fmt: skip
        yield Scenario(
            f"30 languages, one of {words}, min_duration 10m", traffic, guardrails="",
            policy="min_duration: 10m", weight=0.1, aim=Aim(most_promoted=0.5),
        )  # fmt: skip
    yield Scenario(
        "30 languages, equal models", Traffic(languages=ZIPF, spread=(0.5, 0.5), dearer=1.0),
        guardrails="", policy="min_duration: 10m", weight=0.03,
        aim=Aim(most_rolled_back=0.01, least_promoted=0.9),
    )  # fmt: skip


def times_and_costs() -> Iterator[Scenario]:
    """Quantiles and means."""
    fate = {"lengths": turns(5), "gap_s": 45.0, "spread": (0.5, 0.5), "fate": 0.5}
    p99 = "[{metric: duration_p99, max_increase: 50%, slices: [all]}]"
    cost = "[{metric: cost_usd, max_increase: 10%, slices: [all]}]"
    for share, mode in ((None, "shadow"), (0.2, "canary of 20 %")):
        slow = Traffic(**fate, good_s=(1.0, 1.5), share=share)
        yield Scenario(
            f"p99 at the margin, 5 turns 45 s apart, {mode}", slow, p99, aim=SAFE, weight=0.15
        )
        dear = Traffic(**{**fate, "spread": (0.0, 0.0)}, dearer=1.1, share=share)
        yield Scenario(f"cost at the margin, 5 turns 45 s apart, {mode}", dear, cost, aim=SAFE)
    yield Scenario(
        "p95 × 3 and p99 × 4.4 from the start, default policy",
        Traffic(good_s=(1.0, math.exp(0.174)), spread=(0.5, 1.06), seconds=1_200), guardrails="",
        policy=INDEPENDENT, is_live=True, weight=0.03,
        aim=Aim(least_rolled_back=0.95, rolled_back_by=2_500),
    )  # fmt: skip
    for slow_s, words in ((0.0, "without a cold start"), (400.0, "after a cold start of 400 s")):
        yield Scenario(
            f"3 times slower from 400 s on, {words}",
            Traffic(spread=(0.5, 0.5), slow_until_s=slow_s, candidate_slower_from_s=400.0,
                    candidate_slower=3.0, seconds=1_500),
            guardrails="", policy=INDEPENDENT, is_live=True, weight=0.02,
            aim=Aim(least_rolled_back=0.95, rolled_back_by=6_200 if slow_s else None),
        )  # fmt: skip


def sticky_canaries() -> Iterator[Scenario]:
    """A share of conversations as planned: 100 000 requests."""
    for n in (5, 20):
        traffic = Traffic(
            rate=50.0, seconds=2_000.0, lengths=turns(n), gap_s=45.0, bad=EQUAL, share=0.05
        )
        yield Scenario(f"sticky canary of 5 %, right share, {n} turns", traffic, weight=0.1,
                       aim=Aim(most_quality_breaches=0.001))  # fmt: skip


FAMILIES: Final = (
    conversations, single_questions, arrivals, small_languages, times_and_costs, sticky_canaries
)  # fmt: skip


# Running and reporting ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    name: str
    rollouts: int
    rolled_back: float
    promoted: float
    rollback_requests: float | None
    """Median; None where most are not rolled back. Likewise below."""
    rollback_s: float | None
    slowest_rollback_s: float | None
    promotion_requests: float | None
    quality_breaches: float
    intervals_missed: float
    verdicts_on_aims: dict[str, bool]


def run(scenario: Scenario, rollouts: int, seed: int) -> Result:
    """Draw and decide the rollouts of a scenario."""
    policy = policy_of(scenario)
    number = max(10, round(rollouts * scenario.weight))
    code = zlib.crc32(scenario.name.encode())
    rngs = [np.random.default_rng([seed, code, one]) for one in range(number)]
    if can_be_stacked(scenario, policy):
        outcomes = [
            outcome
            for some in _batches(rngs, TOGETHER)
            for outcome in outcomes_together(scenario, policy, some)
        ]
        for one in range(CHECKED):
            again = outcome_of(scenario, policy, np.random.default_rng([seed, code, one]))
            assert again[:4] == outcomes[one][:4], f"{scenario.name}: {again} {outcomes[one]}"
    else:
        outcomes = [outcome_of(scenario, policy, rng) for rng in rngs]
    columns = [np.array(column, dtype=np.float64) for column in zip(*outcomes, strict=True)]
    rollback_s, rollback_requests, _, promotion_requests, breaches, misses = columns
    result = Result(
        name=scenario.name,
        rollouts=number,
        rolled_back=float(np.isfinite(rollback_s).mean()),
        promoted=float(np.isfinite(promotion_requests).mean()),
        rollback_requests=_finite(np.median(rollback_requests)),
        rollback_s=_finite(np.median(rollback_s)),
        slowest_rollback_s=_finite(rollback_s.max()),
        promotion_requests=_finite(np.median(promotion_requests)),
        quality_breaches=float(breaches.mean()),
        intervals_missed=float(misses.mean()),
        verdicts_on_aims={},
    )
    return replace(result, verdicts_on_aims=dict(_held_against(result, scenario.aim)))


def _batches(rngs: Sequence[Rng], size: int) -> Iterator[Sequence[Rng]]:
    for start in range(0, len(rngs), size):
        yield rngs[start : start + size]


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _held_against(result: Result, aim: Aim) -> Iterator[tuple[str, bool]]:
    for words, limit, value, is_most in (
        ("rolled back ≤", aim.most_rolled_back, result.rolled_back, True),
        ("promoted ≤", aim.most_promoted, result.promoted, True),
        ("rolled back ≥", aim.least_rolled_back, result.rolled_back, False),
        ("promoted ≥", aim.least_promoted, result.promoted, False),
        ("rolled back by", aim.rolled_back_by, result.rollback_requests, True),
        ("within s", aim.rolled_back_within_s, result.slowest_rollback_s, True),
        ("promoted by", aim.promoted_by, result.promotion_requests, True),
        ("sample ratio ≤", aim.most_quality_breaches, result.quality_breaches, True),
        ("intervals missed ≤", aim.most_intervals_missed, result.intervals_missed, True),
    ):
        if limit is not None:
            reached = NEVER if value is None else value
            yield (
                f"{words} {limit:,g}".replace(",", " "),
                (reached <= limit if is_most else reached >= limit),
            )


def markdown(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of the table in the documentation."""
    yield "| scenario | rollouts | rolled back | promoted | asked for |"
    yield "| --- | --- | --- | --- | --- |"
    for one in results:
        asked = ", ".join(
            f"{words}: {'met' if is_met else 'NOT MET'}"
            for words, is_met in one.verdicts_on_aims.items()
        )
        back = _share_and_median(one.rolled_back, one.rollback_requests)
        promoted = _share_and_median(one.promoted, one.promotion_requests)
        notes = [asked] if asked else []
        if any("sample ratio" in words for words in one.verdicts_on_aims):
            notes.append(f"found broken in {one.quality_breaches:.3g}")
        if any("intervals" in words for words in one.verdicts_on_aims):
            notes.append(f"missed in {one.intervals_missed:.3g}")
        if any("within" in words for words in one.verdicts_on_aims):
            notes.append(f"slowest {one.slowest_rollback_s or NEVER:g} s")
        yield f"| {one.name} | {one.rollouts} | {back} | {promoted} | {'; '.join(notes)} |"


def _share_and_median(share: float, median: float | None) -> str:
    if median is None:
        return f"{share:.4g}"
    return f"{share:.4g} / {median:,.0f}".replace(",", " ")


def main() -> None:
    """Run the scenarios and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file of results; those in it are not run again")
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    known: dict[str, Result] = {}
    if options.json and options.json.exists():
        stored = msgspec.json.decode(options.json.read_bytes(), type=list[Result])
        known = {one.name: one for one in stored}
    table = Table("scenario", "rollouts", "rolled back", "promoted", "asked for")
    for family in FAMILIES:
        for scenario in family():
            if options.only not in scenario.name or scenario.name in known:
                continue
            begun = time.perf_counter()
            known[scenario.name] = run(scenario, options.rollouts, options.seed)
            cells = list(markdown([known[scenario.name]]))[2].strip("| ").split(" | ")
            print(f"{time.perf_counter() - begun:6.0f} s", *cells, sep="  ", flush=True)
            if options.json:
                options.json.write_bytes(
                    msgspec.json.format(msgspec.json.encode(list(known.values())))
                )
    for one in known.values():
        table.add_row(*list(markdown([one]))[2].strip("| ").split(" | "))
    Console(width=200).print(table)
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(list(known.values()))) + "\n")


if __name__ == "__main__":
    main()
