"""Two runs of models as files hold them: read by content, brought together to cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from understudy.analyzers.compare.json_output import JsonSchemaValidator, compile_json_schema
from understudy.analyzers.compare.language_tags import UNDETERMINED, normalize_tag
from understudy.schemas.adapters.cases import (
    Case,
    SideAnswers,
    cases_of,
    one_a_request,
    with_requests,
)
from understudy.schemas.adapters.recorded_answer import RecordedAnswer
from understudy.schemas.adapters.recording import (
    FORMATS,
    Format,
    FoundAnswer,
    FoundRequest,
    Problem,
    ReadingOptions,
    Recording,
)
from understudy.schemas.events import Expects, Request
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.recordings import RecordingError, file_name, read_content

_MOST_NAMES: Final = 5
"""Ids, columns or models that a message lists."""


class NoCases(Exception):
    """Files that cannot be compared; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class AnswerFiles:
    """Which files hold the two runs, and how they are read."""

    stable: tuple[Path, ...]
    candidate: tuple[Path, ...] = ()
    """Empty where stable's files hold both sides."""
    requests: tuple[Path, ...] = ()
    """Files that hold what was asked."""
    options: ReadingOptions = field(default_factory=ReadingOptions)
    format: Format | Literal["auto"] | None = None
    """What the files are; `auto` is what their content says, None for files of events."""
    sources: tuple[str, str] | None = None
    """Providers or models whose answers are stable's and candidate's; None: all of its files."""
    only_common: bool = False
    """Leave out what one side lacks, instead of taking it for that side's failure."""
    language: str | None = None
    """Column of a table that holds the language, or the language of all requests."""
    expects: Expects | None = None
    """What all callers parse the answers as."""


@dataclass(slots=True)
class Run:
    """What was read of one side."""

    files: list[str]
    format: Format
    answers: SideAnswers
    models: list[str]
    """Names of models, the most frequent first."""


@dataclass(slots=True)
class RecordedRuns:
    """Two runs, brought together."""

    stable: Run
    candidate: Run
    cases: list[Case]
    only_stable: int
    """Requests that the candidate's files lack, whether they are among the cases or not."""
    only_candidate: int
    unanswered: int
    """Requests that were asked and that neither side's files answer."""
    problems: list[Problem]
    superseded: int
    """Attempts that others followed, by what their format tells."""
    skipped: dict[str, int]
    """Records that are no answers, by what they are."""
    json_schemas: dict[str, JsonSchemaValidator]
    """Of schemas that requests carry, by `schema_id`."""
    has_hashed_ids: bool


def read_runs(files: AnswerFiles) -> RecordedRuns:
    """Read all files and bring their answers together.

    Raises `RecordingError` for a file that cannot be read, `NoCases` where nothing can be compared.
    """
    read = {path: _read(path, files) for path in (*files.stable, *files.candidate, *files.requests)}
    sides = (files.stable, files.candidate or files.stable)
    names = files.options.outputs or files.sources
    language = _language_of_all(files, list(read.values()))
    _check_sources(files, [read[path] for path in files.stable])
    asked = [one for recording in read.values() for one in recording.requests]
    stable, candidate = (
        _run(paths, read, asked, None if names is None else names[place], language, files.expects)
        for place, paths in enumerate(sides)
    )
    cases = cases_of(stable.answers, candidate.answers)
    _check_cases(cases, stable, candidate, list(read.values()))
    answered = {case.id for case in cases}
    problems = [problem for recording in read.values() for problem in recording.problems]
    skipped: dict[str, int] = {}
    for recording in read.values():
        for what, count in recording.skipped.items():
            skipped[what] = skipped.get(what, 0) + count
    return RecordedRuns(
        stable=stable,
        candidate=candidate,
        cases=[case for case in cases if case.is_common] if files.only_common else cases,
        only_stable=sum(case.candidate is None for case in cases),
        only_candidate=sum(case.stable is None for case in cases),
        unanswered=len({one.id for one in asked} - answered),
        problems=problems,
        superseded=sum(recording.superseded for recording in read.values()),
        skipped=skipped,
        json_schemas=_compiled(list(read.values()), problems),
        has_hashed_ids=any(recording.has_hashed_ids for recording in read.values()),
    )


def _compiled(
    recordings: Sequence[Recording], problems: list[Problem]
) -> dict[str, JsonSchemaValidator]:
    """Validators of the schemas that requests carry; one that cannot be used is a problem."""
    validators = {}
    for recording in recordings:
        for name, schema in recording.json_schemas.items():
            try:
                validators[name] = compile_json_schema(schema)
            except ValueError as error:
                places = [o.place for o in recording.requests if o.request.schema_id == name]
                problems.append(Problem(places[0], f"its JSON Schema cannot be used: {error}"))
    return validators


def with_schemas(policy: PairingPolicy, runs: RecordedRuns) -> PairingPolicy:
    """The policy with the schemas that requests carry beside those of the settings."""
    known = {**runs.json_schemas, **policy.compare.json_schemas}
    return replace(policy, compare=replace(policy.compare, json_schemas=known))


