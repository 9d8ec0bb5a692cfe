"""`understudy rollout backtest`: when a policy would have decided what.

It looks at recorded events in files, or at the windows that ClickHouse keeps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
import orjson
from clickhouse_connect.driver.client import Client
from rich.console import Console

from understudy.schemas.rollouts import Rollout, nearest
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.command_client import open_client
from understudy.streams.clickhouse.migrate import pending
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.stored_windows import (
    Kept,
    WindowRange,
    kept_rollouts,
    read_rows,
    spans,
)
from understudy.streams.commands.replay import pairing_policy
from understudy.streams.errors import UNREACHABLE, CommandError
from understudy.streams.logs import configure_logs
from understudy.streams.replay.from_clickhouse import told
from understudy.streams.replay.policy_trial import (
    PolicyTrial,
    decision_json,
    read_policy_file,
    widen,
)
from understudy.streams.replay.recordings import RecordingError, read_recordings, total_bytes
from understudy.streams.replay.replay_events import replay
from understudy.streams.settings import Settings
from understudy.streams.terminal.evidence_table import show_decision, timeline
from understudy.streams.terminal.progress import counted, file_progress

_MOST_SHOWN: Final = 10


def policy_to_try(file: Path, rollout_id: str | None) -> Rollout:
    """The policy in a file, on the data of another rollout if one is named."""
    policy = read_policy_file(file)
    return policy if rollout_id is None else msgspec.structs.replace(policy, rollout_id=rollout_id)


def backtest_files(
    settings: Settings,
    policy: Rollout,
    files: Sequence[Path],
    *,
    stage: str | None,
    as_json: bool,
    json_schemas: str | None,
) -> None:
    """Replay files through a policy and print its decisions over event time."""
    configure_logs(logging.WARNING)
    trial = PolicyTrial(policy, stage)
    pairing = pairing_policy(settings, json_schemas)
    try:
        with file_progress(total_bytes(files), "replaying") as progress:
            lines = read_recordings(files, progress)
            replay(lines, pairing, int(time.time() * 1000), None, trial)
    except RecordingError as error:
        raise CommandError(str(error)) from None
    _print(trial, as_json=as_json)


def backtest_windows(
    settings: Settings,
    policy: Rollout,
    url: str,
    *,
    since_ms: int | None,
    until_ms: int | None,
    stage: str | None,
    as_json: bool,
) -> None:
    """Run the windows that ClickHouse keeps through a policy and print its decisions."""
    configure_logs(logging.ERROR)
    trial = PolicyTrial(policy, stage)
    lateness_ms = pairing_policy(settings, None).allowed_lateness_ms
    bounds = {"since_ms": since_ms, "until_ms": until_ms}
    wanted = WindowRange(
        policy.rollout_id, **{name: ms for name, ms in bounds.items() if ms is not None}
    )
    client = open_client(url, create=False)
    still_open = _StillOpen()
    try:
        rows = still_open.counting(_rows(client, wanted))
        for message in told(rows, lateness_ms):
            trial(message)
    except SinkBusy as error:
        raise CommandError(f"ClickHouse: {error}", UNREACHABLE) from None
    except SinkBroken as error:
        raise CommandError(f"ClickHouse: {error}") from None
    finally:
        client.close()
    _print(trial, as_json=as_json)
    still_open.tell()


class _StillOpen:
    """Counts the rows that may have grown since: the verdict took them as they stood."""

    def __init__(self) -> None:
        self._rows = self._open = 0

    def counting(self, rows: Iterator[WindowRow]) -> Iterator[WindowRow]:
        for row in rows:
            self._rows += 1
            self._open += not row.closed
            yield row

    def tell(self) -> None:
        click.echo(f"{self._rows:,} window rows read", err=True)
        if self._open:
            click.echo(
                f"{self._open:,} of them had not closed in ClickHouse and count as they stood: "
                "a worker may still add to them, or their recording ended there",
                err=True,
            )


def _rows(client: Client, wanted: WindowRange) -> Iterator[WindowRow]:
    """The rows of the range. Raises `CommandError` when there are none."""
    if pending(client):
        raise CommandError(
            "ClickHouse has not all tables of this release; `understudy migrate` makes them"
        )
    cut = spans(client, wanted)
    if not cut:
        raise CommandError(_why_nothing(wanted, kept_rollouts(client)))
    total = sum(span.rows for span in cut)
    yield from counted(read_rows(client, wanted, cut), total, "judging windows")


def _why_nothing(wanted: WindowRange, kept: Sequence[Kept]) -> str:
    """What there is instead of what was asked for."""
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


def _times(one: Kept) -> str:
    return f"{one.since:%Y-%m-%dT%H:%M:%S} to {one.until:%Y-%m-%dT%H:%M:%S} UTC"


def _print(trial: PolicyTrial, *, as_json: bool) -> None:
    outcome = trial.outcome()
    if as_json:
        decisions = [decision_json(decision) for decision in trial.decisions]
        click.echo(orjson.dumps({"timeline": decisions, "decision": decision_json(outcome)}))
        return
    console = Console()
    widen(console)
    console.print(timeline(trial.decisions))
    console.print(show_decision(outcome))
