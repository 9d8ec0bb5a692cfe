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
from numpy.lib.stride_tricks import sliding_window_view

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
    return hash(output) if output and not is_blank(output) else 0


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
    own, before = _with_those_before(group, table)
    compared = before[_GROUP] == own[_GROUP]
    compared &= before[REQUEST] != own[REQUEST]
    compared &= np.abs(before[TIME_MS] - own[TIME_MS]) <= reach_ms
    compared &= np.abs(before[LOG_BYTES] - own[LOG_BYTES]) <= reach_bytes
    same_stable = compared & (before[STABLE] == own[STABLE])
    same_candidate = compared & (before[CANDIDATE] == own[CANDIDATE])
    both = same_stable & same_candidate
    seen, left, right, in_both = (
        some.view(np.int8).sum(axis=0, dtype=np.int8)[is_new].astype(np.int64)
        for some in (compared, same_stable, same_candidate, both)
    )
    return Repeated(seen, (left, right), (left - in_both, right - in_both))


_GROUP: Final = len(COLUMNS)


def _with_those_before(group: Ints, table: Ints) -> tuple[Ints, Ints]:
    """The columns of a table (n, 5) and the groups: of n answers, and of those before each.

    (6, n) and (6, `LOOKED_AT`, n), views of the same numbers: copying them would take longer than
    comparing them. Before the first answer there is no group.
    """
    columns = np.full((1 + table.shape[1], LOOKED_AT + len(table)), _NO_GROUP)
    columns[:_GROUP, LOOKED_AT:] = table.T
    columns[_GROUP, LOOKED_AT:] = group
    looked = sliding_window_view(columns, len(table), axis=1)
    return columns[:, LOOKED_AT:], looked[:, :LOOKED_AT]


_NO_GROUP: Final = -1


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
