"""The options by which files of answers are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from understudy.schemas.adapters.recording import ReadingOptions
from understudy.streams.commands.recorded_answers import (
    check_is_from,
    recorded_answers_options,
    with_sides,
)
from understudy.streams.replay.answer_files import AnswerFiles


def gathered(*arguments: str) -> AnswerFiles:
    taken: list[AnswerFiles] = []

    @click.command()
    @recorded_answers_options(None)
    def command(answers: AnswerFiles, **_: Any) -> None:
        taken.append(answers)

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception:
        raise result.exception
    return taken[0]


def test_names_of_columns_are_gathered() -> None:
    files = gathered("--id", "key", "--conversation", "chat", "--column", "duration_ms=took")
    assert files.options == ReadingOptions(
        {"id": "key", "conversation_id": "chat", "duration_ms": "took"}
    )
    assert gathered() == AnswerFiles(())


def test_a_language_is_a_column_or_a_tag() -> None:
    files = gathered("--language", "de")
    assert (files.language, files.options.columns) == ("de", {"language": "de"})


def test_both_sides_of_one_file() -> None:
    assert gathered("--outputs", "a", "b").options.outputs == ("a", "b")
    assert gathered("--providers", "a", "b").sources == ("a", "b")
    assert gathered("--models", "a", "b").sources == ("a", "b")


@pytest.mark.parametrize("given", ["took", "duration_ms=", "took=duration_ms"])
def test_a_column_that_is_no_field_is_refused(given: str) -> None:
    with pytest.raises(click.UsageError, match="FIELD=NAME"):
        gathered("--column", given)


def test_without_from_there_is_no_format_and_no_other_option() -> None:
    assert gathered("--from", "otlp").format == "otlp"
    check_is_from(gathered())
    check_is_from(gathered("--from", "auto", "--id", "key"))
    with pytest.raises(click.UsageError, match="--from auto"):
        check_is_from(gathered("--only-common"))


def test_arguments_come_before_further_files() -> None:
    a, b, more = Path("a"), Path("b"), Path("more")
    files = AnswerFiles(stable=(more,), candidate=(more,))
    both = with_sides(files, (a, b))
    assert (both.stable, both.candidate) == ((a, more), (b, more))
    assert with_sides(AnswerFiles(()), (a,)).candidate == ()
    with pytest.raises(click.UsageError, match="--stable"):
        with_sides(files, (a, b, a))
