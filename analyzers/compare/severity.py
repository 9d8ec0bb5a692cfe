"""How much worse a candidate's answer is than stable's, and in what: the order of the worst pairs.

A severity is a number between 0 (nothing is worse) and 1: 1 where the candidate failed at something
that stable managed (or, without a stable side, failed), at most one half where the two merely
differ. What both sides fail at does not count. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools, Floats
from understudy.analyzers.compare.measure_arrays import PairMeasures, SideMeasures
from understudy.schemas.measures import Checked, JsonState


class PairKind(StrEnum):
    """What is worse; where two are equally bad, the earlier names the pair."""

    ERROR = "error"
    EMPTY = "empty"
    REFUSAL = "refusal"
    JSON = "json"
    TOOL_CALL = "tool_call"
    LANGUAGE = "language"
    GARBLED = "garbled"
    REPETITION = "repetition"
    TRUNCATION = "truncation"
    INCOMPLETE = "incomplete"
    REASONING = "reasoning"
    CONSTANT = "constant_answer"
    LENGTH = "length"
    DURATION = "duration"
    TEXT = "text"


NOTHING_WORSE: Final = "none"
"""The kind of a pair that is captured although nothing is worse."""
KINDS: Final = tuple(PairKind)

LESSER_FAILURE: Final = 0.9
"""Of JSON that parses and breaks its schema, and of a tool that was not called: most callers can
still tell, which they cannot of what does not parse."""
MOST_OF_A_DIFFERENCE: Final = 0.5
"""Whether a difference is bad is for people to say, so it comes after every failure."""
FULL_JSON_DIFFERENCES: Final = 16
"""Fields that differ, from which on a pair is as bad as it gets: most documents have fewer."""
OTHER_TOOL: Final = 0.5
OTHER_ARGUMENTS: Final = 0.3
"""Another tool does something else; other arguments may mean the same."""
LEAST_CHARACTERS: Final = 80
"""Of the longer answer: `Yes.` and `Yes, it is.` do not differ in length."""
LEAST_RATIO: Final = 2.0
FULL_RATIO: Final = 32.0
"""Twice as long (or as slow) is worth a look, 32 times is as bad as it gets."""
LEAST_SLOWER_MS: Final = 1_000.0
"""People do not notice less."""
LOW_SIMILARITY: Final = 0.3
"""Two good answers to one question are often no more alike than this; below, something may be
wrong."""
OTHER_TEXT: Final = 0.25


@dataclass(frozen=True, slots=True)
class Severities:
    """The severities of n requests."""

    values: Floats
    """(n, kinds), in the order of `KINDS`."""

    @property
    def worst(self) -> Floats:
        """The largest severity of each request, (n,)."""
        return np.asarray(np.max(self.values, axis=1), dtype=np.float64)

    def kind(self, row: int) -> str:
        """What is worst about a request; `none` where nothing is."""
        place = int(np.argmax(self.values[row]))
        return KINDS[place].value if self.values[row, place] > 0.0 else NOTHING_WORSE

    def kinds(self, row: int) -> list[str]:
        """Everything that is worse about a request, the worst first."""
        values = self.values[row]
        order = sorted(np.flatnonzero(values > 0.0).tolist(), key=lambda place: -values[place])
        return [KINDS[place].value for place in order]


def severities(
    candidate: SideMeasures, stable: SideMeasures | None = None, pair: PairMeasures | None = None
) -> Severities:
    """Return the severities of n candidates; of those alone by design, without the other two."""
    values = np.zeros((len(candidate), len(KINDS)))
    for kind, failed in _failures(candidate).items():
        values[:, KINDS.index(kind)] = failed
    if stable is not None:
        for kind, failed in _failures(stable).items():
            column = values[:, KINDS.index(kind)]
            column[failed >= column] = 0.0
    if stable is not None and pair is not None:
        for kind, differs in _differences(candidate, stable, pair).items():
            place = KINDS.index(kind)
            values[:, place] = np.maximum(values[:, place], differs)
    return Severities(values)


def _failures(side: SideMeasures) -> dict[PairKind, Floats]:
    """What a side failed at, from 0 to 1."""
    state = side.json_state
    json_broken = (state != JsonState.NOT_EXPECTED) & (state != JsonState.VALID)
    schema_broken = side.json_schema_valid == Checked.NO
    return {
        PairKind.ERROR: _of(side.error & side.model_request),
        PairKind.EMPTY: _of(side.empty),
        PairKind.REFUSAL: _of(side.refused),
        PairKind.JSON: np.maximum(_of(json_broken), _of(schema_broken, LESSER_FAILURE)),
        PairKind.TOOL_CALL: np.maximum(
            _of(side.tool_call_invalid), _of(side.tool_call_missing, LESSER_FAILURE)
        ),
        PairKind.LANGUAGE: _of(side.language_match == Checked.NO),
        PairKind.GARBLED: _of(side.garbled),
        PairKind.REPETITION: _of(side.repetitive),
        PairKind.TRUNCATION: _of(side.truncated),
        PairKind.INCOMPLETE: _of(side.incomplete),
        PairKind.REASONING: _of(side.reasoning_leaked, LESSER_FAILURE),
        PairKind.CONSTANT: _of(side.constant_answer, LESSER_FAILURE),
    }


def _differences(
    candidate: SideMeasures, stable: SideMeasures, pair: PairMeasures
) -> dict[PairKind, Floats]:
    """How much two answers differ where both are whole, from 0 to one half."""
    fields = np.minimum(1.0, pair.json_difference_count / FULL_JSON_DIFFERENCES)
    calls = pair.tool_calls_compared & ~pair.tool_calls_match
    slower_ms = candidate.duration_ms - stable.duration_ms
    return {
        PairKind.JSON: _of(pair.json_compared & ~pair.json_equal, MOST_OF_A_DIFFERENCE) * fields,
        PairKind.TOOL_CALL: _of(calls, OTHER_ARGUMENTS)
        + _of(calls & ~pair.tool_names_match, OTHER_TOOL - OTHER_ARGUMENTS),
        PairKind.LENGTH: _ratio_severity(
            candidate.output_characters.astype(np.float64),
            stable.output_characters.astype(np.float64),
            pair.texts,
        ),
        PairKind.DURATION: _duration_severity(candidate.duration_ms, stable.duration_ms, slower_ms),
        PairKind.TEXT: np.where(
            pair.texts & (pair.similarity < LOW_SIMILARITY),
            OTHER_TEXT * (1.0 - np.nan_to_num(pair.similarity)),
            0.0,
        ),
    }


def _of(failed: NDArray[np.bool_], severity: float = 1.0) -> Floats:
    return np.where(failed, severity, 0.0)


def _ratio_severity(candidate: Floats, stable: Floats, is_known: Bools) -> Floats:
    """Of an answer that is twice as long as the other or more, whichever it is."""
    longer, shorter = np.maximum(candidate, stable), np.minimum(candidate, stable)
    is_far = is_known & (longer >= LEAST_CHARACTERS) & (longer >= LEAST_RATIO * shorter)
    return np.where(is_far, _scaled(longer, shorter), 0.0)


def _duration_severity(candidate_ms: Floats, stable_ms: Floats, slower_ms: Floats) -> Floats:
    """Of an answer that took twice as long or more, and a second longer; NaN tells nothing."""
    is_far = (slower_ms >= LEAST_SLOWER_MS) & (candidate_ms >= LEAST_RATIO * stable_ms)
    return np.where(is_far, _scaled(np.nan_to_num(candidate_ms), np.nan_to_num(stable_ms)), 0.0)


def _scaled(larger: Floats, smaller: Floats) -> Floats:
    """One half from the full ratio on, less on a logarithmic scale below."""
    ratio = np.maximum(larger, 1.0) / np.maximum(smaller, 1.0)
    share = np.minimum(1.0, np.log(ratio) / np.log(FULL_RATIO))
    return np.asarray(MOST_OF_A_DIFFERENCE * share, dtype=np.float64)
