"""Every measure, declared once: what is taken of an answer, a rating and a pair.

From these declarations follow the columns of `comparisons` and `windows`, the sums of the views,
the records of a window row, the arrays that analyzers fill, the metrics that a guardrail can name
and the tables of the documentation. `python -m understudy.schemas.generate` writes what is a file.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from enum import IntEnum
from itertools import chain
from typing import Final

from understudy.schemas.measure_kinds import (
    LABEL,
    PAIRS,
    RATINGS,
    SIDES,
    Category,
    Distribution,
    GuardrailMetric,
    HistogramScale,
    Label,
    Measure,
    Number,
    Outcome,
    Sum,
    SumKind,
)
from understudy.schemas.turn_sums import pair_turn_sums, side_turn_sums, turn_measures

MS_TICK: Final = 1e-3
"""No gateway measures finer than a microsecond."""
SHARE_TICK: Final = 1e-9
"""Of values between 0 and 1: finer than any test resolves."""
USD_TICK: Final = 1e-10
"""A token at a dollar per million costs ten thousand ticks."""
MAX_FIELDS: Final = 64
"""Of the fields that cannot be read, or whose JSON differs: an event has fewer, a document that a
service parses mostly too."""
TOKEN_TICK: Final = 1.0
"""Tokens and characters are whole, so their sums and squares are exact integers."""


class JsonState(IntEnum):
    """What became of an answer that should have been JSON."""

    NOT_EXPECTED = 0
    VALID = 1
    FENCED = 2
    TRUNCATED = 3
    TRAILING_TEXT = 4
    NOT_JSON = 5
    TOO_DEEP = 6
    QUOTED = 7


class Checked(IntEnum):
    """Whether an answer passed a check."""

    UNCHECKED = -1
    NO = 0
    YES = 1


class FinishState(IntEnum):
    """Why an answer ended, whatever its vendor calls it."""

    ABSENT = 0
    STOP = 1
    LENGTH = 2
    TOOL_CALLS = 3
    CONTENT_FILTER = 4
    REFUSAL = 5
    ERROR = 6
    UNKNOWN = 7


class SimilarityMethod(IntEnum):
    """How a similarity was computed."""

    NONE = 0
    IDENTICAL = 1
    INDEL = 2
    NGRAM = 3


SIDE: Final[tuple[Measure, ...]] = (
    Label(
        "model", "Model that answered; empty when unknown",
        names=Sum(
            "models", "Sides by the model that answered, of the most frequent models",
            SumKind.NAMES,
        ),
    ),
    Outcome("served", "went to the user"),
    Label(
        "unreadable_fields", "Fields that could not be read as they were written",
        f"Array({LABEL})", "list[list[str]]",
        names=Sum(
            "unreadable_fields", "Sides by field that could not be read as it was written",
            SumKind.NAMES, most_names=MAX_FIELDS,
        ),
    ),
    Outcome(
        "client_error", "ended because the caller hung up or cancelled", count="client_errors"
    ),
    Outcome(
        "gateway_error", "ended by the gateway itself: a quota, a key, a budget",
        count="gateway_errors",
    ),
    Outcome(
        "model_request", "was answered or failed by the model itself", count="model_requests",
        known_both="model_pairs", known_among="pairs",
    ),
    Outcome(
        "error", "gave no answer", count="errors",
        among="model_requests", paired_among="model_pairs", is_early=True,
        metric=GuardrailMetric("error_rate", "error rate", weight=4.0),
    ),
    Outcome(
        "timeout", "gave no answer because of a timeout", count="timeouts", among="model_requests"
    ),
    Outcome(
        "unreadable", "gave an answer that cannot be read", count="unreadable",
        among="model_requests",
    ),
    Label("error_type", "Type of the error; empty without one"),
    Number("error_status", "HTTP status of the error; 0 without one", "UInt16"),
    Outcome("fallback_known", "said whether a fallback model answered"),
    Outcome(
        "fallback", "came from a fallback model", count="fallbacks",
        among="model_requests", paired_among="model_pairs", measured_by="fallback_known",
        is_early=True,
        metric=GuardrailMetric("fallback_rate", "fallback rate"),
    ),
    Number(
        "attempts", "Attempts made, the last included", "UInt16",
        total=Sum("retries", "Attempts beyond the first"), least=1,
    ),
    Outcome("cache_hit", "came from the gateway's cache", count="cache_hits"),
    Label("finish_reason", "Why the model stopped, in the gateway's word"),
    Category(
        "finish_state", "Why the model stopped, whatever its vendor calls it",
        FinishState, absent=FinishState.ABSENT,
    ),
    Outcome(
        "finish_reason_known", "answered and said why it stopped",
        known_both="finish_reason_known_both",
    ),
    Outcome(
        "truncated", "stopped at the length limit",
        among="finish_reason_known", paired_among="finish_reason_known_both",
        metric=GuardrailMetric("truncation_rate", "truncation rate"),
    ),
    Outcome(
        "content_filtered", "ended at a content filter",
        among="finish_reason_known", paired_among="finish_reason_known_both",
    ),
    Outcome(
        "answered", "answered, whatever it said", count="answers",
    ),
    Outcome(
        "refused", "refused to answer, or was filtered", count="refusals",
        among="answers", paired_among="answered",
        metric=GuardrailMetric("refusal_rate", "refusals"),
    ),
    Outcome(
        "empty", "answered with nothing: no text but white space, no tool call, no refusal",
        count="empties", among="answers", paired_among="answered", measured_by="answers",
        missing_says_yes=True,
        metric=GuardrailMetric("empty_rate", "empty answers"),
    ),
    Outcome(
        "incomplete", "streamed an answer without an end", count="incompletes",
        among="answers", paired_among="answered", measured_by="finish_reason_known",
        missing_says_yes=True,
        metric=GuardrailMetric("incomplete_rate", "streams that break off"),
    ),
    Outcome(
        "reasoning_leaked", "answered with its reasoning in the text", count="reasoning_leaks",
        among="answers", paired_among="answered", measured_by="texts",
        metric=GuardrailMetric("reasoning_leak_rate", "reasoning in the answer"),
    ),
    Number(
        "reasoning_characters", "Length of the reasoning in code points", "UInt32",
    ),
    Outcome("text", "answered with text that is not empty", count="texts"),
    Outcome(
        "garbled", "answered with damaged characters", among="texts", paired_among="texts",
        metric=GuardrailMetric("garbled_rate", "answers with damaged characters"),
    ),
    Outcome(
        "repetitive", "answered in a loop", among="texts", paired_among="texts",
        metric=GuardrailMetric("repetition_rate", "answers in a loop"),
    ),
    Outcome(
        "constant_checked", "answered after others, to other prompts, that it can be held against",
        known_both="constant_checked_both",
    ),
    Outcome(
        "constant_answer", "gave one answer to different prompts", count="constant_answers",
        among="constant_checked", paired_among="constant_checked_both",
        metric=GuardrailMetric("constant_answer_rate", "constant answers"),
    ),
    Distribution(
        "output_characters", "Length of the text in code points; NULL without text",
        noun="length of the text", unit="characters", tick=TOKEN_TICK, array_type="Ints",
        clickhouse_type="Nullable(UInt32)", squares=True, products=True,
        metric=GuardrailMetric("answer_length", "mean answer length", "its characters", "neither"),
    ),
    Number(
        "output_hash",
        "xxHash64 of the text in UTF-8, equal to xxHash64(text) in SQL; 0 without text",
        "UInt64", array_type="Hashes",
    ),
    Category(
        "json_state", "What became of an answer that should have been JSON",
        JsonState, absent=JsonState.NOT_EXPECTED,
        known="json_expected", known_says="answered where JSON was expected",
        success="json_valid", passing=JsonState.VALID, passing_says="gave valid JSON (RFC 8259)",
        failures=(
            (JsonState.FENCED, Sum("json_fenced", "Invalid: fenced in markdown")),
            (JsonState.TRUNCATED, Sum("json_truncated", "Invalid: breaks off")),
            (JsonState.TRAILING_TEXT, Sum("json_trailing_text", "Invalid: text around the JSON")),
            (JsonState.NOT_JSON, Sum("json_not_json", "Invalid: no JSON, empty included")),
            (JsonState.TOO_DEEP, Sum("json_too_deep", "Invalid: nested beyond the limit")),
            (JsonState.QUOTED, Sum("json_quoted", "Invalid: JSON inside a JSON string")),
        ),
        metric=GuardrailMetric(
            "json_valid_rate", "JSON validity",
            "is not valid JSON, among answers that should be", "higher", weight=4.0,
        ),
    ),
    Category(
        "json_schema_valid", "Whether the JSON satisfies the schema named by schema_id",
        Checked, absent=Checked.UNCHECKED,
        known="json_schema_checked",
        known_says="answered where a known JSON Schema was named (invalid JSON fails)",
        success="json_schema_valid", passing=Checked.YES, passing_says="satisfied the schema",
        metric=GuardrailMetric(
            "json_schema_valid_rate", "JSON Schema validity",
            "does not satisfy its JSON Schema, among answers that should", "higher", weight=2.0,
        ),
    ),
    Outcome(
        "tools_offered", "answered a request that offered tools", known_both="tools_offered_both"
    ),
    Number(
        "tool_call_count", "Tool calls in the answer", "UInt16",
        above_least=Sum("tools_called", "Sides that called a tool"),
    ),
    Outcome("tool_arguments_invalid", "called a tool with arguments that form no JSON object"),
    Outcome(
        "tool_call_invalid",
        "called a tool in a way that cannot be executed: no name, a tool that was not offered, "
        "arguments that form no JSON object or do not satisfy the tool's schema",
        count="tool_calls_invalid", among="answers", paired_among="answered",
        measured_by="tools_called",
        metric=GuardrailMetric("tool_call_invalid_rate", "broken tool calls"),
    ),
    Outcome(
        "tool_call_missing", "was offered tools and called none", count="tool_calls_missing",
        among="tools_offered", paired_among="tools_offered_both",
        metric=GuardrailMetric("tool_call_missing_rate", "missing tool calls"),
    ),
    Label("output_language", "BCP 47 tag of the text, und when unsure, empty when not examined"),
    Category(
        "language_match", "Whether the text is in the language of the request",
        Checked, absent=Checked.UNCHECKED,
        known="language_checked",
        known_says="answered with text of a known language to a request of a known language",
        success="language_match", passing=Checked.YES,
        passing_says="answered in the language of the request",
        metric=GuardrailMetric(
            "language_match_rate", "answers in the request's language",
            "is not in the language of the request", "higher", weight=2.0,
        ),
    ),
    Distribution(
        "duration_ms", "Time to the complete answer in ms; NULL when unknown",
        noun="duration", unit="ms", tick=MS_TICK, logarithms=True,
        histogram=HistogramScale.LOGARITHMIC, ratio="duration_ratio", slow_when_timed_out=True,
        metric=GuardrailMetric(
            "duration", "duration", "takes longer than a fixed time", weight=2.0
        ),
    ),
    Distribution(
        "time_to_first_token_ms", "Time to the first token in ms; NULL unless streamed",
        noun="time to first token", unit="ms", tick=MS_TICK,
        histogram=HistogramScale.LOGARITHMIC, ratio="time_to_first_token_ratio",
        metric=GuardrailMetric(
            "time_to_first_token", "time to first token",
            "starts later than a fixed time, among streamed answers",
        ),
    ),
    Distribution(
        "input_tokens", "Tokens of the prompt; NULL when unknown",
        noun="number of input tokens", unit="tokens", tick=TOKEN_TICK, array_type="Ints",
        clickhouse_type="Nullable(UInt32)", counted=False,
    ),
    Distribution(
        "cached_input_tokens",
        "Tokens of the prompt that the provider had cached; NULL when unknown",
        noun="number of cached input tokens", unit="tokens", tick=TOKEN_TICK, array_type="Ints",
        clickhouse_type="Nullable(UInt32)",
    ),
    Distribution(
        "reasoning_tokens", "Tokens of the reasoning; NULL when unknown",
        noun="number of reasoning tokens", unit="tokens", tick=TOKEN_TICK, array_type="Ints",
        clickhouse_type="Nullable(UInt32)",
    ),
    Distribution(
        "output_tokens", "Tokens of the answer; NULL when unknown",
        noun="number of output tokens", unit="tokens", tick=TOKEN_TICK, array_type="Ints",
        clickhouse_type="Nullable(UInt32)", squares=True, products=True,
        metric=GuardrailMetric("output_tokens", "mean output tokens", "its tokens", "neither"),
    ),
    Outcome("unpriced", "cost 0 for tokens, which is no price", count="unpriced"),
    Distribution(
        "cost_usd", "Price of the call in US dollars; NULL when unknown or unpriced",
        noun="cost", unit="US dollars", tick=USD_TICK, squares=True, products=True,
        zeros="unpriced",
        metric=GuardrailMetric("cost_usd", "mean cost", "its cost", weight=2.0),
    ),
)  # fmt: skip
"""Of one side's answer."""

