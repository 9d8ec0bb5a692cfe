"""A made-up world of requests as window rows; what is wrong with the candidate is an argument."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from understudy.analyzers.guardrails.window_store import RowKey
from understudy.analyzers.windows.histogram import hundredths, log_bucket
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.window_measures import ControlSums, EventCounts, PairSums, SideSums
from understudy.schemas.windows import Source, WindowRow, WindowsMessage, row_lists, windows_message

ROLLOUT = "helpdesk"
START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
WINDOW_S = 10
BASE = {
    "error": 0.01,
    "fallback": 0.01,
    "truncated": 0.02,
    "json_valid": 0.02,
    "json_schema_valid": 0.03,
    "language_match": 0.01,
    "tool_calls": 0.2,
}
"""Share of bad answers on every side."""


@dataclass(frozen=True)
class Harm:
    """What the candidate does worse: shares added to `BASE`, factors, disagreement added."""

    bad: dict[str, float] = field(default_factory=dict)
    slower: float = 1.0
    dearer: float = 1.0
    longer: float = 1.0
    disagreement: float = 0.0
    lost: float = 0.0
    """Share of requests whose candidate side never comes."""
    evicted: float = 0.0
    """Share of requests whose candidate side is missing for another reason, none of its failure."""
    languages: tuple[str, ...] = ()
    """Where; everywhere when empty."""


@dataclass(frozen=True)
class World:
    """Requests per window and slice."""

    mode: str = "shadow"
    languages: tuple[str, ...] = ("en", "ja")
    workflow: str = "chat"
    requests: int = 100
    share: float = 0.5
    """Of the candidate, in canary and ab."""
    harm: Harm = Harm()
    stable: Harm = Harm()
    """What stable does worse; only `bad` counts."""
    partition: int = 0

    def row(self, rng: np.random.Generator, window: int, language: str) -> WindowRow:
        """What one window of one language holds in the end, closed."""
        is_paired = self.mode in PAIRED_MODES
        harm = self.harm if not self.harm.languages or language in self.harm.languages else Harm()
        n = self.requests
        lost = int(rng.binomial(n, harm.lost)) if is_paired else 0
        evicted = int(rng.binomial(n, harm.evicted)) if is_paired and harm.evicted else 0
        n -= lost + evicted
        candidates = n if is_paired else int(rng.binomial(n, self.share))
        stables = n if is_paired else n - candidates
        effort = rng.lognormal(0.0, 0.5, n) if is_paired else None
        stable, s_bad, s_values = _side(rng, stables, self.stable, effort)
        candidate, c_bad, c_values = _side(rng, candidates, harm, effort)
        pair, control = PairSums(), ControlSums()
        events = EventCounts(single=n)
        if is_paired:
            pair = _pair(rng, n, s_bad, c_bad, s_values, c_values, harm)
            pair = msgspec.structs.replace(pair, lost_candidate=lost)
            control = _control(rng, n // 5)
            events = EventCounts(paired=2 * n, unmatched_stable=lost + evicted)
        return WindowRow(
            rollout_id=ROLLOUT,
            mode=self.mode,
            language=language,
            workflow=self.workflow,
            window_start=START + dt.timedelta(seconds=window * WINDOW_S),
            window_s=WINDOW_S,
            partition=self.partition,
            version=0,
            closed=True,
            events=events,
            stable=stable,
            candidate=candidate,
            pair=pair,
            control=control,
        )

    def messages(self, seed: int, windows: int, first: int = 0) -> list[WindowsMessage]:
        """One message a window: it closes the window before, early rows aside."""
        rng = np.random.default_rng(seed)
        return [
            message(
                [self.row(rng, window, language) for language in self.languages],
                version=window + 1,
                partition=self.partition,
            )
            for window in range(first, first + windows)
        ]


def message(
    rows: list[WindowRow], *, version: int, partition: int = 0, source: Source = "events"
) -> WindowsMessage:
    """A message whose watermark is the end of its newest window."""
    rows = [msgspec.structs.replace(row, version=version, partition=partition) for row in rows]
    ends = [row.window_start + dt.timedelta(seconds=row.window_s) for row in rows]
    return windows_message(
        rows, rollout_id=ROLLOUT, source=source, partition=partition, version=version,
        watermark=max(ends),
    )  # fmt: skip


def key_of(row: WindowRow) -> RowKey:
    """What versions of a row have in common."""
    return next(RowKey.of_lists(row_lists([row])))


def replaced(
    message: WindowsMessage, rows: Iterable[WindowRow] | None = None, **changes: Any
) -> WindowsMessage:
    """The message with other rows, or other fields."""
    if rows is not None:
        changes["columns"] = row_lists(list(rows))
    return msgspec.structs.replace(message, **changes)


def edited(message: WindowsMessage, edit: Callable[[WindowRow], object]) -> WindowsMessage:
    """The message after each of its rows was edited in place."""
    rows = message.rows
    for row in rows:
        edit(row)
    return replaced(message, rows)


def _side(rng, n, harm, effort):
    bad = {name: rng.random(n) < share + harm.bad.get(name, 0.0) for name, share in BASE.items()}
    effort = rng.lognormal(0.0, 0.5, n) if effort is None else effort
    duration = 1_000.0 * harm.slower * effort * rng.lognormal(0.0, 0.3, n)
    tokens = np.rint(200.0 * harm.longer * effort * rng.lognormal(0.0, 0.2, n)).astype(np.int64)
    cost = np.rint(0.002 * harm.dearer * effort * rng.lognormal(0.0, 0.3, n) * 1e10) / 1e10
    histogram = _counts(log_bucket(duration))
    side = SideSums(
        requests=n,
        model_requests=n,
        answers=n,
        texts=n,
        tools_called=n,
        tools_offered=n,
        errors=int(bad["error"].sum()),
        fallback_known=n,
        fallbacks=int(bad["fallback"].sum()),
        finish_reason_known=n,
        truncated=int(bad["truncated"].sum()),
        json_expected=n,
        json_valid=n - int(bad["json_valid"].sum()),
        json_schema_checked=n,
        json_schema_valid=n - int(bad["json_schema_valid"].sum()),
        language_checked=n,
        language_match=n - int(bad["language_match"].sum()),
        duration_ms_count=n,
        time_to_first_token_ms_count=n,
        output_tokens_count=n,
        output_tokens_sum=int(tokens.sum()),
        output_tokens_squares=int((tokens**2).sum()),
        cost_usd_count=n,
        cost_usd_sum=float(cost.sum()),
        cost_usd_squares=float((cost**2).sum()),
        duration_ms_histogram=histogram,
        time_to_first_token_ms_histogram=histogram,
    )
    return side, bad, (tokens, cost)


def _pair(rng, n, s_bad, c_bad, s_values, c_values, harm):
    joint = {}
    for name in BASE:
        if name == "tool_calls":
            continue
        stable, candidate = s_bad[name], c_bad[name]
        if name.startswith(("json", "language")):
            stable, candidate = ~stable, ~candidate
        joint[f"{name}_only_stable"] = int((stable & ~candidate).sum())
        joint[f"{name}_only_candidate"] = int((candidate & ~stable).sum())
        joint[f"{name}_both"] = int((candidate & stable).sum())
    (s_tokens, s_cost), (c_tokens, c_cost) = s_values, c_values
    similarity = 1.0 - np.minimum(1.0, rng.random(n) * 0.4 + harm.disagreement)
    return PairSums(
        pairs=n,
        answered=n,
        texts=n,
        tools_offered_both=n,
        model_pairs=n,
        finish_reason_known_both=n,
        json_expected_both=n,
        json_schema_checked_both=n,
        language_checked_both=n,
        tool_calls_compared=n,
        tool_calls_match=n - int(c_bad["tool_calls"].sum()),
        output_tokens_count=n,
        output_tokens_stable_sum=int(s_tokens.sum()),
        output_tokens_candidate_sum=int(c_tokens.sum()),
        output_tokens_stable_squares=int((s_tokens**2).sum()),
        output_tokens_candidate_squares=int((c_tokens**2).sum()),
        output_tokens_products=int((s_tokens * c_tokens).sum()),
        cost_usd_count=n,
        cost_usd_stable_sum=float(s_cost.sum()),
        cost_usd_candidate_sum=float(c_cost.sum()),
        cost_usd_stable_squares=float((s_cost**2).sum()),
        cost_usd_candidate_squares=float((c_cost**2).sum()),
        cost_usd_products=float((s_cost * c_cost).sum()),
        similarity_count=n,
        similarity_histogram=_counts(hundredths(similarity)),
        **joint,
    )


def _control(rng, n):
    changed = int((rng.random(n) < BASE["tool_calls"]).sum())
    similarity = 1.0 - rng.random(n) * 0.4
    return ControlSums(
        pairs=n,
        answered=n,
        tool_calls_compared=n,
        tool_calls_match=n - changed,
        similarity_count=n,
        similarity_histogram=_counts(hundredths(similarity)),
    )


def _counts(buckets) -> dict[int, int]:
    values, counts = np.unique(buckets, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
