"""`understudy replay`."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from understudy.streams.commands.html_report import (
    html_option,
    pairs_of_report,
    pairs_option,
    policy_of_report,
    write_report,
)
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
from understudy.streams.commands.recorded_answers import (
    check_is_from,
    read_answers,
    recorded_answers_options,
    with_sides,
)
from understudy.streams.errors import VERDICT, CommandError
from understudy.streams.gc_control import garbage_collection_of_a_worker
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles
from understudy.streams.replay.invalid_lines import invalid_json, invalid_text
from understudy.streams.replay.order_report import order_json, order_text
from understudy.streams.replay.recordings import total_bytes
from understudy.streams.replay.replay_events import ReplayResult, ReplaySink, replay
from understudy.streams.replay.report import Document, ReportSums, report_of_sums
from understudy.streams.replay.time_order import Recording
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.progress import file_progress

if TYPE_CHECKING:  # imported where they are needed: most recordings are replayed without them
    from understudy.schemas.decisions import Decision
    from understudy.streams.dashboard.report_page import ReportPage
    from understudy.streams.replay.answer_recording import AnyRecording
    from understudy.streams.replay.policy_trial import FailOn, PolicyTrial
    from understudy.streams.replay.report_pairs import ReportPairs

RECORDED: Final = "recorded"
"""Rollout of recorded answers for which nobody names one."""


@click.command("replay")
@files_argument
@clickhouse_option
@all_slices_option
@output_options(csv_help="Print the slices as CSV.")
@json_schemas_option
@recorded_answers_options(None)
@click.option(
    "--rollout-id",
    metavar="ID",
    help="With --from: the rollout that the events belong to; the policy's without it.",
)
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
@html_option()
@pairs_option()
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    url: str | None,
    all_slices: bool,
    output: OutputFormat,
    json_schemas: str | None,
    answers: AnswerFiles,
    rollout_id: str | None,
    policy_file: Path | None,
    fail_on: FailOn | None,
    html_file: Path | None,
    most_pairs: int,
) -> None:
    """Run recorded events through the analysis, without Kafka, and print a report.

    FILE has one JSON event a line, plain or compressed with gzip or zstd, whatever its name; it may
    be a pipe, or - for stdin. Events are taken in the order of their request times; stderr says
    what a worker would count as late. With --clickhouse the results are stored as a worker would
    store them.

    Of events that cannot be used, stderr names the first of each kind: file, line and field. When
    no event can be used, the exit code is 1.

    With --from, FILE... are STABLE and CANDIDATE: recorded answers as `understudy compare` reads
    them. Replay judges them as a worker would judge live requests; compare says more of few cases.

    With --policy and --fail-on, the exit code is 4 when the verdict is what --fail-on names, or
    worse, so that a build can depend on it.

    \b
    Examples:
      understudy replay events.ndjson.gz
      understudy replay --json stable.ndjson candidate.ndjson | jq .pairs
      understudy replay events.ndjson.zst --clickhouse chdb://results
      zcat events.gz | grep search-v2 | understudy replay -
      understudy replay smoke.ndjson --policy policy.yaml --fail-on rollback --html report.html
      understudy replay --from auto stable.jsonl candidate.jsonl --clickhouse chdb://results
    """
    if fail_on is not None and policy_file is None:
        raise click.UsageError("--fail-on needs a --policy to judge by")
    check_is_from(answers)
    trial = None if policy_file is None else _trial(policy_file)
    policy = PairingPolicy.from_settings(with_json_schemas(settings, json_schemas))
    started = time.monotonic()
    with (
        file_progress(total_bytes(files), "replaying") as progress,
        nullcontext() if url is None else _clickhouse(url, policy.window_ms) as sink,
        garbage_collection_of_a_worker(),
    ):
        now_ms = int(time.time() * 1000)
        recording: AnyRecording
        if answers.format is None:
            recording = Recording(files, join_timeout_ms=policy.join_timeout_ms, progress=progress)
        else:
            named = rollout_id or (RECORDED if trial is None else trial.rollout.rollout_id)
            recording, policy = read_answers(with_sides(answers, files), named, policy)
        sums, pairs = ReportSums(), None
        if html_file is not None and most_pairs:
            pairs, policy = pairs_of_report(policy)
        take_captured = None if pairs is None else pairs.take
        result = replay(recording, policy, now_ms, sink, trial, sums, take_captured)
        if pairs is not None:
            pairs.not_redacted = result.tally.capture_failures
    decision = None if trial is None or _is_unusable(result) else trial.outcome()
    took_s = time.monotonic() - started
    document = report_of_sums(sums, result.tally.read)
    if html_file is not None:
        policy_text = "" if trial is None else policy_of_report(trial.rollout, policy_file)
        names = [one.name for one in files]
        write_report(_page(sums, names, decision, policy_text, pairs, most_pairs), html_file)
    if output == "json":
        say_json(_json_document(document, result, decision, recording))
    elif output == "csv":
        _say_csv(document)
    else:
        _print(result, document, decision, all_slices=all_slices, took_s=took_s)
    if output != "json":
        _explain(result, recording, policy.join_timeout_s)
    if _is_unusable(result):
        raise CommandError("none of the events could be used")
    if decision is not None and _fails(decision, fail_on):
        raise click.exceptions.Exit(VERDICT)


def _page(
    sums: ReportSums,
    files: list[str],
    decision: Decision | None,
    policy: str,
    pairs: ReportPairs | None,
    most_pairs: int,
) -> ReportPage:
    from understudy.streams.replay.html_page import replay_page

    return replay_page(sums, files, decision, policy, pairs, most_pairs)


def _trial(policy_file: Path) -> PolicyTrial:
    from understudy.streams.replay.policy_trial import PolicyTrial, read_policy_file

    return PolicyTrial(read_policy_file(policy_file))


def _fails(decision: Decision, fail_on: FailOn | None) -> bool:
    from understudy.streams.replay.policy_trial import fails

    return fails(decision, fail_on)


def _clickhouse(url: str, window_ms: int) -> AbstractContextManager[ReplaySink]:
    from understudy.streams.replay.into_clickhouse import into_clickhouse

    quiet_logs()
    return into_clickhouse(url, window_ms)


def _is_unusable(result: ReplayResult) -> bool:
    """Whether there were events, and all of them invalid."""
    return 0 < result.tally.read == result.invalid.total


def _json_document(
    document: Document,
    result: ReplayResult,
    decision: Decision | None,
    recording: AnyRecording,
) -> Document:
    """The report, with what is said on stderr otherwise."""
    whole = {
        **document,
        "invalid": invalid_json(result.invalid, recording.place),
        "order": order_json(recording.disorder),
    }
    if decision is None:
        return whole
    from understudy.streams.replay.policy_trial import decision_json

    return {**whole, "decision": decision_json(decision)}


def _say_csv(document: Document) -> None:
    from understudy.streams.terminal.report_table import slice_documents

    say_documents_as_csv(slice_documents(document))


def _print(
    result: ReplayResult,
    document: Document,
    decision: Decision | None,
    *,
    all_slices: bool,
    took_s: float,
) -> None:
    from understudy.streams.terminal.report_table import report_tables

    show(report_tables(document, all_slices=all_slices))
    if decision is not None:
        from understudy.streams.terminal.evidence_table import show_decision

        show(show_decision(decision, all_slices=all_slices))
    rate = result.tally.read / took_s if took_s else 0.0
    say(f"{took_s:.1f} s, {rate:,.0f} events/s", err=True)


def _explain(result: ReplayResult, recording: AnyRecording, join_timeout_s: float) -> None:
    """Say on stderr which lines are invalid, and what a worker would make of their order."""
    for line in invalid_text(result.invalid, recording.place):
        say(line, err=True)
    for line in order_text(recording.disorder, join_timeout_s):
        say(line, err=True)
