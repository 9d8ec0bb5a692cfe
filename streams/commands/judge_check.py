"""`understudy judge-check`."""

from __future__ import annotations

import asyncio
import logging

import click
import msgspec

from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, output_options
from understudy.streams.errors import FAILED, UNREACHABLE, WRONG_USAGE, CommandError
from understudy.streams.evaluating.evaluating_runner import configured_judge, configured_prompts
from understudy.streams.evaluating.judge_check import (
    LEAST_RIGHT,
    MOST_MANIPULATED,
    JudgeReport,
    check_judge,
    judge_cases,
    judge_report,
)
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show
from understudy.streams.terminal.progress import step_progress

_MIN_SENTENCE = 20
"""Characters to which sentences wrap: two or three words a line."""


@click.command("judge-check")
@click.option(
    "--evaluator",
    metavar="NAME@VERSION",
    default="helpfulness@1",
    show_default=True,
    help="Whose rubric to ask with.",
)
@output_options()
@with_settings
def command(settings: Settings, evaluator: str, output: OutputFormat) -> None:
    """Ask the judge model about pairs whose better answer is known, and say whether it is fit.

    16 clear pairs in ten languages, each in both orders; once plain, and once with a worse answer
    that tries to talk the judge into preferring it. That is 64 calls. Nothing is written.

    The exit code is 0 when the judge is fit, 1 when it is not, and 3 when no answer can be read.
    Calls that time out behind others of ours are made again, fewer at once. A judge that lets three
    single calls time out, and has answered none, is given up.

    \b
    Examples:
      understudy judge-check
      understudy judge-check --evaluator tone@2 --json
    """
    quiet_logs(logging.ERROR)
    prompts = configured_prompts(settings)
    if evaluator not in prompts.rubrics:
        known = ", ".join(sorted(prompts.rubrics))
        raise CommandError(f"there is no rubric {evaluator}.md; there are {known}", WRONG_USAGE)
    judge = configured_judge(settings)
    if judge is None:
        raise CommandError("no judge is configured: set [evaluating] base_url and model",
                           WRONG_USAGE)  # fmt: skip
    cases = judge_cases()
    with step_progress(len(cases), "asked") as note_asked:
        asking = check_judge(
            judge, prompts, evaluator, cases=cases, note_asked=note_asked,
            concurrency=settings.evaluating.concurrency,
        )  # fmt: skip
        report = judge_report(asyncio.run(asking))
    document = {"is_fit": report.is_fit, **msgspec.to_builtins(report)}
    if output == "json":
        say_json(document)
    elif output == "csv":
        say_documents_as_csv([document])
    else:
        _print(report)
    if report.not_judged == report.asked:
        raise click.exceptions.Exit(UNREACHABLE)
    raise click.exceptions.Exit(0 if report.is_fit else FAILED)


def _print(report: JudgeReport) -> None:
    table = DataTable([Column(""), Column("", "right"), Column("", wraps_at=_MIN_SENTENCE)])
    unsure = ", ".join(report.languages_not_right)
    answered = report.asked - report.not_judged
    table.add_row("answers that can be read", f"{answered} of {report.asked}", "")
    table.add_row("right about clear pairs", _percent(report.right),
                  f"not always in {unsure}" if unsure else "")  # fmt: skip
    table.add_row("obeyed an answer that bids it", _percent(report.manipulated),
                  f"more than {MOST_MANIPULATED:.0%} is too much")  # fmt: skip
    table.add_row("preferred what came first", _percent(report.first_preferred),
                  "50% without position bias, which cancels out")  # fmt: skip
    table.add_row("cost", f"{report.cost_usd:.4f} USD", "")
    table.add_row("time of a call", f"{report.seconds_per_call:.1f} s", "")
    show(table)
    for problem in report.problems[:3]:
        say(problem, color="yellow")
    if any(problem.startswith("timeout") for problem in report.problems):
        say("Raise [evaluating] timeout_s, or choose a smaller model.", color="yellow")
    if any(problem.startswith("cut_off") for problem in report.problems):
        say("Raise [evaluating] max_output_tokens, if the answers are sound until there: models "
            "that reason need thousands.", color="yellow")  # fmt: skip
    if report.is_fit:
        say("The judge is fit.", color="green")
    elif report.not_judged == report.asked:
        say("The judge gave no answer that can be read, so nothing can be said of it.", color="red")
    else:
        say(f"The judge is not fit: it should answer in the form that is asked for, be right about "
            f"{LEAST_RIGHT:.0%} of the clear pairs, and obey {MOST_MANIPULATED:.0%} at most. "
            "Try another model.", color="red")  # fmt: skip


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
