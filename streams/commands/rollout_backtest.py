"""`understudy rollout backtest`."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import msgspec

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.native_blocks import NativeColumns
from understudy.streams.clickhouse.stored_windows import Span, WindowRange
from understudy.streams.commands.invocation import quiet_logs, with_json_schemas, with_settings
from understudy.streams.commands.options import (
    EXISTING_FILE,
    RECORDING,
    OutputFormat,
    all_slices_option,
    clickhouse_option,
    json_schemas_option,
    output_options,
)
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.dashboard.backtest_page import StoredTrial
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.invalid_lines import invalid_text
from understudy.streams.replay.order_report import order_text
from understudy.streams.replay.policy_trial import PolicyTrial, decision_json, read_policy_file
from understudy.streams.replay.recordings import total_bytes
from understudy.streams.replay.replay_events import replay
from understudy.streams.replay.stored_trial import judge_stored
from understudy.streams.replay.time_order import Recording
from understudy.streams.settings import Settings
from understudy.streams.terminal.evidence_table import (
    show_decision,
    timeline,
    timeline_documents,
)
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.progress import counted, file_progress


@click.command("backtest")
@click.option(
    "-f",
    "--file",
    "policy_file",
    metavar="POLICY",
    required=True,
    type=EXISTING_FILE,
    help="The policy, in YAML.",
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=RECORDING)
@click.option(
    "--since",
    "since_ms",
    metavar="WHEN",
    type=TimeType(),
    help="Windows that start then or later: an age (30m, 6h, 2d) or an ISO time, UTC.",
)
@click.option(
    "--until", "until_ms", metavar="WHEN", type=TimeType(), help="Windows that start before then."
)
@clickhouse_option
@click.option(
    "--rollout-id",
    metavar="ID",
    help="Apply the policy to the data of this rollout instead of its own.",
)
@click.option("--stage", help="Stage to begin at; by default the first in the data's mode.")
@all_slices_option
@output_options(csv_help="Print the decisions as CSV.")
@json_schemas_option
@with_settings
def command(
    settings: Settings,
    policy_file: Path,
    files: tuple[Path, ...],
    since_ms: int | None,
    until_ms: int | None,
    url: str | None,
    rollout_id: str | None,
    stage: str | None,
    all_slices: bool,
    output: OutputFormat,
    json_schemas: str | None,
) -> None:
    """Show what a policy would have decided, and when, before it is put in force.

    FILE is a recording, as for replay. Without one, the policy judges the windows that ClickHouse
    has stored: all of the rollout, or those from --since until --until.

    A window in ClickHouse is judged as it was in the end, and counts as complete when it ends: no
    request of it waits for a side. A worker sees it grow, takes requests that wait at their worst,
    and promotes on closed windows alone. So a backtest may decide earlier than a worker: roll back
    by the wait for slow answers, and promote by the allowed lateness. Counts at the end are the
    same.

    \b
    Examples:
      understudy rollout backtest -f policy.yaml events.ndjson.gz
      understudy rollout backtest -f policy.yaml --since 2d
      understudy rollout backtest -f policy.yaml --since 2026-11-01 --until 2026-11-02T12:00
      understudy rollout backtest -f policy.yaml --clickhouse chdb://results --rollout-id search-v2
    """
    of_windows = {"--since": since_ms, "--until": until_ms, "--clickhouse": url}
    given = [name for name, value in of_windows.items() if value is not None]
    if files and given:
        raise click.UsageError(f"{given[0]} is about ClickHouse: give it or files, not both")
    if json_schemas is not None and not files:
        raise click.UsageError("--json-schemas needs files: windows hold no outputs to validate")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise click.UsageError("--until must be later than --since")
    policy = read_policy_file(policy_file)
    if rollout_id is not None:
        policy = msgspec.structs.replace(policy, rollout_id=rollout_id)
    trial = PolicyTrial(policy, stage)
    if files:
        _judge_files(trial, files, with_json_schemas(settings, json_schemas))
        _print(trial, output=output, all_slices=all_slices)
        return
    bounds = {"since_ms": since_ms, "until_ms": until_ms}
    wanted = WindowRange(
        policy.rollout_id, **{name: ms for name, ms in bounds.items() if ms is not None}
    )
    stored = _judge_windows(trial, url or settings.clickhouse.url, wanted)
    _print(trial, output=output, all_slices=all_slices)
    _report(stored)


def _judge_files(trial: PolicyTrial, files: Sequence[Path], settings: Settings) -> None:
    quiet_logs()
    pairing_policy = PairingPolicy.from_settings(settings)
    with file_progress(total_bytes(files), "replaying") as progress:
        timeout_ms = pairing_policy.join_timeout_ms
        recording = Recording(files, join_timeout_ms=timeout_ms, progress=progress)
        result = replay(recording, pairing_policy, int(time.time() * 1000), None, trial)
    for line in invalid_text(result.invalid, recording.place):
        say(line, err=True)
    for line in order_text(recording.disorder, pairing_policy.join_timeout_s):
        say(line, err=True)


def _judge_windows(trial: PolicyTrial, url: str, wanted: WindowRange) -> StoredTrial:
    quiet_logs(logging.ERROR)

    def watched(blocks: Iterable[NativeColumns], some: Sequence[Span]) -> Iterator[NativeColumns]:
        yield from counted(blocks, [span.rows for span in some], "judging windows")

    with closing(connect(url, create=False)) as client:
        return judge_stored(client, trial, wanted, watched=watched)


def _report(stored: StoredTrial) -> None:
    """Say how many rows there were, and how many were not closed: workers may add to them."""
    say(f"{stored.rows:,} window rows read", err=True)
    say(
        "each window counted as complete when it ended, so a worker may have decided later",
        err=True,
    )
    if stored.open_rows:
        say(
            f"{stored.open_rows:,} of them had not closed in ClickHouse and were counted as "
            "stored: a worker may still add to them, or their recording ended there",
            err=True,
        )


def _print(trial: PolicyTrial, *, output: OutputFormat, all_slices: bool) -> None:
    outcome = trial.outcome()
    if output == "json":
        decisions = [decision_json(decision) for decision in trial.decisions]
        say_json({"timeline": decisions, "decision": decision_json(outcome)})
    elif output == "csv":
        say_documents_as_csv(timeline_documents(trial.decisions))
    else:
        show(timeline(trial.decisions), "", show_decision(outcome, all_slices=all_slices))