FEEDBACK_SCORE: Final = Distribution(
    "feedback_score", "Score of a rating, 0 to 1",
    noun="score", unit="0 to 1", tick=SHARE_TICK,
)  # fmt: skip
FEEDBACK_POSITIVE: Final = Outcome(
    "feedback_positive", "have a score of at least 0.5", among="feedback_score_count",
    two_arms=True,
    metric=GuardrailMetric(
        "feedback", "positive feedback",
        "is not positive (a score below 0.5), among [ratings](events.md#feedback); two arms in "
        "every mode",
        "higher", counts="ratings",
    ),
)  # fmt: skip
"""Two users' ratings are two arms: they are never paired."""
FEEDBACK: Final[tuple[Measure, ...]] = (FEEDBACK_SCORE, FEEDBACK_POSITIVE)
"""Of users' ratings on one side's answers; in no column of `comparisons`."""

PAIR: Final[tuple[Measure, ...]] = (
    Outcome("answered", "both sides answered without error", among="pairs", on_control=True),
    Outcome("texts", "both sides answered with text", among="answered", on_control=True),
    Outcome("identical", "the texts are equal as given", among="texts", on_control=True),
    Outcome(
        "identical_folded", "the texts are equal after Unicode NFC and white-space folding",
        among="texts", on_control=True,
    ),
    Distribution(
        "similarity", "Similarity of the texts, 0 to 1; NULL unless both sides have text",
        noun="similarity", unit="0 to 1", tick=SHARE_TICK, histogram=HistogramScale.HUNDREDTHS,
        on_control=True,
        metric=GuardrailMetric(
            "similarity_excess", "disagreement beyond the noise floor",
            "disagrees with stable more than stable does with itself (`control` sides)",
        ),
    ),
    Category(
        "similarity_method", "How the similarity was computed",
        SimilarityMethod, absent=SimilarityMethod.NONE,
    ),
    Outcome(
        "json_compared", "both answers are valid JSON that was expected", among="answered",
        on_control=True,
    ),
    Outcome(
        "json_equal", "the JSON values are equal", among="json_compared", on_control=True,
        metric=GuardrailMetric(
            "json_match", "JSON match",
            "its JSON differs from stable's; the drop is measured from stable's agreement with its "
            "own second run (`control` sides)",
            "higher",
        ),
    ),
    Number(
        "json_difference_count", "Structural differences found, bounded per pair", "UInt16",
        total=Sum("json_differences", "Structural differences found, bounded per pair"),
    ),
    Label(
        "json_difference_paths", "Where the documents differ, the first few",
        "Array(String)", "list[list[str]]",
    ),
    Label(
        "json_changed_fields", "Where the documents differ, indices of arrays as *",
        "Array(String)", "list[list[str]]", on_control=True,
        names=Sum(
            "json_changed_fields",
            "Pairs by field of their JSON that differs, indices of arrays as *",
            SumKind.NAMES, most_names=MAX_FIELDS,
        ),
    ),
    Label(
        "json_difference_kinds",
        "How they differ at each path: missing, extra, type, value or order",
        f"Array({LABEL})", "list[list[str]]",
    ),
    Outcome(
        "tool_calls_compared", "both sides answered, and tools were offered or called",
        among="answered", on_control=True,
    ),
    Outcome(
        "tool_names_match", "the same tools were called, in any order",
        among="tool_calls_compared",
    ),
    Outcome(
        "tool_calls_match", "the same tools were called with equal arguments, in any order",
        among="tool_calls_compared", on_control=True,
        metric=GuardrailMetric(
            "tool_call_match", "tool call match",
            "its tool calls differ from stable's; the drop is measured from stable's agreement "
            "with its own second run (`control` sides)",
            "higher",
        ),
    ),
    Outcome(
        "finish_reason_match", "both sides answered and stopped for the same reason",
        among="answered",
    ),
    Outcome(
        "request_time_skewed", "the sides have different request times, within the tolerance",
        among="pairs",
    ),
)  # fmt: skip
"""Of a stable and a candidate answer to the same request."""

