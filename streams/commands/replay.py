"""`understudy replay`."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import click

from understudy.schemas.decisions import Decision
from understudy.streams.commands.invocation import quiet_logs, with_json_schemas, with_settings
from understudy.streams.commands.options import (
    EXISTING_FILE,
    OutputFormat,
    all_slices_option,
    clickhouse_option,
    files_argument,
    json_schemas_option,
    output_options,
)
from understudy.streams.errors import VERDICT
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.into_clickhouse import into_clickhouse
from understudy.streams.replay.policy_trial import (
    FailOn,
    PolicyTrial,
    decision_json,
    fails,
    read_policy_file,
)
from understudy.streams.replay.recordings import read_recordings, total_bytes
from understudy.streams.replay.replay_events import ReplayResult, replay
from understudy.streams.replay.report import Document, report
from understudy.streams.settings import Settings
from understudy.streams.terminal.evidence_table import show_decision
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.progress import file_progress
from understudy.streams.terminal.report_table import report_tables, slice_documents


@click.command("replay")
@files_argument
@clickhouse_option
@all_slices_option
@output_options(csv_help="Print the slices as CSV.")
@json_schemas_option
@click.option(
    "--policy",
    "policy_file",
    metavar="POLICY",
    type=EXISTING_FILE,
    help="Judge the recording by this policy, and print the verdict.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["rollback", "hold"]),
    help="Exit with 4 on this verdict; on a rollback in either case.",
)
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    url: str | None,
    all_slices: bool,
    output: OutputFormat,
    json_schemas: str | None,
    policy_file: Path | None,
    fail_on: FailOn | None,
) -> None:
    """Run recorded events through the analysis, without Kafka, and print a report.

    FILE has one JSON event a line, and is plain, .gz or .zst. Several files are merged in the
    order of their request times. With --clickhouse the results are stored as a worker would store
    them.

    With --policy and --fail-on, the exit code is 4 when the verdict is what --fail-on names, or
    worse, so that a build can depend on it.

    \b
    Examples:
      understudy replay events.ndjson.gz
      understudy replay --json stable.ndjson candidate.ndjson | jq .pairs
      understudy replay events.ndjson.zst --clickhouse chdb://results
      understudy replay smoke.ndjson --policy policy.yaml --fail-on rollback
    """
    if fail_on is not None and policy_file is None:
        raise click.UsageError("--fail-on needs a --policy to judge by")
    quiet_logs()
    trial = None if policy_file is None else PolicyTrial(read_policy_file(policy_file))
    policy = PairingPolicy.from_settings(with_json_schemas(settings, json_schemas))
    started = time.monotonic()
    with (
        file_progress(total_bytes(files), "replaying") as progress,
        nullcontext() if url is None else into_clickhouse(url, policy.window_ms) as sink,
    ):
        now_ms = int(time.time() * 1000)
        result = replay(read_recordings(files, progress), policy, now_ms, sink, trial)
    decision = None if trial is None else trial.outcome()
    took_s = time.monotonic() - started
    document = report(result.rows, result.tally.read)
    if output == "json":
        say_json(
            document if decision is None else {**document, "decision": decision_json(decision)}
        )
    elif output == "csv":
        say_documents_as_csv(slice_documents(document))
    else:
        _print(result, document, decision, all_slices=all_slices, took_s=took_s)
    if decision is not None and fails(decision, fail_on):
        raise click.exceptions.Exit(VERDICT)


def _print(
    result: ReplayResult,
    document: Document,
    decision: Decision | None,
    *,
    all_slices: bool,
    took_s: float,
) -> None:
    show(report_tables(document, all_slices=all_slices))
    if decision is not None:
        show(show_decision(decision, all_slices=all_slices))
    rate = result.tally.read / took_s if took_s else 0.0
    say(f"{took_s:.1f} s, {rate:,.0f} events/s", err=True)
    for reason, count in sorted(result.dead_letters.items()):
        say(f"invalid: {count:,} {reason}", err=True)
