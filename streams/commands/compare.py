"""`understudy compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from understudy.analyzers.windows.rows import over_windows
from understudy.schemas.adapters.cases import Case
from understudy.schemas.fixed_sample import encode_fixed_sample
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
    RECORDING,
    OutputFormat,
    all_slices_option,
    json_schemas_option,
    output_options,
)
from understudy.streams.commands.recorded_answers import (
    read_or_fail,
    recorded_answers_options,
    with_sides,
)
from understudy.streams.errors import VERDICT, CommandError
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import (
    AnswerFiles,
    RecordedRuns,
    Run,
    format_name,
)
from understudy.streams.replay.case_rows import case_documents
from understudy.streams.replay.file_comparison import (
    FileComparison,
    compare_runs,
    default_policy,
)
from understudy.streams.replay.policy_trial import FailOn, read_policy_file
from understudy.streams.replay.report import ReportSums, report
from understudy.streams.replay.runs_report import notes, problems_text
from understudy.streams.replay.unjudged import unjudged
from understudy.streams.settings import Settings
from understudy.streams.terminal.comparison_page import Page, RunLine, comparison_page
from understudy.streams.terminal.output import csv_text, say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.report_table import slice_documents

if TYPE_CHECKING:  # imported where a report is asked for
    from understudy.streams.dashboard.report_page import ReportPage
    from understudy.streams.replay.report_pairs import ReportPairs


@click.command("compare")
@click.argument("paths", nargs=-1, required=True, metavar="STABLE [CANDIDATE]", type=RECORDING)
@click.option(
    "--policy",
    "policy_file",
    metavar="POLICY",
    type=EXISTING_FILE,
    help="Judge by this policy; the default guardrails without one.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["rollback", "hold"]),
    help="Exit with 4 on this verdict; on a rollback in either case.",
)
@click.option(
    "--cases",
    "cases_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write what was measured on each case to this file, as CSV.",
)
@recorded_answers_options("auto")
@html_option()
@pairs_option()
@all_slices_option
@output_options(csv_help="Print the slices as CSV.")
@json_schemas_option
@with_settings
def command(
    settings: Settings,
    paths: tuple[Path, ...],
    policy_file: Path | None,
    fail_on: FailOn | None,
    cases_file: Path | None,
    answers: AnswerFiles,
    html_file: Path | None,
    most_pairs: int,
    all_slices: bool,
    output: OutputFormat,
    json_schemas: str | None,
) -> None:
    """Compare the answers of two models to the same requests, and judge the candidate.

    STABLE and CANDIDATE hold what the two models answered: batch files of OpenAI or Anthropic,
    promptfoo results, exports of Langfuse or LiteLLM, OpenTelemetry spans, or a table (CSV, TSV or
    JSON lines) with an id and an answer in each row. They are read by content, plain or compressed.
    One file is enough where it holds both: name the columns with --outputs or the models with
    --providers.

    A request that one file lacks counts as that side's failure. What the files do not tell is not
    judged, and the report says so.

    \b
    Examples:
      understudy compare stable.csv candidate.csv
      understudy compare stable.csv candidate.csv --cases cases.csv --html report.html
      understudy compare answers.csv --outputs gpt-old gpt-new
      understudy compare old.jsonl new.jsonl --candidate new_errors.jsonl --requests input.jsonl
      understudy compare results.json --providers openai:gpt-4.1 openai:gpt-5
      understudy compare spans-old.json spans-new.json --id app.case --fail-on rollback
    """
    quiet_logs()
    runs = read_or_fail(with_sides(answers, paths))
    rollout = (
        default_policy(*(", ".join(run.models) for run in (runs.stable, runs.candidate)))
        if policy_file is None
        else read_policy_file(policy_file)
    )
    policy = PairingPolicy.from_settings(with_json_schemas(settings, json_schemas))
    pairs = None
    if html_file is not None and most_pairs:
        pairs, policy = pairs_of_report(policy)
    compared = compare_runs(
        runs, rollout, policy, infer_json=answers.expects is None,
        take_captured=None if pairs is None else pairs.take,
    )  # fmt: skip
    if pairs is not None:
        pairs.not_redacted = compared.result.tally.capture_failures
    if cases_file is not None:
        _write_cases(compared, cases_file)
    page = Page(
        runs=(_line("stable", runs.stable), _line("candidate", runs.candidate)),
        notes=list(notes(runs, answers, is_json_inferred=compared.is_json_inferred)),
        report=report(over_windows(compared.result.rows), compared.result.tally.read),
        verdict=compared.verdict,
        examples=compared.examples,
        unjudged=list(unjudged(compared.cases, rollout, compared.verdict)),
    )
    if html_file is not None:
        policy_text = policy_of_report(rollout, policy_file)
        write_report(_html_page(page, compared, policy_text, pairs, most_pairs), html_file)
    if output == "json":
        say_json(_document(page, runs))
    elif output == "csv":
        say_documents_as_csv(slice_documents(page.report))
    else:
        for line in problems_text(runs):
            say(line, err=True)
        show(comparison_page(page, all_slices=all_slices))
    if fail_on is not None and compared.verdict.verdict in ("rollback", fail_on):
        raise click.exceptions.Exit(VERDICT)


def _write_cases(compared: FileComparison, file: Path) -> None:
    """Write a row for each case. Raises `CommandError` where the file cannot be written."""
    try:
        file.write_text(csv_text(case_documents(compared.cases, compared.comparisons)), "utf-8")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None


def _html_page(
    page: Page, compared: FileComparison, policy: str, pairs: ReportPairs | None, most_pairs: int
) -> ReportPage:
    from understudy.streams.replay.html_page import comparison_page as html_page

    sums = ReportSums()
    sums.add(over_windows(compared.result.rows))
    read = [(one.side.capitalize(), f"{one.model or one.files}: {one.answers:,} answers in "
             f"{one.files} ({one.format})") for one in page.runs]  # fmt: skip
    title = " and ".join(one.model or Path(one.files).name for one in page.runs)
    return html_page(
        sums, page.verdict, policy, title=title, read=read, notes=page.notes,
        examples=page.examples, unjudged=page.unjudged, pairs=pairs, most_pairs=most_pairs,
    )  # fmt: skip


def _line(side: str, run: Run) -> RunLine:
    return RunLine(
        side, ", ".join(run.files), format_name(run), ", ".join(run.models), len(run.answers.by_id)
    )


def _document(page: Page, runs: RecordedRuns) -> dict[str, Any]:
    return {
        "stable": page.runs[0]._asdict(),
        "candidate": page.runs[1]._asdict(),
        "notes": page.notes,
        "problems": [{**one.place._asdict(), "detail": one.detail} for one in runs.problems],
        "report": page.report,
        "verdict": orjson.Fragment(encode_fixed_sample(page.verdict)),
        "examples": {name: [_example(case) for case in c] for name, c in page.examples.items()},
        "unjudged": page.unjudged,
    }


def _example(case: Case) -> dict[str, Any]:
    sides = (("stable", case.stable), ("candidate", case.candidate))
    places = {side: None if one is None else one.place._asdict() for side, one in sides}
    return {"id": case.id, **places}