CONTROL: Final = tuple(measure for measure in PAIR if measure.on_control)
"""The same of a stable answer and a second run of stable: how much stable differs from itself."""


EARLIER_TICK: Final = 1e-6
"""Of turns that went before, as a fraction of one: shares that are sampled are no finer."""
_ON_A_SCALE: Final = "in tenths of the scale from -10 (stable is best) to 10"


def _quality_sums() -> Iterator[Sum]:
    """What evaluators say of stable and candidate."""
    yield Sum("pairs", "Pairs that the evaluator judged")
    yield from _judged_sums("the candidate")
    yield Sum("score_stable_sum", "Sum of stable's scores, as shares of the evaluator's range",
              SumKind.TOTAL, SHARE_TICK)  # fmt: skip
    yield Sum("score_candidate_sum", "Sum of the candidate's scores, likewise",
              SumKind.TOTAL, SHARE_TICK)  # fmt: skip
    yield Sum("orders", "Orders of the two answers in which one or neither was preferred")
    yield Sum("first_preferred", "Of these, orders in which the answer shown first was preferred")
    yield Sum("second_preferred", "Of these, orders in which the one shown second was preferred")
    yield Sum("both_orders", "Pairs that were asked in both orders")
    yield Sum("both_orders_alike", "Of these, pairs in which both gave the same answer, or neither")
    yield Sum("turns", "Pairs that name their conversation and turn")
    yield Sum("first_turns", "Of these, first turns")
    yield Sum("earlier_turns", "Sum of (turn - 1) x share that is sampled over these: how many "
              "judged turns went before", SumKind.TOTAL, EARLIER_TICK)  # fmt: skip


