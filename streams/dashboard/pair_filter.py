"""Which captured pairs show what a guardrail found, and the address that asks for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from understudy.analyzers.compare.severity import NOTHING_WORSE, PairKind
from understudy.analyzers.guardrails.slices import unmirrored

if TYPE_CHECKING:  # a replay starts without decisions
    from understudy.schemas.decisions import Evidence

PAIRS_HOURS: Final = 24
"""Of the pairs that evidence leads to: as long as what its page draws of it."""
REPORT_PAIRS: Final = 5
"""Of a report: two to five pages of paper, enough to see what is meant."""
KIND_WORDS: Final[Mapping[str, str]] = {
    PairKind.ERROR: "no answer",
    PairKind.EMPTY: "empty answer",
    PairKind.REFUSAL: "refusal",
    PairKind.JSON: "JSON",
    PairKind.TOOL_CALL: "tool call",
    PairKind.LANGUAGE: "wrong language",
    PairKind.GARBLED: "damaged characters",
    PairKind.REPETITION: "loop",
    PairKind.TRUNCATION: "cut off by length",
    PairKind.INCOMPLETE: "stream broke off",
    PairKind.REASONING: "reasoning in the answer",
    PairKind.CONSTANT: "constant answer",
    PairKind.LENGTH: "length",
    PairKind.DURATION: "slow",
    PairKind.TEXT: "other text",
    NOTHING_WORSE: "nothing worse",
}
"""What is worse, as people say it."""
KIND_OF_METRIC: Final[Mapping[str, str]] = {
    "error_rate": PairKind.ERROR,
    "empty_rate": PairKind.EMPTY,
    "refusal_rate": PairKind.REFUSAL,
    "json_valid_rate": PairKind.JSON,
    "json_schema_valid_rate": PairKind.JSON,
    "json_match": PairKind.JSON,
    "tool_call_invalid_rate": PairKind.TOOL_CALL,
    "tool_call_missing_rate": PairKind.TOOL_CALL,
    "tool_call_match": PairKind.TOOL_CALL,
    "language_match_rate": PairKind.LANGUAGE,
    "garbled_rate": PairKind.GARBLED,
    "repetition_rate": PairKind.REPETITION,
    "truncation_rate": PairKind.TRUNCATION,
    "incomplete_rate": PairKind.INCOMPLETE,
    "reasoning_leak_rate": PairKind.REASONING,
    "constant_answer_rate": PairKind.CONSTANT,
    "answer_length": PairKind.LENGTH,
    "output_tokens": PairKind.LENGTH,
    "duration_p50": PairKind.DURATION,
    "duration_p95": PairKind.DURATION,
    "duration_p99": PairKind.DURATION,
    "similarity_excess": PairKind.TEXT,
}
"""Where to look for pairs that show what a guardrail found; of other metrics, at all kinds."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody asks for; None for anything."""

    language: str | None = None
    workflow: str | None = None
    kind: str | None = None
    pair_id: str | None = None

    def query(self, hours: int) -> str:
        """Return the same as the query of an address."""
        named = {
            "language": self.language, "workflow": self.workflow, "kind": self.kind,
            "pair": self.pair_id,
        }  # fmt: skip
        given = {name: value for name, value in named.items() if value is not None}
        return urlencode({**given, "hours": hours})


def chosen_of(guardrail_metric: str, slice_: str) -> Chosen:
    """Return what to ask for to see what a guardrail found in a slice."""
    named = dict(
        part.split(":", 1) for part in unmirrored(slice_).split(",") if part.count(":") >= 1
    )
    return Chosen(
        language=named.get("language"),
        workflow=named.get("workflow"),
        kind=KIND_OF_METRIC.get(guardrail_metric),
    )


def pairs_query(one: Evidence) -> str:
    """Return the query of the page that shows what a piece of evidence found, of the last day."""
    return chosen_of(one.metric, one.slice).query(PAIRS_HOURS)