def _read(path: Path, files: AnswerFiles) -> Recording:
    """One file, its name in all places."""
    # Imported here, since most commands that may read answers read events, and each reader costs.
    from understudy.schemas.adapters.detect import UnknownFormat, read_recording

    name = file_name(path)
    wanted = None if files.format == "auto" else files.format
    try:
        recording = read_recording(read_content(path), files.options, wanted)
    except UnknownFormat as error:
        raise RecordingError(f"{name} {error}") from None
    recording.answers = [_in_file(one, name) for one in recording.answers]
    recording.requests = [_in_file(one, name) for one in recording.requests]
    recording.problems = [_in_file(one, name) for one in recording.problems]
    return recording


def _in_file(found: Any, name: str) -> Any:
    return found._replace(place=found.place._replace(file=name))


def _run(
    paths: Sequence[Path],
    read: dict[Path, Recording],
    asked: Sequence[FoundRequest],
    name: str | None,
    language: str | None,
    expects: Expects | None,
) -> Run:
    """The answers of one side, by its name where files hold several."""
    found = [one for path in paths for one in read[path].answers]
    if name is not None:
        found = _of_source(found, name)
    counted: dict[str, int] = {}
    for one in found:
        if one.answer.response is not None and one.answer.response.model:
            model = one.answer.response.model
            counted[model] = counted.get(model, 0) + 1
    answers = one_a_request(_fixed(one, language, expects) for one in with_requests(found, asked))
    ranked = sorted(counted, key=lambda model: -counted[model]) or ([name] if name else [])
    return Run([file_name(path) for path in paths], read[paths[0]].format, answers, ranked)


def _of_source(found: Sequence[FoundAnswer], name: str) -> list[FoundAnswer]:
    own = [one for one in found if name in one.sources]
    if not own:
        there = ", ".join(_sources(found)[:_MOST_NAMES]) or "none by name"
        raise NoCases(f"no answer is of {name}; there are answers of {there}")
    return own


def _sources(found: Iterable[FoundAnswer]) -> list[str]:
    return list(dict.fromkeys(one.sources[0] for one in found if one.sources))


def _language_of_all(files: AnswerFiles, recordings: Sequence[Recording]) -> str | None:
    """The language of all requests, where `--language` names one, and no column of a table.

    Raises `NoCases` where it names neither.
    """
    given = files.language
    tables = [recording for recording in recordings if recording.format == "table"]
    if given is None or any(one.answer.language for table in tables for one in table.answers):
        return None
    language = normalize_tag(given)
    if language == UNDETERMINED:
        raise NoCases(f"--language {given} names no column that holds languages, and no language")
    return language


def _fixed(found: FoundAnswer, language: str | None, expects: Expects | None) -> FoundAnswer:
    """An answer with what the user says of all of them."""
    answer: RecordedAnswer = found.answer
    if language is not None:
        answer = msgspec.structs.replace(answer, language=language)
    if expects is not None:
        request = msgspec.structs.replace(answer.request or Request(), expects=expects)
        answer = msgspec.structs.replace(answer, request=request)
    return found._replace(answer=answer)


def _check_sources(files: AnswerFiles, recordings: Sequence[Recording]) -> None:
    """Raise `NoCases` where nobody says which answers of a file are whose."""
    if files.sources is not None or files.options.outputs is not None:
        return
    sources = _sources(one for recording in recordings for one in recording.answers)
    is_mixed = any(recording.format == "promptfoo" for recording in recordings) and len(sources) > 1
    if files.candidate and not is_mixed:
        return
    names = ", ".join(map(repr, sources[:_MOST_NAMES]))
    if len(sources) < 2:
        raise NoCases(
            f"one file holds the answers of {names or 'one side'} alone; give a file for each side"
            ", or name the two columns of a table with --outputs STABLE CANDIDATE"
        )
    raise NoCases(
        f"{file_name(files.stable[0])} holds answers of {names}; say whose are stable's and "
        f"candidate's: --providers {' '.join(map(_quoted, sources[:2]))}"
    )


def _quoted(name: str) -> str:
    return f"'{name}'" if set(name) & set(" \"'$&;|()<>*?") else name


def _check_cases(
    cases: Sequence[Case], stable: Run, candidate: Run, recordings: Sequence[Recording]
) -> None:
    """Raise `NoCases` where no request has two answers."""
    for run in (stable, candidate):
        if not run.answers.by_id:
            problems = [one for recording in recordings for one in recording.problems]
            first = f"; {problems[0].place} {problems[0].detail}" if problems else ""
            raise NoCases(f"{', '.join(run.files)}: no answers of a model{first}")
    if not any(case.is_common for case in cases):
        ids = [", ".join(list(run.answers.by_id)[:_MOST_NAMES]) for run in (stable, candidate)]
        raise NoCases(
            f"no request is in both runs: stable has {ids[0]}; candidate has {ids[1]}. "
            "Name with --id what both share"
        )


def format_name(run: Run) -> str:
    """What a run's files are, in words."""
    return FORMATS[run.format]