def _judged_sums(compared: str) -> Iterator[Sum]:
    yield Sum("preference_histogram", f"Pairs by how far {compared} is preferred to stable, "
              f"{_ON_A_SCALE}", SumKind.HISTOGRAM)  # fmt: skip
    yield Sum("score_histogram", f"Pairs by {compared}'s score less stable's, {_ON_A_SCALE}",
              SumKind.HISTOGRAM)  # fmt: skip


QUALITY: Final = tuple(_quality_sums())
"""Of pairs, by one evaluator."""
NOISE: Final = tuple(_judged_sums("stable's second run"))
"""What the evaluator says of stable and `control`, which only its own noise tells apart."""


def lost(side: str) -> str:
    """Name of the count of requests whose stable or candidate side never came."""
    return f"lost_{side}"


def lost_errors(side: str) -> str:
    """Name of the count of these requests in which the other side gave no answer."""
    return f"lost_{side}_{'candidate' if side == 'stable' else 'stable'}_errors"


LOST: Final = (
    Sum(lost("stable"), "Requests whose candidate came and whose stable side never did"),
    Sum(lost_errors("stable"), "Of these, requests in which the candidate gave no answer"),
    Sum(lost("candidate"), "Requests whose stable side came and whose candidate never did"),
    Sum(lost_errors("candidate"), "Of these, requests in which stable gave no answer"),
)
"""Requests of which only one side came within the join timeout: a side that never came is that
side's failure. Sides given up to bound memory, or late, are not among them."""

