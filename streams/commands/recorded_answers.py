"""The options by which commands read files of recorded answers."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from understudy.schemas.adapters.recording import FORMATS, ReadingOptions
from understudy.schemas.rollouts import nearest
from understudy.streams.commands.options import RECORDING
from understudy.streams.errors import CommandError
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import (
    AnswerFiles,
    NoCases,
    RecordedRuns,
    read_runs,
    with_schemas,
)
from understudy.streams.terminal.output import say

if TYPE_CHECKING:
    from understudy.streams.replay.answer_recording import AnswerRecording

_NAMED: Final = {
    "id": ("id", "What names the request on both sides: a column, field or attribute."),
    "output": ("output", "Column with the answer."),
    "prompt": ("prompt", "Column with the prompt."),
    "workflow": ("workflow", "Column with the workflow."),
    "conversation": ("conversation_id", "Column with the conversation."),
}
"""Option to the field that its column holds, and its help."""


def recorded_answers_options(
    default_format: Literal["auto"] | None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options, gathered to the argument `answers`: an `AnswerFiles` that lacks the arguments.

    Its format is `default_format` without `--from`; None stands for files of events.
    """

    def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
        options = [_from_option(default_format), *_options()]
        command: Callable[..., Any] = functools.wraps(function)(_gathered(function))
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def _gathered(function: Callable[..., Any]) -> Callable[..., Any]:
    def gathered(*args: Any, **given: Any) -> Any:
        columns = {field: given.pop(f"name_{option}") for option, (field, _) in _NAMED.items()}
        columns["language"] = given["language"]
        columns.update(_columns(given.pop("columns")))
        files = AnswerFiles(
            stable=given.pop("more_stable"),
            candidate=given.pop("more_candidate"),
            requests=given.pop("requests"),
            options=ReadingOptions(
                {field: name for field, name in columns.items() if name}, given.pop("outputs")
            ),
            sources=given.pop("sources"),
            only_common=given.pop("only_common"),
            language=given.pop("language"),
            expects=given.pop("expects"),
            format=given.pop("from_format"),
        )
        return function(*args, answers=files, **given)

    return gathered


def _from_option(default: str | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    text = "What the files are; auto: what their content says."
    return click.option(
        "--from", "from_format", type=click.Choice(["auto", *FORMATS]), default=default,
        show_default=default is not None,
        help=text if default else f"Read recorded answers instead of events. {text}",
    )  # fmt: skip


def check_is_from(answers: AnswerFiles) -> None:
    """Raise `UsageError` for options of recorded answers where files of events are read."""
    if answers.format is None and answers != AnswerFiles(()):
        raise click.UsageError("options about recorded answers need --from, such as --from auto")


def _columns(given: tuple[str, ...]) -> dict[str, str]:
    """The columns of `--column FIELD=NAME`. Raises `UsageError`."""
    if not given:
        return {}
    from understudy.schemas.adapters.tables import USUAL_NAMES

    columns = {}
    for one in given:
        field, equals, name = one.partition("=")
        if not equals or not name or field not in USUAL_NAMES:
            hint = nearest(field, USUAL_NAMES)
            raise click.UsageError(
                f"--column {one}: write FIELD=NAME, with a field of {', '.join(USUAL_NAMES)}{hint}"
            )
        columns[field] = name
    return columns


def _options() -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    named = [
        click.option(f"--{option}", f"name_{option}", metavar="NAME", help=text)
        for option, (_, text) in _NAMED.items()
    ]
    return [
        *named,
        click.option(
            "--language",
            metavar="NAME|TAG",
            help="Column with the language, or the language of all requests (de, zh-Hans).",
        ),
        click.option(
            "--column", "columns", multiple=True, metavar="FIELD=NAME",
            help="Column of any other field, such as duration_ms=took. May be repeated.",
        ),
        click.option(
            "--outputs", nargs=2, metavar="STABLE CANDIDATE",
            help="Two columns of one table that hold the answers of both sides.",
        ),
        click.option(
            "--providers", "--models", "sources", nargs=2, metavar="STABLE CANDIDATE",
            help="Whose answers are stable's and candidate's, where a file holds several models.",
        ),
        click.option(
            "--stable", "more_stable", multiple=True, type=RECORDING, metavar="FILE",
            help="A further file of stable, such as a batch's error file. May be repeated.",
        ),
        click.option(
            "--candidate", "more_candidate", multiple=True, type=RECORDING, metavar="FILE",
            help="A further file of the candidate. May be repeated.",
        ),
        click.option(
            "--requests", multiple=True, type=RECORDING, metavar="FILE",
            help="What was asked, such as a batch's input file. May be repeated.",
        ),
        click.option(
            "--expects", type=click.Choice(["text", "json"]),
            help="What callers parse all answers as.",
        ),
        click.option(
            "--only-common", is_flag=True,
            help="Leave out requests that one side lacks; they count as its failures otherwise.",
        ),
    ]  # fmt: skip


def with_sides(files: AnswerFiles, paths: tuple[Path, ...]) -> AnswerFiles:
    """The files of both sides: one that holds both, or stable's and candidate's.

    Raises `UsageError` for more of them.
    """
    if len(paths) > 2:
        raise click.UsageError(
            "give a file for stable and one for the candidate; further ones go by --stable, "
            "--candidate and --requests"
        )
    return replace(
        files, stable=(*paths[:1], *files.stable), candidate=(*paths[1:], *files.candidate)
    )


def read_or_fail(files: AnswerFiles) -> RecordedRuns:
    """Read both runs. Raises `CommandError` where there is nothing to compare."""
    try:
        return read_runs(files)
    except NoCases as error:
        raise CommandError(str(error)) from None


def read_answers(
    files: AnswerFiles, rollout_id: str, policy: PairingPolicy
) -> tuple[AnswerRecording, PairingPolicy]:
    """Both runs as a recording of events, and the policy that knows the schemas in them.

    Stderr says what became of records that are no simple case. Raises `CommandError`.
    """
    from understudy.streams.replay.answer_recording import AnswerRecording
    from understudy.streams.replay.runs_report import notes, problems_text

    runs = read_or_fail(files)
    recording = AnswerRecording(runs, files, rollout_id, dt.datetime.now(dt.UTC))
    for line in problems_text(runs):
        say(line, err=True)
    for line in notes(runs, files, is_json_inferred=recording.is_json_inferred):
        say(line, err=True)
    return recording, with_schemas(policy, runs)
