# Written by `python -m understudy.schemas.generate` from schemas/measures.py; do not edit.
# fmt: off
"""The sections of a window row: what adds up."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0, le=2**53)]
"""What decides keeps these as they are: JSON's numbers are exact up to there."""
Bucket = Annotated[int, Meta(ge=-(2**15), le=2**15)]
"""Beyond any measured value; what a bucket begins at is a float up to there."""
Histogram = Annotated[
    dict[Bucket, Count], Meta(extra_json_schema={"propertyNames": {"pattern": r"^-?\d+$"}})
]
"""Bucket index to count; see `understudy.analyzers.windows.histogram` for the two scales."""
Names = dict[str, Count]
"""Name to count, of the most frequent names; all others together count as `other`."""


class EventCounts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Where the records of this slice and window ended; each of them in exactly one place.

    In rows made from feedback a record is one rating, in those made from evaluations one
    evaluation; only `single`, `duplicate`, `late` and `invalid` occur there.
    """

    paired: Annotated[Count, Meta(description="Sides that were joined into pairs.")] = 0
    single: Annotated[Count, Meta(description="Sides that are alone by design (canary, ab); ratings and evaluations that were measured.")] = 0
    unmatched_stable: Annotated[Count, Meta(description="Stable sides without a partner.")] = 0
    unmatched_candidate: Annotated[Count, Meta(description="Candidate sides without a partner.")] = 0
    unmatched_control: Annotated[Count, Meta(description="Control sides without a pair.")] = 0
    duplicate: Annotated[Count, Meta(description="Further copies of a record already read.")] = 0
    superseded: Annotated[Count, Meta(description="Attempts of a side that a later attempt replaced.")] = 0
    late: Annotated[Count, Meta(description="Records past the join timeout; in the watermark's window.")] = 0
    invalid: Annotated[Count, Meta(description="Records sent to dead letters; in the watermark's window.")] = 0


class SideSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What adds up over the compared requests of one side."""

    requests: Annotated[int, Meta(description="Sides compared: in pairs, or single.")] = 0
    models: Annotated[Names, Meta(description="Sides by the model that answered, of the most frequent models.")] = msgspec.field(default_factory=dict)
    served: Annotated[int, Meta(description="Sides that went to the user.")] = 0
    unreadable_fields: Annotated[Names, Meta(description="Sides by field that could not be read as it was written.")] = msgspec.field(default_factory=dict)
    client_errors: Annotated[int, Meta(description="Sides that ended because the caller hung up or cancelled.")] = 0
    gateway_errors: Annotated[int, Meta(description="Sides that ended by the gateway itself: a quota, a key, a budget.")] = 0
    model_requests: Annotated[int, Meta(description="Sides that was answered or failed by the model itself.")] = 0
    errors: Annotated[int, Meta(description="Sides that gave no answer.")] = 0
    timeouts: Annotated[int, Meta(description="Sides that gave no answer because of a timeout.")] = 0
    unreadable: Annotated[int, Meta(description="Sides that gave an answer that cannot be read.")] = 0
    fallback_known: Annotated[int, Meta(description="Sides that said whether a fallback model answered.")] = 0
    fallbacks: Annotated[int, Meta(description="Sides that came from a fallback model.")] = 0
    retries: Annotated[int, Meta(description="Attempts beyond the first.")] = 0
    cache_hits: Annotated[int, Meta(description="Sides that came from the gateway's cache.")] = 0
    finish_reason_known: Annotated[int, Meta(description="Sides that answered and said why it stopped.")] = 0
    truncated: Annotated[int, Meta(description="Sides that stopped at the length limit.")] = 0
    content_filtered: Annotated[int, Meta(description="Sides that ended at a content filter.")] = 0
    answers: Annotated[int, Meta(description="Sides that answered, whatever it said.")] = 0
    refusals: Annotated[int, Meta(description="Sides that refused to answer, or was filtered.")] = 0
    empties: Annotated[int, Meta(description="Sides that answered with nothing: no text but white space, no tool call, no refusal.")] = 0
    incompletes: Annotated[int, Meta(description="Sides that streamed an answer without an end.")] = 0
    reasoning_leaks: Annotated[int, Meta(description="Sides that answered with its reasoning in the text.")] = 0
    texts: Annotated[int, Meta(description="Sides that answered with text that is not empty.")] = 0
    garbled: Annotated[int, Meta(description="Sides that answered with damaged characters.")] = 0
    repetitive: Annotated[int, Meta(description="Sides that answered in a loop.")] = 0
    constant_checked: Annotated[int, Meta(description="Sides that answered after others, to other prompts, that it can be held against.")] = 0
    constant_answers: Annotated[int, Meta(description="Sides that gave one answer to different prompts.")] = 0
    output_characters_count: Annotated[int, Meta(description="Sides with a known length of the text.")] = 0
    output_characters_sum: Annotated[int, Meta(description="Sum of the length of the text, characters.")] = 0
    output_characters_squares: Annotated[int, Meta(description="Sum of the squared length of the text.")] = 0
    json_expected: Annotated[int, Meta(description="Sides that answered where JSON was expected.")] = 0
    json_valid: Annotated[int, Meta(description="Of these, sides that gave valid JSON (RFC 8259).")] = 0
    json_fenced: Annotated[int, Meta(description="Invalid: fenced in markdown.")] = 0
    json_truncated: Annotated[int, Meta(description="Invalid: breaks off.")] = 0
    json_trailing_text: Annotated[int, Meta(description="Invalid: text around the JSON.")] = 0
    json_not_json: Annotated[int, Meta(description="Invalid: no JSON, empty included.")] = 0
    json_too_deep: Annotated[int, Meta(description="Invalid: nested beyond the limit.")] = 0
    json_quoted: Annotated[int, Meta(description="Invalid: JSON inside a JSON string.")] = 0
    json_schema_checked: Annotated[int, Meta(description="Sides that answered where a known JSON Schema was named (invalid JSON fails).")] = 0
    json_schema_valid: Annotated[int, Meta(description="Of these, sides that satisfied the schema.")] = 0
    tools_offered: Annotated[int, Meta(description="Sides that answered a request that offered tools.")] = 0
    tools_called: Annotated[int, Meta(description="Sides that called a tool.")] = 0
    tool_arguments_invalid: Annotated[int, Meta(description="Sides that called a tool with arguments that form no JSON object.")] = 0
    tool_calls_invalid: Annotated[int, Meta(description="Sides that called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] = 0
    tool_calls_missing: Annotated[int, Meta(description="Sides that was offered tools and called none.")] = 0
    language_checked: Annotated[int, Meta(description="Sides that answered with text of a known language to a request of a known language.")] = 0
    language_match: Annotated[int, Meta(description="Of these, sides that answered in the language of the request.")] = 0
    duration_ms_count: Annotated[int, Meta(description="Sides with a known duration.")] = 0
    duration_ms_sum: Annotated[float, Meta(description="Sum of the duration, ms.")] = 0.0
    duration_ms_ln_sum: Annotated[float, Meta(description="Sum of ln(duration in ms).")] = 0.0
    duration_ms_ln_squares: Annotated[float, Meta(description="Sum of ln(duration in ms)^2.")] = 0.0
    duration_ms_histogram: Annotated[Histogram, Meta(description="Histogram of the duration: log buckets, within 1 %.")] = msgspec.field(default_factory=dict)
    time_to_first_token_ms_count: Annotated[int, Meta(description="Sides with a known time to first token.")] = 0
    time_to_first_token_ms_sum: Annotated[float, Meta(description="Sum of the time to first token, ms.")] = 0.0
    time_to_first_token_ms_histogram: Annotated[Histogram, Meta(description="Histogram of the time to first token: log buckets, within 1 %.")] = msgspec.field(default_factory=dict)
    input_tokens_sum: Annotated[int, Meta(description="Sum of the number of input tokens, tokens.")] = 0
    cached_input_tokens_count: Annotated[int, Meta(description="Sides with a known number of cached input tokens.")] = 0
    cached_input_tokens_sum: Annotated[int, Meta(description="Sum of the number of cached input tokens, tokens.")] = 0
    reasoning_tokens_count: Annotated[int, Meta(description="Sides with a known number of reasoning tokens.")] = 0
    reasoning_tokens_sum: Annotated[int, Meta(description="Sum of the number of reasoning tokens, tokens.")] = 0
    output_tokens_count: Annotated[int, Meta(description="Sides with a known number of output tokens.")] = 0
    output_tokens_sum: Annotated[int, Meta(description="Sum of the number of output tokens, tokens.")] = 0
    output_tokens_squares: Annotated[int, Meta(description="Sum of the squared number of output tokens.")] = 0
    unpriced: Annotated[int, Meta(description="Sides that cost 0 for tokens, which is no price.")] = 0
    cost_usd_count: Annotated[int, Meta(description="Sides with a known cost.")] = 0
    cost_usd_sum: Annotated[float, Meta(description="Sum of the cost, US dollars.")] = 0.0
    cost_usd_squares: Annotated[float, Meta(description="Sum of the squared cost.")] = 0.0
    feedback_score_count: Annotated[int, Meta(description="Ratings with a known score.")] = 0
    feedback_score_sum: Annotated[float, Meta(description="Sum of the score, 0 to 1.")] = 0.0
    feedback_positive: Annotated[int, Meta(description="Ratings that have a score of at least 0.5.")] = 0


class PairSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What adds up over pairs of a stable and a candidate side."""

    pairs: Annotated[int, Meta(description="Pairs compared.")] = 0
    answered: Annotated[int, Meta(description="Pairs in which both sides answered without error.")] = 0
    texts: Annotated[int, Meta(description="Pairs in which both sides answered with text.")] = 0
    identical: Annotated[int, Meta(description="Pairs in which the texts are equal as given.")] = 0
    identical_folded: Annotated[int, Meta(description="Pairs in which the texts are equal after Unicode NFC and white-space folding.")] = 0
    similarity_count: Annotated[int, Meta(description="Pairs with a known similarity.")] = 0
    similarity_sum: Annotated[float, Meta(description="Sum of the similarity, 0 to 1.")] = 0.0
    similarity_histogram: Annotated[Histogram, Meta(description="Histogram of the similarity: floor(100 x value).")] = msgspec.field(default_factory=dict)
    json_compared: Annotated[int, Meta(description="Pairs in which both answers are valid JSON that was expected.")] = 0
    json_equal: Annotated[int, Meta(description="Pairs in which the JSON values are equal.")] = 0
    json_differences: Annotated[int, Meta(description="Structural differences found, bounded per pair.")] = 0
    json_changed_fields: Annotated[Names, Meta(description="Pairs by field of their JSON that differs, indices of arrays as *.")] = msgspec.field(default_factory=dict)
    tool_calls_compared: Annotated[int, Meta(description="Pairs in which both sides answered, and tools were offered or called.")] = 0
    tool_names_match: Annotated[int, Meta(description="Pairs in which the same tools were called, in any order.")] = 0
    tool_calls_match: Annotated[int, Meta(description="Pairs in which the same tools were called with equal arguments, in any order.")] = 0
    finish_reason_match: Annotated[int, Meta(description="Pairs in which both sides answered and stopped for the same reason.")] = 0
    request_time_skewed: Annotated[int, Meta(description="Pairs in which the sides have different request times, within the tolerance.")] = 0
    model_pairs: Annotated[int, Meta(description="Pairs in which each side was answered or failed by the model itself.")] = 0
    error_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side gave no answer.")] = 0
    error_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side gave no answer.")] = 0
    error_both: Annotated[int, Meta(description="Pairs in which each of the two sides gave no answer.")] = 0
    fallback_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side came from a fallback model.")] = 0
    fallback_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side came from a fallback model.")] = 0
    fallback_both: Annotated[int, Meta(description="Pairs in which each of the two sides came from a fallback model.")] = 0
    finish_reason_known_both: Annotated[int, Meta(description="Answered pairs in which each side answered and said why it stopped.")] = 0
    truncated_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side stopped at the length limit.")] = 0
    truncated_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side stopped at the length limit.")] = 0
    truncated_both: Annotated[int, Meta(description="Pairs in which each of the two sides stopped at the length limit.")] = 0
    content_filtered_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side ended at a content filter.")] = 0
    content_filtered_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side ended at a content filter.")] = 0
    content_filtered_both: Annotated[int, Meta(description="Pairs in which each of the two sides ended at a content filter.")] = 0
    refused_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side refused to answer, or was filtered.")] = 0
    refused_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side refused to answer, or was filtered.")] = 0
    refused_both: Annotated[int, Meta(description="Pairs in which each of the two sides refused to answer, or was filtered.")] = 0
    empty_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side answered with nothing: no text but white space, no tool call, no refusal.")] = 0
    empty_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side answered with nothing: no text but white space, no tool call, no refusal.")] = 0
    empty_both: Annotated[int, Meta(description="Pairs in which each of the two sides answered with nothing: no text but white space, no tool call, no refusal.")] = 0
    incomplete_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side streamed an answer without an end.")] = 0
    incomplete_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side streamed an answer without an end.")] = 0
    incomplete_both: Annotated[int, Meta(description="Pairs in which each of the two sides streamed an answer without an end.")] = 0
    reasoning_leaked_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side answered with its reasoning in the text.")] = 0
    reasoning_leaked_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side answered with its reasoning in the text.")] = 0
    reasoning_leaked_both: Annotated[int, Meta(description="Pairs in which each of the two sides answered with its reasoning in the text.")] = 0
    garbled_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side answered with damaged characters.")] = 0
    garbled_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side answered with damaged characters.")] = 0
    garbled_both: Annotated[int, Meta(description="Pairs in which each of the two sides answered with damaged characters.")] = 0
    repetitive_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side answered in a loop.")] = 0
    repetitive_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side answered in a loop.")] = 0
    repetitive_both: Annotated[int, Meta(description="Pairs in which each of the two sides answered in a loop.")] = 0
    constant_checked_both: Annotated[int, Meta(description="Answered pairs in which each side answered after others, to other prompts, that it can be held against.")] = 0
    constant_answer_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side gave one answer to different prompts.")] = 0
    constant_answer_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side gave one answer to different prompts.")] = 0
    constant_answer_both: Annotated[int, Meta(description="Pairs in which each of the two sides gave one answer to different prompts.")] = 0
    output_characters_count: Annotated[int, Meta(description="Answered pairs with a known length of the text on both sides.")] = 0
    output_characters_stable_sum: Annotated[int, Meta(description="Sum of stable's length of the text over these pairs.")] = 0
    output_characters_candidate_sum: Annotated[int, Meta(description="Sum of the candidate's length of the text over these pairs.")] = 0
    output_characters_stable_squares: Annotated[int, Meta(description="Sum of stable's squared length of the text.")] = 0
    output_characters_candidate_squares: Annotated[int, Meta(description="Sum of the candidate's squared length of the text.")] = 0
    output_characters_products: Annotated[int, Meta(description="Sum of stable's x the candidate's length of the text.")] = 0
    json_expected_both: Annotated[int, Meta(description="Answered pairs in which both sides answered where JSON was expected.")] = 0
    json_valid_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side gave valid JSON (RFC 8259).")] = 0
    json_valid_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side gave valid JSON (RFC 8259).")] = 0
    json_valid_both: Annotated[int, Meta(description="Pairs in which each of the two sides gave valid JSON (RFC 8259).")] = 0
    json_schema_checked_both: Annotated[int, Meta(description="Answered pairs in which both sides answered where a known JSON Schema was named (invalid JSON fails).")] = 0
    json_schema_valid_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side satisfied the schema.")] = 0
    json_schema_valid_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side satisfied the schema.")] = 0
    json_schema_valid_both: Annotated[int, Meta(description="Pairs in which each of the two sides satisfied the schema.")] = 0
    tools_offered_both: Annotated[int, Meta(description="Answered pairs in which each side answered a request that offered tools.")] = 0
    tool_call_invalid_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] = 0
    tool_call_invalid_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] = 0
    tool_call_invalid_both: Annotated[int, Meta(description="Pairs in which each of the two sides called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] = 0
    tool_call_missing_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side was offered tools and called none.")] = 0
    tool_call_missing_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side was offered tools and called none.")] = 0
    tool_call_missing_both: Annotated[int, Meta(description="Pairs in which each of the two sides was offered tools and called none.")] = 0
    language_checked_both: Annotated[int, Meta(description="Answered pairs in which both sides answered with text of a known language to a request of a known language.")] = 0
    language_match_only_stable: Annotated[int, Meta(description="Pairs in which only the stable side answered in the language of the request.")] = 0
    language_match_only_candidate: Annotated[int, Meta(description="Pairs in which only the candidate side answered in the language of the request.")] = 0
    language_match_both: Annotated[int, Meta(description="Pairs in which each of the two sides answered in the language of the request.")] = 0
    duration_ratio_count: Annotated[int, Meta(description="Answered pairs with a known duration above 0 on both sides.")] = 0
    duration_ratio_ln_sum: Annotated[float, Meta(description="Sum of ln(candidate / stable duration).")] = 0.0
    duration_ratio_ln_squares: Annotated[float, Meta(description="Sum of ln(candidate / stable duration)^2.")] = 0.0
    duration_ratio_histogram: Annotated[Histogram, Meta(description="Histogram of candidate / stable duration: log buckets, within 1 %.")] = msgspec.field(default_factory=dict)
    time_to_first_token_ratio_count: Annotated[int, Meta(description="Answered pairs with a known time to first token above 0 on both sides.")] = 0
    time_to_first_token_ratio_ln_sum: Annotated[float, Meta(description="Sum of ln(candidate / stable time to first token).")] = 0.0
    time_to_first_token_ratio_ln_squares: Annotated[float, Meta(description="Sum of ln(candidate / stable time to first token)^2.")] = 0.0
    time_to_first_token_ratio_histogram: Annotated[Histogram, Meta(description="Histogram of candidate / stable time to first token: log buckets, within 1 %.")] = msgspec.field(default_factory=dict)
    output_tokens_count: Annotated[int, Meta(description="Answered pairs with a known number of output tokens on both sides.")] = 0
    output_tokens_stable_sum: Annotated[int, Meta(description="Sum of stable's number of output tokens over these pairs.")] = 0
    output_tokens_candidate_sum: Annotated[int, Meta(description="Sum of the candidate's number of output tokens over these pairs.")] = 0
    output_tokens_stable_squares: Annotated[int, Meta(description="Sum of stable's squared number of output tokens.")] = 0
    output_tokens_candidate_squares: Annotated[int, Meta(description="Sum of the candidate's squared number of output tokens.")] = 0
    output_tokens_products: Annotated[int, Meta(description="Sum of stable's x the candidate's number of output tokens.")] = 0
    cost_usd_count: Annotated[int, Meta(description="Answered pairs with a known cost on both sides.")] = 0
    cost_usd_stable_sum: Annotated[float, Meta(description="Sum of stable's cost over these pairs.")] = 0.0
    cost_usd_candidate_sum: Annotated[float, Meta(description="Sum of the candidate's cost over these pairs.")] = 0.0
    cost_usd_stable_squares: Annotated[float, Meta(description="Sum of stable's squared cost.")] = 0.0
    cost_usd_candidate_squares: Annotated[float, Meta(description="Sum of the candidate's squared cost.")] = 0.0
    cost_usd_products: Annotated[float, Meta(description="Sum of stable's x the candidate's cost.")] = 0.0
    lost_stable: Annotated[int, Meta(description="Requests whose candidate came and whose stable side never did.")] = 0
    lost_stable_candidate_errors: Annotated[int, Meta(description="Of these, requests in which the candidate gave no answer.")] = 0
    lost_candidate: Annotated[int, Meta(description="Requests whose stable side came and whose candidate never did.")] = 0
    lost_candidate_stable_errors: Annotated[int, Meta(description="Of these, requests in which stable gave no answer.")] = 0


class ControlSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Stable against a second run of stable: how much stable differs from itself."""

    pairs: Annotated[int, Meta(description="Pairs that had a control side.")] = 0
    answered: Annotated[int, Meta(description="Pairs in which both sides answered without error.")] = 0
    texts: Annotated[int, Meta(description="Pairs in which both sides answered with text.")] = 0
    identical: Annotated[int, Meta(description="Pairs in which the texts are equal as given.")] = 0
    identical_folded: Annotated[int, Meta(description="Pairs in which the texts are equal after Unicode NFC and white-space folding.")] = 0
    similarity_count: Annotated[int, Meta(description="Pairs with a known similarity.")] = 0
    similarity_sum: Annotated[float, Meta(description="Sum of the similarity, 0 to 1.")] = 0.0
    similarity_histogram: Annotated[Histogram, Meta(description="Histogram of the similarity: floor(100 x value).")] = msgspec.field(default_factory=dict)
    json_compared: Annotated[int, Meta(description="Pairs in which both answers are valid JSON that was expected.")] = 0
    json_equal: Annotated[int, Meta(description="Pairs in which the JSON values are equal.")] = 0
    json_changed_fields: Annotated[Names, Meta(description="Pairs by field of their JSON that differs, indices of arrays as *.")] = msgspec.field(default_factory=dict)
    tool_calls_compared: Annotated[int, Meta(description="Pairs in which both sides answered, and tools were offered or called.")] = 0
    tool_calls_match: Annotated[int, Meta(description="Pairs in which the same tools were called with equal arguments, in any order.")] = 0


class PairTurnSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Of conversations whose requests are paired: how alike the outcomes of their turns are."""

    requests: Annotated[int, Meta(description="Pairs that name their conversation and turn.")] = 0
    first: Annotated[int, Meta(description="Of these, first turns.")] = 0
    earlier: Annotated[int, Meta(description="Sum of turn - 1 over these: how many turns went before.")] = 0
    error_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave no answer, of the candidate less that of stable.")] = 0
    error_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    error_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    fallback_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side came from a fallback model, of the candidate less that of stable.")] = 0
    fallback_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    fallback_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    truncated_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side stopped at the length limit, of the candidate less that of stable.")] = 0
    truncated_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    truncated_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    refused_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side refused to answer, or was filtered, of the candidate less that of stable.")] = 0
    refused_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    refused_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    empty_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with nothing: no text but white space, no tool call, no refusal, of the candidate less that of stable.")] = 0
    empty_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    empty_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    incomplete_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side streamed an answer without an end, of the candidate less that of stable.")] = 0
    incomplete_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    incomplete_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    reasoning_leaked_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with its reasoning in the text, of the candidate less that of stable.")] = 0
    reasoning_leaked_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    reasoning_leaked_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    garbled_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with damaged characters, of the candidate less that of stable.")] = 0
    garbled_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    garbled_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    repetitive_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in a loop, of the candidate less that of stable.")] = 0
    repetitive_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    repetitive_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    constant_answer_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave one answer to different prompts, of the candidate less that of stable.")] = 0
    constant_answer_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    constant_answer_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    json_valid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave valid JSON (RFC 8259), of the candidate less that of stable.")] = 0
    json_valid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    json_valid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    json_schema_valid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side satisfied the schema, of the candidate less that of stable.")] = 0
    json_schema_valid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    json_schema_valid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    tool_call_invalid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema, of the candidate less that of stable.")] = 0
    tool_call_invalid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    tool_call_invalid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    tool_call_missing_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side was offered tools and called none, of the candidate less that of stable.")] = 0
    tool_call_missing_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    tool_call_missing_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    language_match_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in the language of the request, of the candidate less that of stable.")] = 0
    language_match_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    language_match_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    json_equal_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the JSON values are equal.")] = 0
    json_equal_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    json_equal_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    tool_calls_match_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the same tools were called with equal arguments, in any order.")] = 0
    tool_calls_match_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    tool_calls_match_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    output_characters_pairs: Annotated[int, Meta(description="Turn pairs with a known length of the text on both sides of both turns: s and c.")] = 0
    output_characters_stable_sums: Annotated[int, Meta(description="Sum of s_i + s_j over these turn pairs.")] = 0
    output_characters_candidate_sums: Annotated[int, Meta(description="Sum of c_i + c_j over these turn pairs.")] = 0
    output_characters_stable_products: Annotated[int, Meta(description="Sum of s_i · s_j over these.")] = 0
    output_characters_candidate_products: Annotated[int, Meta(description="Sum of c_i · c_j over these.")] = 0
    output_characters_cross_products: Annotated[int, Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] = 0
    output_tokens_pairs: Annotated[int, Meta(description="Turn pairs with a known number of output tokens on both sides of both turns: s and c.")] = 0
    output_tokens_stable_sums: Annotated[int, Meta(description="Sum of s_i + s_j over these turn pairs.")] = 0
    output_tokens_candidate_sums: Annotated[int, Meta(description="Sum of c_i + c_j over these turn pairs.")] = 0
    output_tokens_stable_products: Annotated[int, Meta(description="Sum of s_i · s_j over these.")] = 0
    output_tokens_candidate_products: Annotated[int, Meta(description="Sum of c_i · c_j over these.")] = 0
    output_tokens_cross_products: Annotated[int, Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] = 0
    cost_usd_pairs: Annotated[int, Meta(description="Turn pairs with a known cost on both sides of both turns: s and c.")] = 0
    cost_usd_stable_sums: Annotated[float, Meta(description="Sum of s_i + s_j over these turn pairs.")] = 0.0
    cost_usd_candidate_sums: Annotated[float, Meta(description="Sum of c_i + c_j over these turn pairs.")] = 0.0
    cost_usd_stable_products: Annotated[float, Meta(description="Sum of s_i · s_j over these.")] = 0.0
    cost_usd_candidate_products: Annotated[float, Meta(description="Sum of c_i · c_j over these.")] = 0.0
    cost_usd_cross_products: Annotated[float, Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] = 0.0


class SideTurnSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The same of one side's own outcomes, in canary and ab."""

    requests: Annotated[int, Meta(description="Sides that name their conversation and turn.")] = 0
    first: Annotated[int, Meta(description="Of these, first turns.")] = 0
    earlier: Annotated[int, Meta(description="Sum of turn - 1 over these: how many turns went before.")] = 0
    error_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave no answer.")] = 0
    error_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    error_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    fallback_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side came from a fallback model.")] = 0
    fallback_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    fallback_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    truncated_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side stopped at the length limit.")] = 0
    truncated_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    truncated_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    refused_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side refused to answer, or was filtered.")] = 0
    refused_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    refused_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    empty_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with nothing: no text but white space, no tool call, no refusal.")] = 0
    empty_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    empty_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    incomplete_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side streamed an answer without an end.")] = 0
    incomplete_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    incomplete_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    reasoning_leaked_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with its reasoning in the text.")] = 0
    reasoning_leaked_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    reasoning_leaked_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    garbled_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with damaged characters.")] = 0
    garbled_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    garbled_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    repetitive_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in a loop.")] = 0
    repetitive_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    repetitive_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    constant_answer_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave one answer to different prompts.")] = 0
    constant_answer_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    constant_answer_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    json_valid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave valid JSON (RFC 8259).")] = 0
    json_valid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    json_valid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    json_schema_valid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side satisfied the schema.")] = 0
    json_schema_valid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    json_schema_valid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    tool_call_invalid_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] = 0
    tool_call_invalid_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    tool_call_invalid_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    tool_call_missing_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side was offered tools and called none.")] = 0
    tool_call_missing_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    tool_call_missing_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    language_match_pairs: Annotated[int, Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in the language of the request.")] = 0
    language_match_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    language_match_products: Annotated[int, Meta(description="Sum of x_i · x_j over these turn pairs.")] = 0
    output_characters_pairs: Annotated[int, Meta(description="Turn pairs with a known length of the text x of both turns.")] = 0
    output_characters_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    output_characters_products: Annotated[int, Meta(description="Sum of x_i · x_j over these.")] = 0
    output_tokens_pairs: Annotated[int, Meta(description="Turn pairs with a known number of output tokens x of both turns.")] = 0
    output_tokens_sums: Annotated[int, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0
    output_tokens_products: Annotated[int, Meta(description="Sum of x_i · x_j over these.")] = 0
    cost_usd_pairs: Annotated[int, Meta(description="Turn pairs with a known cost x of both turns.")] = 0
    cost_usd_sums: Annotated[float, Meta(description="Sum of x_i + x_j over these turn pairs.")] = 0.0
    cost_usd_products: Annotated[float, Meta(description="Sum of x_i · x_j over these.")] = 0.0


class QualitySums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What one evaluator says about pairs of a stable and a candidate answer."""

    pairs: Annotated[int, Meta(description="Pairs that the evaluator judged.")] = 0
    preference_histogram: Annotated[Histogram, Meta(description="Pairs by how far the candidate is preferred to stable, in tenths of the scale from -10 (stable is best) to 10.")] = msgspec.field(default_factory=dict)
    score_histogram: Annotated[Histogram, Meta(description="Pairs by the candidate's score less stable's, in tenths of the scale from -10 (stable is best) to 10.")] = msgspec.field(default_factory=dict)
    score_stable_sum: Annotated[float, Meta(description="Sum of stable's scores, as shares of the evaluator's range.")] = 0.0
    score_candidate_sum: Annotated[float, Meta(description="Sum of the candidate's scores, likewise.")] = 0.0
    orders: Annotated[int, Meta(description="Orders of the two answers in which one or neither was preferred.")] = 0
    first_preferred: Annotated[int, Meta(description="Of these, orders in which the answer shown first was preferred.")] = 0
    second_preferred: Annotated[int, Meta(description="Of these, orders in which the one shown second was preferred.")] = 0
    both_orders: Annotated[int, Meta(description="Pairs that were asked in both orders.")] = 0
    both_orders_alike: Annotated[int, Meta(description="Of these, pairs in which both gave the same answer, or neither.")] = 0
    turns: Annotated[int, Meta(description="Pairs that name their conversation and turn.")] = 0
    first_turns: Annotated[int, Meta(description="Of these, first turns.")] = 0
    earlier_turns: Annotated[float, Meta(description="Sum of (turn - 1) x share that is sampled over these: how many judged turns went before.")] = 0.0


class NoiseSums(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What it says about two answers of stable: its own noise."""

    preference_histogram: Annotated[Histogram, Meta(description="Pairs by how far stable's second run is preferred to stable, in tenths of the scale from -10 (stable is best) to 10.")] = msgspec.field(default_factory=dict)
    score_histogram: Annotated[Histogram, Meta(description="Pairs by stable's second run's score less stable's, in tenths of the scale from -10 (stable is best) to 10.")] = msgspec.field(default_factory=dict)


class UnresolvedCounts(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Requests that waited for a side when the row was made; none in closed rows."""

    awaiting_stable: Annotated[int, Meta(description="Requests that wait for stable, or for their control.")] = 0
    awaiting_stable_errors: Annotated[int, Meta(description="Of these, requests whose candidate side is there and gave no answer.")] = 0
    awaiting_stable_fallbacks: Annotated[int, Meta(description="Of these, requests whose candidate side is there and came from a fallback model.")] = 0
    awaiting_candidate: Annotated[int, Meta(description="Requests whose stable side is there, and that wait for the candidate.")] = 0
    awaiting_candidate_errors: Annotated[int, Meta(description="Of these, requests whose stable side is there and gave no answer.")] = 0
    awaiting_candidate_fallbacks: Annotated[int, Meta(description="Of these, requests whose stable side is there and came from a fallback model.")] = 0