EARLY_OUTCOMES: Final = tuple(one for one in SIDE if isinstance(one, Outcome) and one.is_early)
"""Outcomes that are known of a side before its partner comes."""


def awaiting(side: str) -> str:
    """Name of the count of requests that wait for a side."""
    return f"awaiting_{side}"


def awaiting_known(side: str, outcome: Outcome) -> str:
    """Name of the count of these requests in which the other side has come with an outcome."""
    return f"{awaiting(side)}_{outcome.success}"


def _awaiting(missing: str, other: str, description: str) -> Iterator[Sum]:
    yield Sum(awaiting(missing), description)
    for one in EARLY_OUTCOMES:
        says = f"Of these, requests whose {other} side is there and {one.says}"
        yield Sum(awaiting_known(missing, one), says)


TURNS: Final = turn_measures(SIDE, PAIR)
"""Measures of which windows tell how alike they are within a conversation."""

UNRESOLVED: Final = (
    *_awaiting("stable", "candidate", "Requests that wait for stable, or for their control"),
    *_awaiting("candidate", "stable", "Requests whose stable side is there, and that wait for the "
               "candidate"),
)  # fmt: skip
"""What no row adds up over time: the requests of the window that waited when the row was made."""

EVENTS: Final = (
    Sum("paired", "Sides that were joined into pairs"),
    Sum(
        "single",
        "Sides that are alone by design (canary, ab); ratings and evaluations that were measured",
    ),
    Sum("unmatched_stable", "Stable sides without a partner"),
    Sum("unmatched_candidate", "Candidate sides without a partner"),
    Sum("unmatched_control", "Control sides without a pair"),
    Sum("duplicate", "Further copies of a record already read"),
    Sum("superseded", "Attempts of a side that a later attempt replaced"),
    Sum("late", "Records past the join timeout; in the watermark's window"),
    Sum("invalid", "Records sent to dead letters; in the watermark's window"),
)
"""Where records ended; each of them in exactly one place."""


