"""Judges the windows that ClickHouse has stored by a policy: `rollout backtest`, and the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Final

from clickhouse_connect.driver.client import Client

from understudy.schemas.rollouts import Rollout, nearest
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import require_tables
from understudy.streams.clickhouse.native_blocks import NativeColumns
from understudy.streams.clickhouse.stored_windows import (
    SPAN_ROWS_IN_COLUMNS,
    Span,
    StoredRollout,
    WindowRange,
    read_columns,
    spans,
    stored_rollouts,
)
from understudy.streams.dashboard.backtest_page import StoredTrial
from understudy.streams.errors import CommandError
from understudy.streams.replay.from_clickhouse import closed_rows
from understudy.streams.replay.policy_trial import PolicyTrial

MAX_ROWS_OF_A_PAGE: Final = 1_000_000
"""Rows that a worker judges for a page: some tens of seconds of its CPU."""
_MOST_SHOWN: Final = 10
"""Rollouts in a message that lists which there are."""
Blocks = Iterable[NativeColumns]
Watched = Callable[[Blocks, Sequence[Span]], Blocks]
"""Shows progress while blocks of these spans are read."""


def judge_stored(
    client: Client,
    trial: PolicyTrial,
    wanted: WindowRange,
    *,
    watched: Watched = lambda blocks, _: blocks,
    max_rows: int | None = None,
) -> StoredTrial:
    """Judge the windows of a range. Raises `CommandError` without any, or with too many."""
    require_tables(client)
    wanted_spans = spans(client, wanted, span_rows=SPAN_ROWS_IN_COLUMNS)
    if not wanted_spans:
        raise CommandError(_nothing_found(wanted, stored_rollouts(client)))
    count = sum(span.rows for span in wanted_spans)
    if max_rows is not None and count > max_rows:
        raise CommandError(
            f"there are {count:,} window rows in that span, and at most {max_rows:,} are judged "
            "here: choose a shorter one, or run `understudy rollout backtest`"
        )
    rows = open_rows = 0
    blocks = read_columns(client, wanted, wanted_spans, trial.columns())
    for columns in watched(blocks, wanted_spans):
        rows += columns.n_rows
        open_rows += columns.n_rows - int(columns.numbers["closed"].sum())
        trial.take_closed(closed_rows(columns))
    return StoredTrial(trial.decisions, trial.outcome(), rows, open_rows)


def page_judge(url: str) -> Callable[[Rollout, int, int, threading.Event], StoredTrial]:
    """Return what judges windows for a page: over a connection of its own, until it is stopped."""

    def judge(rollout: Rollout, since_ms: int, until_ms: int, stop: threading.Event) -> StoredTrial:
        def until_stopped(blocks: Blocks, _: Sequence[Span]) -> Iterator[NativeColumns]:
            for block in blocks:
                if stop.is_set():
                    raise CommandError("it took too long: choose a shorter span of time")
                yield block

        wanted = WindowRange(rollout.rollout_id, since_ms, until_ms)
        with closing(connect(url, create=False)) as client:
            return judge_stored(
                client, PolicyTrial(rollout), wanted,
                watched=until_stopped, max_rows=MAX_ROWS_OF_A_PAGE,
            )  # fmt: skip

    return judge


def _nothing_found(wanted: WindowRange, kept: Sequence[StoredRollout]) -> str:
    """A message that says which windows there are instead."""
    if not kept:
        return "ClickHouse holds no windows yet"
    names = {one.rollout_id: one for one in kept}
    here = names.get(wanted.rollout_id)
    if here is not None:
        return f"no windows of rollout {here.rollout_id} start in that range; it has {_times(here)}"
    shown = [f"  {one.rollout_id}  {_times(one)}" for one in kept[:_MOST_SHOWN]]
    if len(kept) > _MOST_SHOWN:
        shown.append("  and more")
    head = f"ClickHouse has no windows of rollout {wanted.rollout_id}"
    return "\n".join([f"{head}{nearest(wanted.rollout_id, names)}. It has:", *shown])


def _times(one: StoredRollout) -> str:
    return f"{one.since:%Y-%m-%dT%H:%M:%S} to {one.until:%Y-%m-%dT%H:%M:%S} UTC"
