"""What to tell a person about how two recorded runs were read. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from understudy.streams.replay.answer_files import AnswerFiles, RecordedRuns, Run

MAX_PROBLEMS: Final = 20
"""Kinds of problems that are named: about a screenful."""


def notes(runs: RecordedRuns, files: AnswerFiles, *, is_json_inferred: bool) -> Iterator[str]:
    """What became of records that are no simple case, a sentence each."""
    for side, missing in (("candidate", runs.only_stable), ("stable", runs.only_candidate)):
        if missing:
            became = "left out" if files.only_common else f"failures of {side}"
            yield f"{side}'s files lack {_count(missing, 'request')}: {became}"
    if runs.unanswered:
        yield f"neither side's files answer {_count(runs.unanswered, 'request')} that were asked"
    for side, run in (("stable", runs.stable), ("candidate", runs.candidate)):
        yield from _folded(side, run)
    if runs.superseded:
        yield f"{_count(runs.superseded, 'attempt')} of retried calls: the last of each counts"
    if runs.skipped:
        listed = ", ".join(_count(count, what) for what, count in runs.skipped.items())
        yield f"left out, since they are no answers of a model: {listed}"
    if runs.has_hashed_ids:
        yield "nothing names the requests, so they are paired by what was asked"
    if is_json_inferred:
        yield (
            "stable's answers are JSON documents, so JSON is taken for expected "
            "(--expects text says that it is not)"
        )
    if runs.problems:
        yield f"{_count(len(runs.problems), 'record')} could not be read, or not whole"


def _folded(side: str, run: Run) -> Iterator[str]:
    answers = run.answers
    if answers.duplicates:
        yield f"{_count(answers.duplicates, 'record')} of {side} say the same again"
    if answers.superseded:
        yield f"{_count(answers.superseded, 'attempt')} of {side} under ids with an answer"
    if answers.several:
        first, last = answers.several[0]
        yield (
            f"{_count(len(answers.several), 'id')} of {side} with several answers; the last "
            f"counts: {first.answer.id} stands at {first.place} and {last.place}"
        )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def problems_text(runs: RecordedRuns) -> Iterator[str]:
    """The first record of each kind that could not be read, and how many there are."""
    counts = Counter(one.detail for one in runs.problems)
    first = {one.detail: one.place for one in reversed(runs.problems)}
    for detail, count in counts.most_common(MAX_PROBLEMS):
        more = f" ({count:,} like this)" if count > 1 else ""
        yield f"{first[detail]}: {detail}{more}"
    if len(counts) > MAX_PROBLEMS:
        yield f"{len(counts) - MAX_PROBLEMS:,} more kinds of problems"