def _sections() -> dict[str, tuple[Sum, ...]]:
    side = (
        Sum("requests", "Sides compared: in pairs, or single"),
        *chain.from_iterable(measure.sums(SIDES) for measure in SIDE),
        *chain.from_iterable(measure.sums(RATINGS) for measure in FEEDBACK),
    )
    pair = (
        Sum("pairs", "Pairs compared"),
        *chain.from_iterable(measure.sums(PAIRS) for measure in PAIR),
        *chain.from_iterable(measure.paired_sums() for measure in SIDE),
        *LOST,
    )
    control = (
        Sum("pairs", "Pairs that had a control side"),
        *chain.from_iterable(measure.sums(PAIRS) for measure in CONTROL),
    )
    return {
        "events": EVENTS,
        "stable": side,
        "candidate": side,
        "pair": pair,
        "control": control,
        "turns": pair_turn_sums(TURNS),
        "stable_turns": side_turn_sums(TURNS),
        "candidate_turns": side_turn_sums(TURNS),
        "quality": QUALITY,
        "noise": NOISE,
        "unresolved": UNRESOLVED,
    }


SUMS: Final = _sections()
"""Section of a window row to its sums; a column of `windows` is named `<section>_<sum>`.

Sums of all sections may be added over slices, windows and partitions. What is `unresolved` is
replaced by each version of a row; all else only grows from one to the next.
"""


def check_rates(
    measures: Iterable[Measure], units: Container[str], pair_units: Container[str] | None = None
) -> None:
    """Raise `ValueError` for an outcome or category over units that no sum counts.

    Given the sums of pairs, an outcome of one side with a metric has to say how it is compared:
    without that it would lose the pairing of requests, and much of its power, without a word.
    """
    for measure in measures:
        if not isinstance(measure, Outcome | Category) or not measure.success:
            continue
        for name in (measure.among, measure.measured_by if isinstance(measure, Outcome) else ""):
            if name and name not in units:
                raise ValueError(f"{measure.name}: no sum is named {name}")
        if pair_units is None:
            continue
        if measure.paired_among and measure.paired_among not in pair_units:
            raise ValueError(f"{measure.name}: no sum of pairs is named {measure.paired_among}")
        is_two_arms = isinstance(measure, Outcome) and measure.two_arms
        if measure.metric is not None and is_two_arms == bool(measure.paired_among):
            raise ValueError(f"{measure.name} has a metric: give either paired_among or two_arms")


_NAMES: Final = {section: {one.name for one in sums} for section, sums in SUMS.items()}
check_rates((*SIDE, *FEEDBACK), _NAMES["stable"], _NAMES["pair"])
check_rates(PAIR, _NAMES["pair"])
check_rates(CONTROL, _NAMES["control"])
