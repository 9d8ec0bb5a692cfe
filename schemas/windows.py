"""The window row: the sufficient statistics of one slice in one tumbling window.

A row holds only what adds up, so merging partitions, windows or languages is adding. Field names
are columns in ClickHouse (prefixed `stable_`, `candidate_`, `pair_`, `control_`, `events_`) and
keys in the messages of the topic `understudy.windows`.

Counts are integers. Sums of measured values are added as whole ticks (see `TICKS`), so they do
not depend on the order in which pairs arrived; the row shows them in natural units.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from understudy.schemas.events import Mode

WINDOWS_SCHEMA_VERSION: Final = 1

Source = Literal["events", "feedback"]
"""The topic that a row was made from; partitions and versions of the two are not comparable."""

SOURCES: Final[tuple[Source, ...]] = get_args(Source)

Histogram = dict[int, int]
"""Bucket index to count; see `understudy.analyzers.windows.histogram` for the two scales."""


class EventCounts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where the records of this slice and window ended; each of them in exactly one place.

    In rows made from feedback a record is one opinion; only `single`, `duplicate`, `late` and
    `invalid` occur there.
    """

    paired: Annotated[int, Meta(description="Sides that were joined into pairs.")] = 0
    single: Annotated[
        int, Meta(description="Sides that are alone by design (canary, ab), feedback measured.")
    ] = 0
    unmatched_stable: Annotated[int, Meta(description="Stable sides without a partner.")] = 0
    unmatched_candidate: Annotated[int, Meta(description="Candidate sides without a partner.")] = 0
    unmatched_control: Annotated[int, Meta(description="Control sides without a pair.")] = 0
    duplicate: Annotated[int, Meta(description="Further copies of a side already read.")] = 0
    late: Annotated[
        int, Meta(description="Sides past the join timeout; in the watermark's window.")
    ] = 0
    invalid: Annotated[
        int, Meta(description="Events sent to dead letters; in the watermark's window.")
    ] = 0


class SideSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What adds up over the compared requests of one side."""

    requests: Annotated[int, Meta(description="Sides compared: in pairs, or single.")] = 0
    served: Annotated[int, Meta(description="Sides that went to the user.")] = 0
    errors: Annotated[int, Meta(description="Sides without an answer.")] = 0
    timeouts: Annotated[int, Meta(description="Errors of the type timeout.")] = 0
    fallbacks: Annotated[int, Meta(description="Answers of a fallback model.")] = 0
    retries: Annotated[int, Meta(description="Attempts beyond the first.")] = 0
    truncated: Annotated[int, Meta(description="Finish reason: length.")] = 0
    content_filtered: Annotated[int, Meta(description="Finish reason: content filter.")] = 0
    texts: Annotated[int, Meta(description="Answers with text.")] = 0
    json_expected: Annotated[
        int, Meta(description="Answers without error that should have been JSON.")
    ] = 0
    json_valid: Annotated[int, Meta(description="Of these, valid by RFC 8259.")] = 0
    json_fenced: Annotated[int, Meta(description="Invalid: fenced in markdown.")] = 0
    json_truncated: Annotated[int, Meta(description="Invalid: breaks off.")] = 0
    json_trailing_text: Annotated[int, Meta(description="Invalid: text around the JSON.")] = 0
    json_not_json: Annotated[int, Meta(description="Invalid: no JSON, empty included.")] = 0
    json_too_deep: Annotated[int, Meta(description="Invalid: nested beyond the limit.")] = 0
    json_schema_checked: Annotated[
        int, Meta(description="Answers checked against a known JSON Schema; invalid JSON fails.")
    ] = 0
    json_schema_valid: Annotated[int, Meta(description="Of these, valid by the schema.")] = 0
    tools_offered: Annotated[int, Meta(description="Answers to requests with tools.")] = 0
    tools_called: Annotated[int, Meta(description="Answers that call a tool.")] = 0
    tool_arguments_invalid: Annotated[
        int, Meta(description="Answers with tool arguments that are no JSON object.")
    ] = 0
    language_checked: Annotated[
        int, Meta(description="Text answers whose language was told and is known of the request.")
    ] = 0
    language_match: Annotated[int, Meta(description="Of these, in the request's language.")] = 0
    durations: Annotated[int, Meta(description="Sides with a duration.")] = 0
    duration_ms_sum: Annotated[float, Meta(description="Sum of durations, ms.")] = 0.0
    duration_ln_sum: Annotated[float, Meta(description="Sum of ln(duration in ms).")] = 0.0
    duration_ln_squares: Annotated[float, Meta(description="Sum of ln(duration in ms)^2.")] = 0.0
    first_tokens: Annotated[int, Meta(description="Streamed sides with a first token.")] = 0
    first_token_ms_sum: Annotated[float, Meta(description="Sum of time to first token, ms.")] = 0.0
    usages: Annotated[int, Meta(description="Sides with a count of output tokens.")] = 0
    input_tokens: Annotated[int, Meta(description="Sum of input tokens.")] = 0
    output_tokens: Annotated[int, Meta(description="Sum of output tokens.")] = 0
    output_tokens_squares: Annotated[int, Meta(description="Sum of squared output tokens.")] = 0
    costs: Annotated[int, Meta(description="Sides with a cost.")] = 0
    cost_usd: Annotated[float, Meta(description="Sum of cost, US dollars.")] = 0.0
    cost_usd_squares: Annotated[float, Meta(description="Sum of squared cost.")] = 0.0
    feedbacks: Annotated[int, Meta(description="Opinions of users, by `feedback_time`.")] = 0
    feedbacks_positive: Annotated[
        int, Meta(description="Of these, with a score of at least 0.5.")
    ] = 0
    feedback_score_sum: Annotated[float, Meta(description="Sum of their scores, 0 to 1.")] = 0.0
    duration_ms_histogram: Annotated[
        Histogram, Meta(description="Log buckets of duration in ms, 1 % relative error.")
    ] = msgspec.field(default_factory=dict)
    first_token_ms_histogram: Annotated[
        Histogram, Meta(description="Log buckets of time to first token in ms.")
    ] = msgspec.field(default_factory=dict)


class PairSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What adds up over pairs of a stable and a candidate side."""

    pairs: Annotated[int, Meta(description="Pairs compared.")] = 0
    answered: Annotated[int, Meta(description="Pairs in which both sides answered.")] = 0
    texts: Annotated[int, Meta(description="Answered pairs in which both sides have text.")] = 0
    identical: Annotated[int, Meta(description="Of the text pairs: equal as given.")] = 0
    identical_folded: Annotated[
        int, Meta(description="Of the text pairs: equal after NFC and white-space folding.")
    ] = 0
    similarities: Annotated[int, Meta(description="Pairs with a similarity.")] = 0
    similarity_sum: Annotated[float, Meta(description="Sum of similarity, 0 to 1.")] = 0.0
    json_compared: Annotated[int, Meta(description="Pairs of two valid documents.")] = 0
    json_equal: Annotated[int, Meta(description="Of these, equal as JSON values.")] = 0
    json_differences: Annotated[
        int, Meta(description="Structural differences found, bounded per pair.")
    ] = 0
    tool_calls_compared: Annotated[
        int, Meta(description="Answered pairs in which tools were offered or called.")
    ] = 0
    tool_calls_match: Annotated[
        int, Meta(description="Of these, same names in the same order, equal arguments.")
    ] = 0
    tool_names_match: Annotated[int, Meta(description="Same names in the same order.")] = 0
    finish_reason_match: Annotated[
        int, Meta(description="Answered pairs with the same finish reason.")
    ] = 0
    error_only_stable: int = 0
    error_only_candidate: int = 0
    fallback_only_stable: int = 0
    fallback_only_candidate: int = 0
    truncated_only_stable: int = 0
    truncated_only_candidate: int = 0
    content_filtered_only_stable: int = 0
    content_filtered_only_candidate: int = 0
    json_expected_both: Annotated[
        int, Meta(description="Answered pairs in which both sides should be JSON.")
    ] = 0
    json_valid_only_stable: int = 0
    json_valid_only_candidate: int = 0
    json_schema_checked_both: int = 0
    json_schema_valid_only_stable: int = 0
    json_schema_valid_only_candidate: int = 0
    language_checked_both: int = 0
    language_match_only_stable: int = 0
    language_match_only_candidate: int = 0
    durations: Annotated[int, Meta(description="Answered pairs with two durations.")] = 0
    duration_ratio_ln_sum: Annotated[
        float, Meta(description="Sum of ln(candidate duration / stable duration).")
    ] = 0.0
    duration_ratio_ln_squares: float = 0.0
    first_tokens: Annotated[
        int, Meta(description="Answered pairs, both streamed, with two first tokens.")
    ] = 0
    first_token_ratio_ln_sum: float = 0.0
    first_token_ratio_ln_squares: float = 0.0
    usages: Annotated[int, Meta(description="Answered pairs with two output token counts.")] = 0
    output_tokens_stable: int = 0
    output_tokens_candidate: int = 0
    output_tokens_stable_squares: int = 0
    output_tokens_candidate_squares: int = 0
    output_tokens_products: int = 0
    costs: Annotated[int, Meta(description="Answered pairs with two costs.")] = 0
    cost_usd_stable: float = 0.0
    cost_usd_candidate: float = 0.0
    cost_usd_stable_squares: float = 0.0
    cost_usd_candidate_squares: float = 0.0
    cost_usd_products: float = 0.0
    similarity_histogram: Annotated[
        Histogram, Meta(description="Hundredths of similarity: floor(100 x similarity).")
    ] = msgspec.field(default_factory=dict)
    duration_ratio_histogram: Annotated[
        Histogram, Meta(description="Log buckets of candidate / stable duration.")
    ] = msgspec.field(default_factory=dict)
    first_token_ratio_histogram: Annotated[
        Histogram, Meta(description="Log buckets of candidate / stable time to first token.")
    ] = msgspec.field(default_factory=dict)


class ControlSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Stable against a second run of stable: how much stable differs from itself."""

    pairs: Annotated[int, Meta(description="Pairs that had a control side.")] = 0
    answered: int = 0
    texts: int = 0
    identical: int = 0
    identical_folded: int = 0
    similarities: int = 0
    similarity_sum: float = 0.0
    json_compared: int = 0
    json_equal: int = 0
    tool_calls_compared: int = 0
    tool_calls_match: int = 0
    similarity_histogram: Histogram = msgspec.field(default_factory=dict)


class WindowRow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One slice (rollout, mode, language, workflow) of one source's partition in one window.

    The row with the highest `version` among equal keys is the one that counts.
    """

    rollout_id: Annotated[str, Meta(description="Empty when an invalid event names none.")]
    mode: Annotated[Mode | None, Meta(description="Null when an invalid event names none.")] = None
    language: Annotated[str, Meta(description="BCP 47 tag, `und` when undetermined.")]
    workflow: Annotated[str, Meta(description="Empty when the gateway named none.")] = ""
    window_start: Annotated[dt.datetime, Meta(tz=True, description="Inclusive, UTC.")]
    window_s: Annotated[int, Meta(ge=1, description="Length of the window in seconds.")]
    source: Annotated[Source, Meta(description="Topic that the row was made from.")] = "events"
    partition: Annotated[int, Meta(ge=0, description="Partition of the source's topic.")]
    version: Annotated[
        int, Meta(ge=0, description="Offset up to which the partition had been read.")
    ]
    closed: Annotated[bool, Meta(description="Nothing will be added any more.")] = False
    events: EventCounts = msgspec.field(default_factory=EventCounts)
    stable: SideSums = msgspec.field(default_factory=SideSums)
    candidate: SideSums = msgspec.field(default_factory=SideSums)
    pair: PairSums = msgspec.field(default_factory=PairSums)
    control: ControlSums = msgspec.field(default_factory=ControlSums)


class WindowsMessage(msgspec.Struct, kw_only=True):
    """All rows of one rollout, source and partition that changed; key `rollout_id`."""

    schema_version: int = WINDOWS_SCHEMA_VERSION
    rollout_id: str
    source: Source = "events"
    partition: Annotated[int, Meta(ge=0)]
    version: Annotated[int, Meta(ge=0)]
    watermark: Annotated[dt.datetime, Meta(tz=True)] | None = None
    rows: list[WindowRow]


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "events": EventCounts,
    "stable": SideSums,
    "candidate": SideSums,
    "pair": PairSums,
    "control": ControlSums,
}
"""The parts of a row that hold measures; a ClickHouse column is named `<section>_<field>`."""
