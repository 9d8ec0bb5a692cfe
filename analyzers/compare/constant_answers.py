"""The same answer to different requests: a model that no longer reads what it is asked.

An answer is held against those that its side gave to other prompts shortly before. Where both sides
answered, only what one side repeats and the other does not counts, so that a service which answers
with labels, or with one sentence to a question that is asked all the time, is not taken for a
broken model. Each request is looked at once, with those before it in the log: what it is found to
be does not depend on how the log is cut into batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Bools, Ints
from understudy.analyzers.compare.text import is_blank
from understudy.schemas.events import Request, Response

LOOKED_AT: Final = 15
"""Earlier answers: enough to tell a fifth from an accident, few enough to compare with all."""
PAIRED_SHARE: Final = 5
"""One in so many of these is the same answer where stable gave different ones: a greeting or a
refusal in fixed words is rarer, one text for a fifth of all requests is not."""
ALONE_SHARE: Final = 3
"""The same without another side to tell what such requests are answered with."""
FEW_WORDS: Final = 32
"""Bytes or ASCII characters. Shorter answers are labels, or say yes or no, and come twice."""
FEW_WORDS_UTF8: Final = 48
"""The same for scripts that take two or three bytes a letter: 16 Chinese characters."""
FEW_WORDS_SEEN: Final = 7
"""Earlier answers without which a run of short ones is no surprise."""
MOSTLY: Final = 7 / 8
"""Of the earlier answers, before a label or a word counts as constant."""


class Repeats(IntFlag):
    """What the earlier answers of a request's sides say about it."""

    NOTHING = 0
    CHECKED = 1
    """There were earlier answers to other prompts."""
    STABLE = 2
    """Stable gave the same one to them, the candidate did not."""
    CANDIDATE = 4
    """The candidate gave the same one to them, stable did not."""


REQUEST, TIME_MS, LOG_BYTES, STABLE, CANDIDATE = COLUMNS = range(5)
"""Columns of a table of answers: hash of the prompt, place in time and in the log, hashes."""


def answer_hash(response: Response | None) -> int:
    """Hash of what a caller gets, text and tool calls; 0 without any, or from a cache.

    Equal within a process only; nothing that leaves it is made of it. That two answers begin alike
    says nothing, so one of which only the beginning is known has none.
    """
    if response is None or response.cache_hit or response.output_form == "truncated":
        return 0
    output, calls = response.output, response.tool_calls
    if calls:
        return hash((output, *((call.name, bytes(call.arguments)) for call in calls)))
    # Nearly all begin with a letter, and are not looked through.
    return hash(output) if output and (output[0].isalnum() or not is_blank(output)) else 0


def is_short(response: Response | None, request: Request | None) -> bool:
    """Whether an answer is one of few by nature: a word, a label, JSON, a tool call."""
    if response is None or response.tool_calls or not response.output:
        return True
    if response.output_form == "hashed":
        return True
    if request is not None and (request.expects or "text") != "text":
        return True
    output = response.output
    if len(output) >= FEW_WORDS:
        return False
    return output.isascii() or len(output.encode("utf-8", "replace")) < FEW_WORDS_UTF8


@dataclass(frozen=True, slots=True)
class Repeated:
    """Of n answers of both sides, how many of the earlier ones are the same."""

    seen: Ints
    """Earlier answers to other prompts."""
    same: tuple[Ints, Ints]
    """Those in which stable gave the same answer, and those in which the candidate did."""
    beyond: tuple[Ints, Ints]
    """Of these, those in which the other side gave another one."""


def count_repeated(
    table: Ints, group: Ints, is_new: Bools, reach_ms: int, reach_bytes: int
) -> Repeated:
    """Hold new answers against the `LOOKED_AT` before them in their group.

    `table` (n, 5) has a row a request with an answer of each of its sides, the rows of each `group`
    together and in the order of the log. Only rows within the reach of a row are compared with it.
    """
    new = np.flatnonzero(is_new)[:, None]
    before = new - _LAGS
    compared = before >= 0
    before[~compared] = 0
    request, time_ms, log_bytes, stable, candidate = table.T.copy()
    compared &= group[before] == group[new]
    compared &= np.abs(time_ms[before] - time_ms[new]) <= reach_ms
    compared &= np.abs(log_bytes[before] - log_bytes[new]) <= reach_bytes
    compared &= request[before] != request[new]
    same = (
        compared & (stable[before] == stable[new]),
        compared & (candidate[before] == candidate[new]),
    )
    return Repeated(
        np.count_nonzero(compared, axis=1),
        (np.count_nonzero(same[0], axis=1), np.count_nonzero(same[1], axis=1)),
        (
            np.count_nonzero(same[0] & ~same[1], axis=1),
            np.count_nonzero(same[1] & ~same[0], axis=1),
        ),
    )


_LAGS: Final = np.arange(1, LOOKED_AT + 1)


def is_constant(seen: int, same: int, beyond: int, *, short: bool, alone: bool) -> bool:
    """Whether so many of the answers seen are the same that chance or habit is no explanation.

    `short` ones are of few kinds by nature. A side that is `alone` has no other one to tell what
    such requests are answered with.
    """
    if not beyond or beyond * (ALONE_SHARE if alone else PAIRED_SHARE) < seen:
        return False
    if not short:
        return True
    return not alone and seen >= FEW_WORDS_SEEN and same >= MOSTLY * seen
