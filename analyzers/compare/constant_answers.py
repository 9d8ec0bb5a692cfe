"""The same answer to different requests: a model that no longer reads what it is asked.

An answer is held against those that its side gave to other prompts shortly before. Where both sides
answered, only what one side repeats and the other does not counts, so that a service which answers
with labels, or with one sentence to a question that is asked all the time, is not taken for a
broken model. Each request is looked at once, with those before it in the log: what it is found to
be does not depend on how the log is cut into batches.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Bools, Bytes, Ints
from understudy.analyzers.compare.text import is_blank
from understudy.schemas.events import Request, Response

LOOKED_AT: Final = 16
"""Earlier answers: enough to tell a fifth from an accident, few enough to compare with all."""
PAIRED_SHARE: Final = 8
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


REQUEST, TIME_MS, LOG_BYTES, STABLE, CANDIDATE, FLAGS = range(6)
"""Columns of a table of answers: hash of the prompt, place in time and in the log, hashes."""
STABLE_IS_SHORT, CANDIDATE_IS_SHORT, IS_ALONE = 1, 2, 4
"""What is in the last column."""


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
    return 0 if is_blank(output) else hash(output)


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


def find_repeats(table: Ints, group: Ints, is_new: Bools, reach_ms: int, reach_bytes: int) -> Bytes:
    """Hold new answers against the `LOOKED_AT` before them in their group; a `Repeats` of each.

    `table` (n, 6) has a row a request with an answer of each of its sides, the rows of each `group`
    together and in the order of the log. Only rows within the reach of a row are compared with it.
    """
    new = np.flatnonzero(is_new)
    before = new[:, None] - np.arange(1, LOOKED_AT + 1)
    own, others = table[new], table[np.maximum(before, 0)]
    compared = (before >= 0) & (group[np.maximum(before, 0)] == group[new][:, None])
    compared &= others[:, :, REQUEST] != own[:, REQUEST, None]
    compared &= np.abs(others[:, :, TIME_MS] - own[:, TIME_MS, None]) <= reach_ms
    compared &= np.abs(others[:, :, LOG_BYTES] - own[:, LOG_BYTES, None]) <= reach_bytes
    stable = compared & (others[:, :, STABLE] == own[:, STABLE, None])
    candidate = compared & (others[:, :, CANDIDATE] == own[:, CANDIDATE, None])
    seen, flags = compared.sum(axis=1), own[:, FLAGS]
    found = np.where(seen > 0, Repeats.CHECKED, Repeats.NOTHING).astype(np.int8)
    for bit, mine, theirs, short in (
        (Repeats.STABLE, stable, candidate, STABLE_IS_SHORT),
        (Repeats.CANDIDATE, candidate, stable, CANDIDATE_IS_SHORT),
    ):
        beyond = (mine & ~theirs).sum(axis=1)
        found[_is_constant(seen, mine.sum(axis=1), beyond, flags, short)] |= bit
    return found


def _is_constant(seen: Ints, same: Ints, beyond: Ints, flags: Ints, short: int) -> Bools:
    """Whether so many of the answers seen are the same that chance or habit is no explanation."""
    alone = (flags & IS_ALONE) > 0
    often = (beyond > 0) & (beyond * np.where(alone, ALONE_SHARE, PAIRED_SHARE) >= seen)
    mostly = ~alone & (seen >= FEW_WORDS_SEEN) & (same >= MOSTLY * seen)
    constant: Bools = often & (mostly | ((flags & short) == 0))
    return constant
