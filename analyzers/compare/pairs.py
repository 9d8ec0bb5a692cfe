"""Two sides together: from two `SideReading`s to `PairMeasures` or `ControlMeasures`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from understudy.analyzers.compare.arrays import Bools
from understudy.analyzers.compare.json_difference import compare_documents
from understudy.analyzers.compare.json_paths import without
from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures, SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.sides import SideReading
from understudy.analyzers.compare.text import compare_text
from understudy.analyzers.compare.tool_calls import compare_tool_calls
from understudy.schemas.measures import FinishState


def compare_pairs(
    stable: SideReading, candidate: SideReading, options: CompareOptions
) -> PairMeasures:
    """Compare n pairs; row i of both readings belongs to the same request."""
    left, right = stable.measures, candidate.measures
    answered = _answered(left) & _answered(right)
    text = compare_text(
        stable.outputs,
        candidate.outputs,
        similarity=options.similarity,
        max_indel_characters=options.max_indel_characters,
    )
    json = compare_documents(
        stable.documents,
        candidate.documents,
        texts=(stable.outputs, candidate.outputs),
        max_differences=options.max_json_differences,
        as_compared=_as_compared(options),
    )
    tools_compared = answered & _tools_involved(stable, candidate)
    calls = compare_tool_calls(stable.tool_calls, candidate.tool_calls)
    return PairMeasures(
        answered=answered,
        texts=left.text & right.text,
        identical=text.identical,
        identical_folded=text.identical_folded,
        similarity=text.similarity,
        similarity_method=text.method,
        json_compared=json.compared,
        json_equal=json.equal,
        json_difference_count=json.count,
        json_difference_paths=json.paths,
        json_changed_fields=json.fields,
        json_difference_kinds=json.kinds,
        tool_calls_compared=tools_compared,
        tool_names_match=calls.names_match & tools_compared,
        tool_calls_match=calls.calls_match & tools_compared,
        finish_reason_match=_same_finish(left, right) & answered,
        request_time_skewed=_differ(stable.request_times, candidate.request_times),
    )


def _as_compared(options: CompareOptions) -> Callable[[Any], Any] | None:
    """What makes of a document what is compared; None where that is all of it."""
    if not options.json_ignore and not options.json_unordered:
        return None
    return partial(without, ignored=options.json_ignore, unordered=options.json_unordered)


def compare_control(
    stable: SideReading, control: SideReading, options: CompareOptions
) -> ControlMeasures:
    """How stable differs from its second run, by the same measures as a pair."""
    pairs = compare_pairs(stable, control, options)
    return ControlMeasures(
        answered=pairs.answered,
        texts=pairs.texts,
        identical=pairs.identical,
        identical_folded=pairs.identical_folded,
        similarity=pairs.similarity,
        json_compared=pairs.json_compared,
        json_equal=pairs.json_equal,
        json_changed_fields=pairs.json_changed_fields,
        tool_calls_compared=pairs.tool_calls_compared,
        tool_calls_match=pairs.tool_calls_match,
    )


def _answered(side: SideMeasures) -> Bools:
    return side.model_request & ~side.error


def _same_finish(left: SideMeasures, right: SideMeasures) -> Bools:
    """Whether both ended for the same reason; of reasons that are not known, the words decide."""
    same: Bools = left.finish_state == right.finish_state
    for row in np.flatnonzero(same & (left.finish_state == FinishState.UNKNOWN)).tolist():
        same[row] = left.finish_reason[row] == right.finish_reason[row]
    return same


def _differ(left: Sequence[object], right: Sequence[object]) -> Bools:
    return np.array([a != b for a, b in zip(left, right, strict=True)], dtype=bool)


def _tools_involved(stable: SideReading, candidate: SideReading) -> Bools:
    """Whether tools were offered to or called by either side."""
    left, right = stable.measures, candidate.measures
    offered = left.tools_offered | right.tools_offered
    return offered | (left.tool_call_count > 0) | (right.tool_call_count > 0)
