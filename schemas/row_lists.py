# Written by `python -m understudy.schemas.generate` from schemas/measures.py; do not edit.
# fmt: off
"""Window rows as they travel: a list for each column."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from understudy.schemas.events import Mode
from understudy.schemas.window_measures import Count, Histogram, Names

MOST_ROWS: Final = 200
"""Of one message: a row of 36 bytes, which says nothing, takes 17 kB of who reads it."""


class RowLists(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Rows of one rollout, source and partition: a list for each column, with a value per row.

    The first four columns are there wherever there are rows. Of the others a column is left out
    where it is zero, empty or null in all rows.
    """

    window_start: Annotated[list[Annotated[dt.datetime, Meta(tz=True)]], Meta(description="Inclusive, UTC.", max_length=MOST_ROWS)] = msgspec.field(default_factory=list)
    window_s: Annotated[list[Annotated[int, Meta(ge=1, le=86_400)]], Meta(description="Length of the window in seconds.", max_length=MOST_ROWS)] = msgspec.field(default_factory=list)
    language: Annotated[list[str], Meta(description="BCP 47 tag, `und` when undetermined.", max_length=MOST_ROWS)] = msgspec.field(default_factory=list)
    version: Annotated[list[Count], Meta(description="Offset up to which the partition had been read.", max_length=MOST_ROWS)] = msgspec.field(default_factory=list)
    mode: Annotated[list[Mode | None], Meta(description="Null where an invalid event names none.")] | UnsetType = UNSET
    workflow: Annotated[list[str], Meta(description="Empty where the gateway named none.")] | UnsetType = UNSET
    evaluator: Annotated[list[str], Meta(description="`name@version` of the evaluator; empty but for evaluations.")] | UnsetType = UNSET
    requests_from: Annotated[list[Annotated[dt.datetime, Meta(tz=True)] | None], Meta(description="Start of the minute in which the pairs were requested; null but for evaluations.")] | UnsetType = UNSET
    closed: Annotated[list[bool], Meta(description="Nothing will be added any more.")] | UnsetType = UNSET
    events_paired: Annotated[list[Count], Meta(description="Sides that were joined into pairs.")] | UnsetType = UNSET
    events_single: Annotated[list[Count], Meta(description="Sides that are alone by design (canary, ab); ratings and evaluations that were measured.")] | UnsetType = UNSET
    events_unmatched_stable: Annotated[list[Count], Meta(description="Stable sides without a partner.")] | UnsetType = UNSET
    events_unmatched_candidate: Annotated[list[Count], Meta(description="Candidate sides without a partner.")] | UnsetType = UNSET
    events_unmatched_control: Annotated[list[Count], Meta(description="Control sides without a pair.")] | UnsetType = UNSET
    events_duplicate: Annotated[list[Count], Meta(description="Further copies of a record already read.")] | UnsetType = UNSET
    events_superseded: Annotated[list[Count], Meta(description="Attempts of a side that a later attempt replaced.")] | UnsetType = UNSET
    events_late: Annotated[list[Count], Meta(description="Records past the join timeout; in the watermark's window.")] | UnsetType = UNSET
    events_invalid: Annotated[list[Count], Meta(description="Records sent to dead letters; in the watermark's window.")] | UnsetType = UNSET
    stable_requests: Annotated[list[Count], Meta(description="Sides compared: in pairs, or single.")] | UnsetType = UNSET
    stable_models: Annotated[list[Names], Meta(description="Sides by the model that answered, of the most frequent models.")] | UnsetType = UNSET
    stable_served: Annotated[list[Count], Meta(description="Sides that went to the user.")] | UnsetType = UNSET
    stable_unreadable_fields: Annotated[list[Names], Meta(description="Sides by field that could not be read as it was written.")] | UnsetType = UNSET
    stable_client_errors: Annotated[list[Count], Meta(description="Sides that ended because the caller hung up or cancelled.")] | UnsetType = UNSET
    stable_gateway_errors: Annotated[list[Count], Meta(description="Sides that ended by the gateway itself: a quota, a key, a budget.")] | UnsetType = UNSET
    stable_model_requests: Annotated[list[Count], Meta(description="Sides that was answered or failed by the model itself.")] | UnsetType = UNSET
    stable_errors: Annotated[list[Count], Meta(description="Sides that gave no answer.")] | UnsetType = UNSET
    stable_timeouts: Annotated[list[Count], Meta(description="Sides that gave no answer because of a timeout.")] | UnsetType = UNSET
    stable_unreadable: Annotated[list[Count], Meta(description="Sides that gave an answer that cannot be read.")] | UnsetType = UNSET
    stable_fallback_known: Annotated[list[Count], Meta(description="Sides that said whether a fallback model answered.")] | UnsetType = UNSET
    stable_fallbacks: Annotated[list[Count], Meta(description="Sides that came from a fallback model.")] | UnsetType = UNSET
    stable_retries: Annotated[list[Count], Meta(description="Attempts beyond the first.")] | UnsetType = UNSET
    stable_cache_hits: Annotated[list[Count], Meta(description="Sides that came from the gateway's cache.")] | UnsetType = UNSET
    stable_finish_reason_known: Annotated[list[Count], Meta(description="Sides that answered and said why it stopped.")] | UnsetType = UNSET
    stable_truncated: Annotated[list[Count], Meta(description="Sides that stopped at the length limit.")] | UnsetType = UNSET
    stable_content_filtered: Annotated[list[Count], Meta(description="Sides that ended at a content filter.")] | UnsetType = UNSET
    stable_answers: Annotated[list[Count], Meta(description="Sides that answered, whatever it said.")] | UnsetType = UNSET
    stable_refusals: Annotated[list[Count], Meta(description="Sides that refused to answer, or was filtered.")] | UnsetType = UNSET
    stable_empties: Annotated[list[Count], Meta(description="Sides that answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    stable_incompletes: Annotated[list[Count], Meta(description="Sides that streamed an answer without an end.")] | UnsetType = UNSET
    stable_reasoning_leaks: Annotated[list[Count], Meta(description="Sides that answered with its reasoning in the text.")] | UnsetType = UNSET
    stable_texts: Annotated[list[Count], Meta(description="Sides that answered with text that is not empty.")] | UnsetType = UNSET
    stable_garbled: Annotated[list[Count], Meta(description="Sides that answered with damaged characters.")] | UnsetType = UNSET
    stable_repetitive: Annotated[list[Count], Meta(description="Sides that answered in a loop.")] | UnsetType = UNSET
    stable_constant_checked: Annotated[list[Count], Meta(description="Sides that answered after others, to other prompts, that it can be held against.")] | UnsetType = UNSET
    stable_constant_answers: Annotated[list[Count], Meta(description="Sides that gave one answer to different prompts.")] | UnsetType = UNSET
    stable_output_characters_count: Annotated[list[Count], Meta(description="Sides with a known length of the text.")] | UnsetType = UNSET
    stable_output_characters_sum: Annotated[list[int], Meta(description="Sum of the length of the text, characters.")] | UnsetType = UNSET
    stable_output_characters_squares: Annotated[list[int], Meta(description="Sum of the squared length of the text.")] | UnsetType = UNSET
    stable_json_expected: Annotated[list[Count], Meta(description="Sides that answered where JSON was expected.")] | UnsetType = UNSET
    stable_json_valid: Annotated[list[Count], Meta(description="Of these, sides that gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    stable_json_fenced: Annotated[list[Count], Meta(description="Invalid: fenced in markdown.")] | UnsetType = UNSET
    stable_json_truncated: Annotated[list[Count], Meta(description="Invalid: breaks off.")] | UnsetType = UNSET
    stable_json_trailing_text: Annotated[list[Count], Meta(description="Invalid: text around the JSON.")] | UnsetType = UNSET
    stable_json_not_json: Annotated[list[Count], Meta(description="Invalid: no JSON, empty included.")] | UnsetType = UNSET
    stable_json_too_deep: Annotated[list[Count], Meta(description="Invalid: nested beyond the limit.")] | UnsetType = UNSET
    stable_json_quoted: Annotated[list[Count], Meta(description="Invalid: JSON inside a JSON string.")] | UnsetType = UNSET
    stable_json_schema_checked: Annotated[list[Count], Meta(description="Sides that answered where a known JSON Schema was named (invalid JSON fails).")] | UnsetType = UNSET
    stable_json_schema_valid: Annotated[list[Count], Meta(description="Of these, sides that satisfied the schema.")] | UnsetType = UNSET
    stable_tools_offered: Annotated[list[Count], Meta(description="Sides that answered a request that offered tools.")] | UnsetType = UNSET
    stable_tools_called: Annotated[list[Count], Meta(description="Sides that called a tool.")] | UnsetType = UNSET
    stable_tool_arguments_invalid: Annotated[list[Count], Meta(description="Sides that called a tool with arguments that form no JSON object.")] | UnsetType = UNSET
    stable_tool_calls_invalid: Annotated[list[Count], Meta(description="Sides that called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    stable_tool_calls_missing: Annotated[list[Count], Meta(description="Sides that was offered tools and called none.")] | UnsetType = UNSET
    stable_language_checked: Annotated[list[Count], Meta(description="Sides that answered with text of a known language to a request of a known language.")] | UnsetType = UNSET
    stable_language_match: Annotated[list[Count], Meta(description="Of these, sides that answered in the language of the request.")] | UnsetType = UNSET
    stable_duration_ms_count: Annotated[list[Count], Meta(description="Sides with a known duration.")] | UnsetType = UNSET
    stable_duration_ms_sum: Annotated[list[float], Meta(description="Sum of the duration, ms.")] | UnsetType = UNSET
    stable_duration_ms_ln_sum: Annotated[list[float], Meta(description="Sum of ln(duration in ms).")] | UnsetType = UNSET
    stable_duration_ms_ln_squares: Annotated[list[float], Meta(description="Sum of ln(duration in ms)^2.")] | UnsetType = UNSET
    stable_duration_ms_histogram: Annotated[list[Histogram], Meta(description="Histogram of the duration: log buckets, within 1 %.")] | UnsetType = UNSET
    stable_time_to_first_token_ms_count: Annotated[list[Count], Meta(description="Sides with a known time to first token.")] | UnsetType = UNSET
    stable_time_to_first_token_ms_sum: Annotated[list[float], Meta(description="Sum of the time to first token, ms.")] | UnsetType = UNSET
    stable_time_to_first_token_ms_histogram: Annotated[list[Histogram], Meta(description="Histogram of the time to first token: log buckets, within 1 %.")] | UnsetType = UNSET
    stable_input_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of input tokens, tokens.")] | UnsetType = UNSET
    stable_cached_input_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of cached input tokens.")] | UnsetType = UNSET
    stable_cached_input_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of cached input tokens, tokens.")] | UnsetType = UNSET
    stable_reasoning_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of reasoning tokens.")] | UnsetType = UNSET
    stable_reasoning_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of reasoning tokens, tokens.")] | UnsetType = UNSET
    stable_output_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of output tokens.")] | UnsetType = UNSET
    stable_output_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of output tokens, tokens.")] | UnsetType = UNSET
    stable_output_tokens_squares: Annotated[list[int], Meta(description="Sum of the squared number of output tokens.")] | UnsetType = UNSET
    stable_unpriced: Annotated[list[Count], Meta(description="Sides that cost 0 for tokens, which is no price.")] | UnsetType = UNSET
    stable_cost_usd_count: Annotated[list[Count], Meta(description="Sides with a known cost.")] | UnsetType = UNSET
    stable_cost_usd_sum: Annotated[list[float], Meta(description="Sum of the cost, US dollars.")] | UnsetType = UNSET
    stable_cost_usd_squares: Annotated[list[float], Meta(description="Sum of the squared cost.")] | UnsetType = UNSET
    stable_feedback_score_count: Annotated[list[Count], Meta(description="Ratings with a known score.")] | UnsetType = UNSET
    stable_feedback_score_sum: Annotated[list[float], Meta(description="Sum of the score, 0 to 1.")] | UnsetType = UNSET
    stable_feedback_positive: Annotated[list[Count], Meta(description="Ratings that have a score of at least 0.5.")] | UnsetType = UNSET
    candidate_requests: Annotated[list[Count], Meta(description="Sides compared: in pairs, or single.")] | UnsetType = UNSET
    candidate_models: Annotated[list[Names], Meta(description="Sides by the model that answered, of the most frequent models.")] | UnsetType = UNSET
    candidate_served: Annotated[list[Count], Meta(description="Sides that went to the user.")] | UnsetType = UNSET
    candidate_unreadable_fields: Annotated[list[Names], Meta(description="Sides by field that could not be read as it was written.")] | UnsetType = UNSET
    candidate_client_errors: Annotated[list[Count], Meta(description="Sides that ended because the caller hung up or cancelled.")] | UnsetType = UNSET
    candidate_gateway_errors: Annotated[list[Count], Meta(description="Sides that ended by the gateway itself: a quota, a key, a budget.")] | UnsetType = UNSET
    candidate_model_requests: Annotated[list[Count], Meta(description="Sides that was answered or failed by the model itself.")] | UnsetType = UNSET
    candidate_errors: Annotated[list[Count], Meta(description="Sides that gave no answer.")] | UnsetType = UNSET
    candidate_timeouts: Annotated[list[Count], Meta(description="Sides that gave no answer because of a timeout.")] | UnsetType = UNSET
    candidate_unreadable: Annotated[list[Count], Meta(description="Sides that gave an answer that cannot be read.")] | UnsetType = UNSET
    candidate_fallback_known: Annotated[list[Count], Meta(description="Sides that said whether a fallback model answered.")] | UnsetType = UNSET
    candidate_fallbacks: Annotated[list[Count], Meta(description="Sides that came from a fallback model.")] | UnsetType = UNSET
    candidate_retries: Annotated[list[Count], Meta(description="Attempts beyond the first.")] | UnsetType = UNSET
    candidate_cache_hits: Annotated[list[Count], Meta(description="Sides that came from the gateway's cache.")] | UnsetType = UNSET
    candidate_finish_reason_known: Annotated[list[Count], Meta(description="Sides that answered and said why it stopped.")] | UnsetType = UNSET
    candidate_truncated: Annotated[list[Count], Meta(description="Sides that stopped at the length limit.")] | UnsetType = UNSET
    candidate_content_filtered: Annotated[list[Count], Meta(description="Sides that ended at a content filter.")] | UnsetType = UNSET
    candidate_answers: Annotated[list[Count], Meta(description="Sides that answered, whatever it said.")] | UnsetType = UNSET
    candidate_refusals: Annotated[list[Count], Meta(description="Sides that refused to answer, or was filtered.")] | UnsetType = UNSET
    candidate_empties: Annotated[list[Count], Meta(description="Sides that answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    candidate_incompletes: Annotated[list[Count], Meta(description="Sides that streamed an answer without an end.")] | UnsetType = UNSET
    candidate_reasoning_leaks: Annotated[list[Count], Meta(description="Sides that answered with its reasoning in the text.")] | UnsetType = UNSET
    candidate_texts: Annotated[list[Count], Meta(description="Sides that answered with text that is not empty.")] | UnsetType = UNSET
    candidate_garbled: Annotated[list[Count], Meta(description="Sides that answered with damaged characters.")] | UnsetType = UNSET
    candidate_repetitive: Annotated[list[Count], Meta(description="Sides that answered in a loop.")] | UnsetType = UNSET
    candidate_constant_checked: Annotated[list[Count], Meta(description="Sides that answered after others, to other prompts, that it can be held against.")] | UnsetType = UNSET
    candidate_constant_answers: Annotated[list[Count], Meta(description="Sides that gave one answer to different prompts.")] | UnsetType = UNSET
    candidate_output_characters_count: Annotated[list[Count], Meta(description="Sides with a known length of the text.")] | UnsetType = UNSET
    candidate_output_characters_sum: Annotated[list[int], Meta(description="Sum of the length of the text, characters.")] | UnsetType = UNSET
    candidate_output_characters_squares: Annotated[list[int], Meta(description="Sum of the squared length of the text.")] | UnsetType = UNSET
    candidate_json_expected: Annotated[list[Count], Meta(description="Sides that answered where JSON was expected.")] | UnsetType = UNSET
    candidate_json_valid: Annotated[list[Count], Meta(description="Of these, sides that gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    candidate_json_fenced: Annotated[list[Count], Meta(description="Invalid: fenced in markdown.")] | UnsetType = UNSET
    candidate_json_truncated: Annotated[list[Count], Meta(description="Invalid: breaks off.")] | UnsetType = UNSET
    candidate_json_trailing_text: Annotated[list[Count], Meta(description="Invalid: text around the JSON.")] | UnsetType = UNSET
    candidate_json_not_json: Annotated[list[Count], Meta(description="Invalid: no JSON, empty included.")] | UnsetType = UNSET
    candidate_json_too_deep: Annotated[list[Count], Meta(description="Invalid: nested beyond the limit.")] | UnsetType = UNSET
    candidate_json_quoted: Annotated[list[Count], Meta(description="Invalid: JSON inside a JSON string.")] | UnsetType = UNSET
    candidate_json_schema_checked: Annotated[list[Count], Meta(description="Sides that answered where a known JSON Schema was named (invalid JSON fails).")] | UnsetType = UNSET
    candidate_json_schema_valid: Annotated[list[Count], Meta(description="Of these, sides that satisfied the schema.")] | UnsetType = UNSET
    candidate_tools_offered: Annotated[list[Count], Meta(description="Sides that answered a request that offered tools.")] | UnsetType = UNSET
    candidate_tools_called: Annotated[list[Count], Meta(description="Sides that called a tool.")] | UnsetType = UNSET
    candidate_tool_arguments_invalid: Annotated[list[Count], Meta(description="Sides that called a tool with arguments that form no JSON object.")] | UnsetType = UNSET
    candidate_tool_calls_invalid: Annotated[list[Count], Meta(description="Sides that called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    candidate_tool_calls_missing: Annotated[list[Count], Meta(description="Sides that was offered tools and called none.")] | UnsetType = UNSET
    candidate_language_checked: Annotated[list[Count], Meta(description="Sides that answered with text of a known language to a request of a known language.")] | UnsetType = UNSET
    candidate_language_match: Annotated[list[Count], Meta(description="Of these, sides that answered in the language of the request.")] | UnsetType = UNSET
    candidate_duration_ms_count: Annotated[list[Count], Meta(description="Sides with a known duration.")] | UnsetType = UNSET
    candidate_duration_ms_sum: Annotated[list[float], Meta(description="Sum of the duration, ms.")] | UnsetType = UNSET
    candidate_duration_ms_ln_sum: Annotated[list[float], Meta(description="Sum of ln(duration in ms).")] | UnsetType = UNSET
    candidate_duration_ms_ln_squares: Annotated[list[float], Meta(description="Sum of ln(duration in ms)^2.")] | UnsetType = UNSET
    candidate_duration_ms_histogram: Annotated[list[Histogram], Meta(description="Histogram of the duration: log buckets, within 1 %.")] | UnsetType = UNSET
    candidate_time_to_first_token_ms_count: Annotated[list[Count], Meta(description="Sides with a known time to first token.")] | UnsetType = UNSET
    candidate_time_to_first_token_ms_sum: Annotated[list[float], Meta(description="Sum of the time to first token, ms.")] | UnsetType = UNSET
    candidate_time_to_first_token_ms_histogram: Annotated[list[Histogram], Meta(description="Histogram of the time to first token: log buckets, within 1 %.")] | UnsetType = UNSET
    candidate_input_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of input tokens, tokens.")] | UnsetType = UNSET
    candidate_cached_input_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of cached input tokens.")] | UnsetType = UNSET
    candidate_cached_input_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of cached input tokens, tokens.")] | UnsetType = UNSET
    candidate_reasoning_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of reasoning tokens.")] | UnsetType = UNSET
    candidate_reasoning_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of reasoning tokens, tokens.")] | UnsetType = UNSET
    candidate_output_tokens_count: Annotated[list[Count], Meta(description="Sides with a known number of output tokens.")] | UnsetType = UNSET
    candidate_output_tokens_sum: Annotated[list[int], Meta(description="Sum of the number of output tokens, tokens.")] | UnsetType = UNSET
    candidate_output_tokens_squares: Annotated[list[int], Meta(description="Sum of the squared number of output tokens.")] | UnsetType = UNSET
    candidate_unpriced: Annotated[list[Count], Meta(description="Sides that cost 0 for tokens, which is no price.")] | UnsetType = UNSET
    candidate_cost_usd_count: Annotated[list[Count], Meta(description="Sides with a known cost.")] | UnsetType = UNSET
    candidate_cost_usd_sum: Annotated[list[float], Meta(description="Sum of the cost, US dollars.")] | UnsetType = UNSET
    candidate_cost_usd_squares: Annotated[list[float], Meta(description="Sum of the squared cost.")] | UnsetType = UNSET
    candidate_feedback_score_count: Annotated[list[Count], Meta(description="Ratings with a known score.")] | UnsetType = UNSET
    candidate_feedback_score_sum: Annotated[list[float], Meta(description="Sum of the score, 0 to 1.")] | UnsetType = UNSET
    candidate_feedback_positive: Annotated[list[Count], Meta(description="Ratings that have a score of at least 0.5.")] | UnsetType = UNSET
    pair_pairs: Annotated[list[Count], Meta(description="Pairs compared.")] | UnsetType = UNSET
    pair_answered: Annotated[list[Count], Meta(description="Pairs in which both sides answered without error.")] | UnsetType = UNSET
    pair_texts: Annotated[list[Count], Meta(description="Pairs in which both sides answered with text.")] | UnsetType = UNSET
    pair_identical: Annotated[list[Count], Meta(description="Pairs in which the texts are equal as given.")] | UnsetType = UNSET
    pair_identical_folded: Annotated[list[Count], Meta(description="Pairs in which the texts are equal after Unicode NFC and white-space folding.")] | UnsetType = UNSET
    pair_similarity_count: Annotated[list[Count], Meta(description="Pairs with a known similarity.")] | UnsetType = UNSET
    pair_similarity_sum: Annotated[list[float], Meta(description="Sum of the similarity, 0 to 1.")] | UnsetType = UNSET
    pair_similarity_histogram: Annotated[list[Histogram], Meta(description="Histogram of the similarity: floor(100 x value).")] | UnsetType = UNSET
    pair_json_compared: Annotated[list[Count], Meta(description="Pairs in which both answers are valid JSON that was expected.")] | UnsetType = UNSET
    pair_json_equal: Annotated[list[Count], Meta(description="Pairs in which the JSON values are equal.")] | UnsetType = UNSET
    pair_json_differences: Annotated[list[Count], Meta(description="Structural differences found, bounded per pair.")] | UnsetType = UNSET
    pair_json_changed_fields: Annotated[list[Names], Meta(description="Pairs by field of their JSON that differs, indices of arrays as *.")] | UnsetType = UNSET
    pair_tool_calls_compared: Annotated[list[Count], Meta(description="Pairs in which both sides answered, and tools were offered or called.")] | UnsetType = UNSET
    pair_tool_names_match: Annotated[list[Count], Meta(description="Pairs in which the same tools were called, in any order.")] | UnsetType = UNSET
    pair_tool_calls_match: Annotated[list[Count], Meta(description="Pairs in which the same tools were called with equal arguments, in any order.")] | UnsetType = UNSET
    pair_finish_reason_match: Annotated[list[Count], Meta(description="Pairs in which both sides answered and stopped for the same reason.")] | UnsetType = UNSET
    pair_request_time_skewed: Annotated[list[Count], Meta(description="Pairs in which the sides have different request times, within the tolerance.")] | UnsetType = UNSET
    pair_model_pairs: Annotated[list[Count], Meta(description="Pairs in which each side was answered or failed by the model itself.")] | UnsetType = UNSET
    pair_error_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side gave no answer.")] | UnsetType = UNSET
    pair_error_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side gave no answer.")] | UnsetType = UNSET
    pair_error_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides gave no answer.")] | UnsetType = UNSET
    pair_fallback_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side came from a fallback model.")] | UnsetType = UNSET
    pair_fallback_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side came from a fallback model.")] | UnsetType = UNSET
    pair_fallback_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides came from a fallback model.")] | UnsetType = UNSET
    pair_finish_reason_known_both: Annotated[list[Count], Meta(description="Answered pairs in which each side answered and said why it stopped.")] | UnsetType = UNSET
    pair_truncated_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side stopped at the length limit.")] | UnsetType = UNSET
    pair_truncated_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side stopped at the length limit.")] | UnsetType = UNSET
    pair_truncated_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides stopped at the length limit.")] | UnsetType = UNSET
    pair_content_filtered_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side ended at a content filter.")] | UnsetType = UNSET
    pair_content_filtered_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side ended at a content filter.")] | UnsetType = UNSET
    pair_content_filtered_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides ended at a content filter.")] | UnsetType = UNSET
    pair_refused_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side refused to answer, or was filtered.")] | UnsetType = UNSET
    pair_refused_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side refused to answer, or was filtered.")] | UnsetType = UNSET
    pair_refused_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides refused to answer, or was filtered.")] | UnsetType = UNSET
    pair_empty_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    pair_empty_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    pair_empty_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    pair_incomplete_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side streamed an answer without an end.")] | UnsetType = UNSET
    pair_incomplete_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side streamed an answer without an end.")] | UnsetType = UNSET
    pair_incomplete_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides streamed an answer without an end.")] | UnsetType = UNSET
    pair_reasoning_leaked_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side answered with its reasoning in the text.")] | UnsetType = UNSET
    pair_reasoning_leaked_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side answered with its reasoning in the text.")] | UnsetType = UNSET
    pair_reasoning_leaked_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides answered with its reasoning in the text.")] | UnsetType = UNSET
    pair_garbled_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side answered with damaged characters.")] | UnsetType = UNSET
    pair_garbled_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side answered with damaged characters.")] | UnsetType = UNSET
    pair_garbled_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides answered with damaged characters.")] | UnsetType = UNSET
    pair_repetitive_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side answered in a loop.")] | UnsetType = UNSET
    pair_repetitive_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side answered in a loop.")] | UnsetType = UNSET
    pair_repetitive_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides answered in a loop.")] | UnsetType = UNSET
    pair_constant_checked_both: Annotated[list[Count], Meta(description="Answered pairs in which each side answered after others, to other prompts, that it can be held against.")] | UnsetType = UNSET
    pair_constant_answer_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side gave one answer to different prompts.")] | UnsetType = UNSET
    pair_constant_answer_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side gave one answer to different prompts.")] | UnsetType = UNSET
    pair_constant_answer_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides gave one answer to different prompts.")] | UnsetType = UNSET
    pair_output_characters_count: Annotated[list[Count], Meta(description="Answered pairs with a known length of the text on both sides.")] | UnsetType = UNSET
    pair_output_characters_stable_sum: Annotated[list[int], Meta(description="Sum of stable's length of the text over these pairs.")] | UnsetType = UNSET
    pair_output_characters_candidate_sum: Annotated[list[int], Meta(description="Sum of the candidate's length of the text over these pairs.")] | UnsetType = UNSET
    pair_output_characters_stable_squares: Annotated[list[int], Meta(description="Sum of stable's squared length of the text.")] | UnsetType = UNSET
    pair_output_characters_candidate_squares: Annotated[list[int], Meta(description="Sum of the candidate's squared length of the text.")] | UnsetType = UNSET
    pair_output_characters_products: Annotated[list[int], Meta(description="Sum of stable's x the candidate's length of the text.")] | UnsetType = UNSET
    pair_json_expected_both: Annotated[list[Count], Meta(description="Answered pairs in which both sides answered where JSON was expected.")] | UnsetType = UNSET
    pair_json_valid_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    pair_json_valid_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    pair_json_valid_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    pair_json_schema_checked_both: Annotated[list[Count], Meta(description="Answered pairs in which both sides answered where a known JSON Schema was named (invalid JSON fails).")] | UnsetType = UNSET
    pair_json_schema_valid_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side satisfied the schema.")] | UnsetType = UNSET
    pair_json_schema_valid_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side satisfied the schema.")] | UnsetType = UNSET
    pair_json_schema_valid_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides satisfied the schema.")] | UnsetType = UNSET
    pair_tools_offered_both: Annotated[list[Count], Meta(description="Answered pairs in which each side answered a request that offered tools.")] | UnsetType = UNSET
    pair_tool_call_invalid_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    pair_tool_call_invalid_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    pair_tool_call_invalid_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    pair_tool_call_missing_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side was offered tools and called none.")] | UnsetType = UNSET
    pair_tool_call_missing_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side was offered tools and called none.")] | UnsetType = UNSET
    pair_tool_call_missing_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides was offered tools and called none.")] | UnsetType = UNSET
    pair_language_checked_both: Annotated[list[Count], Meta(description="Answered pairs in which both sides answered with text of a known language to a request of a known language.")] | UnsetType = UNSET
    pair_language_match_only_stable: Annotated[list[Count], Meta(description="Pairs in which only the stable side answered in the language of the request.")] | UnsetType = UNSET
    pair_language_match_only_candidate: Annotated[list[Count], Meta(description="Pairs in which only the candidate side answered in the language of the request.")] | UnsetType = UNSET
    pair_language_match_both: Annotated[list[Count], Meta(description="Pairs in which each of the two sides answered in the language of the request.")] | UnsetType = UNSET
    pair_duration_ratio_count: Annotated[list[Count], Meta(description="Answered pairs with a known duration above 0 on both sides.")] | UnsetType = UNSET
    pair_duration_ratio_ln_sum: Annotated[list[float], Meta(description="Sum of ln(candidate / stable duration).")] | UnsetType = UNSET
    pair_duration_ratio_ln_squares: Annotated[list[float], Meta(description="Sum of ln(candidate / stable duration)^2.")] | UnsetType = UNSET
    pair_duration_ratio_histogram: Annotated[list[Histogram], Meta(description="Histogram of candidate / stable duration: log buckets, within 1 %.")] | UnsetType = UNSET
    pair_time_to_first_token_ratio_count: Annotated[list[Count], Meta(description="Answered pairs with a known time to first token above 0 on both sides.")] | UnsetType = UNSET
    pair_time_to_first_token_ratio_ln_sum: Annotated[list[float], Meta(description="Sum of ln(candidate / stable time to first token).")] | UnsetType = UNSET
    pair_time_to_first_token_ratio_ln_squares: Annotated[list[float], Meta(description="Sum of ln(candidate / stable time to first token)^2.")] | UnsetType = UNSET
    pair_time_to_first_token_ratio_histogram: Annotated[list[Histogram], Meta(description="Histogram of candidate / stable time to first token: log buckets, within 1 %.")] | UnsetType = UNSET
    pair_output_tokens_count: Annotated[list[Count], Meta(description="Answered pairs with a known number of output tokens on both sides.")] | UnsetType = UNSET
    pair_output_tokens_stable_sum: Annotated[list[int], Meta(description="Sum of stable's number of output tokens over these pairs.")] | UnsetType = UNSET
    pair_output_tokens_candidate_sum: Annotated[list[int], Meta(description="Sum of the candidate's number of output tokens over these pairs.")] | UnsetType = UNSET
    pair_output_tokens_stable_squares: Annotated[list[int], Meta(description="Sum of stable's squared number of output tokens.")] | UnsetType = UNSET
    pair_output_tokens_candidate_squares: Annotated[list[int], Meta(description="Sum of the candidate's squared number of output tokens.")] | UnsetType = UNSET
    pair_output_tokens_products: Annotated[list[int], Meta(description="Sum of stable's x the candidate's number of output tokens.")] | UnsetType = UNSET
    pair_cost_usd_count: Annotated[list[Count], Meta(description="Answered pairs with a known cost on both sides.")] | UnsetType = UNSET
    pair_cost_usd_stable_sum: Annotated[list[float], Meta(description="Sum of stable's cost over these pairs.")] | UnsetType = UNSET
    pair_cost_usd_candidate_sum: Annotated[list[float], Meta(description="Sum of the candidate's cost over these pairs.")] | UnsetType = UNSET
    pair_cost_usd_stable_squares: Annotated[list[float], Meta(description="Sum of stable's squared cost.")] | UnsetType = UNSET
    pair_cost_usd_candidate_squares: Annotated[list[float], Meta(description="Sum of the candidate's squared cost.")] | UnsetType = UNSET
    pair_cost_usd_products: Annotated[list[float], Meta(description="Sum of stable's x the candidate's cost.")] | UnsetType = UNSET
    pair_lost_stable: Annotated[list[Count], Meta(description="Requests whose candidate came and whose stable side never did.")] | UnsetType = UNSET
    pair_lost_stable_candidate_errors: Annotated[list[Count], Meta(description="Of these, requests in which the candidate gave no answer.")] | UnsetType = UNSET
    pair_lost_candidate: Annotated[list[Count], Meta(description="Requests whose stable side came and whose candidate never did.")] | UnsetType = UNSET
    pair_lost_candidate_stable_errors: Annotated[list[Count], Meta(description="Of these, requests in which stable gave no answer.")] | UnsetType = UNSET
    control_pairs: Annotated[list[Count], Meta(description="Pairs that had a control side.")] | UnsetType = UNSET
    control_answered: Annotated[list[Count], Meta(description="Pairs in which both sides answered without error.")] | UnsetType = UNSET
    control_texts: Annotated[list[Count], Meta(description="Pairs in which both sides answered with text.")] | UnsetType = UNSET
    control_identical: Annotated[list[Count], Meta(description="Pairs in which the texts are equal as given.")] | UnsetType = UNSET
    control_identical_folded: Annotated[list[Count], Meta(description="Pairs in which the texts are equal after Unicode NFC and white-space folding.")] | UnsetType = UNSET
    control_similarity_count: Annotated[list[Count], Meta(description="Pairs with a known similarity.")] | UnsetType = UNSET
    control_similarity_sum: Annotated[list[float], Meta(description="Sum of the similarity, 0 to 1.")] | UnsetType = UNSET
    control_similarity_histogram: Annotated[list[Histogram], Meta(description="Histogram of the similarity: floor(100 x value).")] | UnsetType = UNSET
    control_json_compared: Annotated[list[Count], Meta(description="Pairs in which both answers are valid JSON that was expected.")] | UnsetType = UNSET
    control_json_equal: Annotated[list[Count], Meta(description="Pairs in which the JSON values are equal.")] | UnsetType = UNSET
    control_json_changed_fields: Annotated[list[Names], Meta(description="Pairs by field of their JSON that differs, indices of arrays as *.")] | UnsetType = UNSET
    control_tool_calls_compared: Annotated[list[Count], Meta(description="Pairs in which both sides answered, and tools were offered or called.")] | UnsetType = UNSET
    control_tool_calls_match: Annotated[list[Count], Meta(description="Pairs in which the same tools were called with equal arguments, in any order.")] | UnsetType = UNSET
    turns_requests: Annotated[list[Count], Meta(description="Pairs that name their conversation and turn.")] | UnsetType = UNSET
    turns_first: Annotated[list[Count], Meta(description="Of these, first turns.")] | UnsetType = UNSET
    turns_earlier: Annotated[list[Count], Meta(description="Sum of turn - 1 over these: how many turns went before.")] | UnsetType = UNSET
    turns_error_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave no answer, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_error_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_error_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_fallback_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side came from a fallback model, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_fallback_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_fallback_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_truncated_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side stopped at the length limit, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_truncated_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_truncated_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_refused_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side refused to answer, or was filtered, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_refused_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_refused_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_empty_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with nothing: no text but white space, no tool call, no refusal, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_empty_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_empty_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_incomplete_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side streamed an answer without an end, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_incomplete_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_incomplete_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_reasoning_leaked_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with its reasoning in the text, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_reasoning_leaked_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_reasoning_leaked_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_garbled_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with damaged characters, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_garbled_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_garbled_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_repetitive_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in a loop, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_repetitive_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_repetitive_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_constant_answer_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave one answer to different prompts, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_constant_answer_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_constant_answer_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave valid JSON (RFC 8259), of the candidate less that of stable.")] | UnsetType = UNSET
    turns_json_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_schema_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side satisfied the schema, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_json_schema_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_schema_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_call_invalid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_tool_call_invalid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_call_invalid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_call_missing_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side was offered tools and called none, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_tool_call_missing_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_call_missing_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_language_match_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in the language of the request, of the candidate less that of stable.")] | UnsetType = UNSET
    turns_language_match_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_language_match_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_equal_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the JSON values are equal.")] | UnsetType = UNSET
    turns_json_equal_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_json_equal_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_calls_match_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the same tools were called with equal arguments, in any order.")] | UnsetType = UNSET
    turns_tool_calls_match_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    turns_tool_calls_match_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    turns_output_characters_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known length of the text on both sides of both turns: s and c.")] | UnsetType = UNSET
    turns_output_characters_stable_sums: Annotated[list[int], Meta(description="Sum of s_i + s_j over these turn pairs.")] | UnsetType = UNSET
    turns_output_characters_candidate_sums: Annotated[list[int], Meta(description="Sum of c_i + c_j over these turn pairs.")] | UnsetType = UNSET
    turns_output_characters_stable_products: Annotated[list[int], Meta(description="Sum of s_i · s_j over these.")] | UnsetType = UNSET
    turns_output_characters_candidate_products: Annotated[list[int], Meta(description="Sum of c_i · c_j over these.")] | UnsetType = UNSET
    turns_output_characters_cross_products: Annotated[list[int], Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] | UnsetType = UNSET
    turns_output_tokens_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known number of output tokens on both sides of both turns: s and c.")] | UnsetType = UNSET
    turns_output_tokens_stable_sums: Annotated[list[int], Meta(description="Sum of s_i + s_j over these turn pairs.")] | UnsetType = UNSET
    turns_output_tokens_candidate_sums: Annotated[list[int], Meta(description="Sum of c_i + c_j over these turn pairs.")] | UnsetType = UNSET
    turns_output_tokens_stable_products: Annotated[list[int], Meta(description="Sum of s_i · s_j over these.")] | UnsetType = UNSET
    turns_output_tokens_candidate_products: Annotated[list[int], Meta(description="Sum of c_i · c_j over these.")] | UnsetType = UNSET
    turns_output_tokens_cross_products: Annotated[list[int], Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] | UnsetType = UNSET
    turns_cost_usd_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known cost on both sides of both turns: s and c.")] | UnsetType = UNSET
    turns_cost_usd_stable_sums: Annotated[list[float], Meta(description="Sum of s_i + s_j over these turn pairs.")] | UnsetType = UNSET
    turns_cost_usd_candidate_sums: Annotated[list[float], Meta(description="Sum of c_i + c_j over these turn pairs.")] | UnsetType = UNSET
    turns_cost_usd_stable_products: Annotated[list[float], Meta(description="Sum of s_i · s_j over these.")] | UnsetType = UNSET
    turns_cost_usd_candidate_products: Annotated[list[float], Meta(description="Sum of c_i · c_j over these.")] | UnsetType = UNSET
    turns_cost_usd_cross_products: Annotated[list[float], Meta(description="Sum of c_i · s_j + s_i · c_j over these.")] | UnsetType = UNSET
    stable_turns_requests: Annotated[list[Count], Meta(description="Sides that name their conversation and turn.")] | UnsetType = UNSET
    stable_turns_first: Annotated[list[Count], Meta(description="Of these, first turns.")] | UnsetType = UNSET
    stable_turns_earlier: Annotated[list[Count], Meta(description="Sum of turn - 1 over these: how many turns went before.")] | UnsetType = UNSET
    stable_turns_error_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave no answer.")] | UnsetType = UNSET
    stable_turns_error_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_error_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_fallback_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side came from a fallback model.")] | UnsetType = UNSET
    stable_turns_fallback_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_fallback_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_truncated_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side stopped at the length limit.")] | UnsetType = UNSET
    stable_turns_truncated_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_truncated_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_refused_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side refused to answer, or was filtered.")] | UnsetType = UNSET
    stable_turns_refused_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_refused_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_empty_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    stable_turns_empty_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_empty_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_incomplete_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side streamed an answer without an end.")] | UnsetType = UNSET
    stable_turns_incomplete_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_incomplete_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_reasoning_leaked_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with its reasoning in the text.")] | UnsetType = UNSET
    stable_turns_reasoning_leaked_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_reasoning_leaked_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_garbled_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with damaged characters.")] | UnsetType = UNSET
    stable_turns_garbled_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_garbled_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_repetitive_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in a loop.")] | UnsetType = UNSET
    stable_turns_repetitive_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_repetitive_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_constant_answer_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave one answer to different prompts.")] | UnsetType = UNSET
    stable_turns_constant_answer_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_constant_answer_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_json_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    stable_turns_json_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_json_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_json_schema_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side satisfied the schema.")] | UnsetType = UNSET
    stable_turns_json_schema_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_json_schema_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_tool_call_invalid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    stable_turns_tool_call_invalid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_tool_call_invalid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_tool_call_missing_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side was offered tools and called none.")] | UnsetType = UNSET
    stable_turns_tool_call_missing_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_tool_call_missing_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_language_match_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in the language of the request.")] | UnsetType = UNSET
    stable_turns_language_match_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_language_match_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_output_characters_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known length of the text x of both turns.")] | UnsetType = UNSET
    stable_turns_output_characters_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_output_characters_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    stable_turns_output_tokens_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known number of output tokens x of both turns.")] | UnsetType = UNSET
    stable_turns_output_tokens_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_output_tokens_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    stable_turns_cost_usd_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known cost x of both turns.")] | UnsetType = UNSET
    stable_turns_cost_usd_sums: Annotated[list[float], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    stable_turns_cost_usd_products: Annotated[list[float], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    candidate_turns_requests: Annotated[list[Count], Meta(description="Sides that name their conversation and turn.")] | UnsetType = UNSET
    candidate_turns_first: Annotated[list[Count], Meta(description="Of these, first turns.")] | UnsetType = UNSET
    candidate_turns_earlier: Annotated[list[Count], Meta(description="Sum of turn - 1 over these: how many turns went before.")] | UnsetType = UNSET
    candidate_turns_error_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave no answer.")] | UnsetType = UNSET
    candidate_turns_error_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_error_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_fallback_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side came from a fallback model.")] | UnsetType = UNSET
    candidate_turns_fallback_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_fallback_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_truncated_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side stopped at the length limit.")] | UnsetType = UNSET
    candidate_turns_truncated_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_truncated_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_refused_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side refused to answer, or was filtered.")] | UnsetType = UNSET
    candidate_turns_refused_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_refused_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_empty_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with nothing: no text but white space, no tool call, no refusal.")] | UnsetType = UNSET
    candidate_turns_empty_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_empty_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_incomplete_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side streamed an answer without an end.")] | UnsetType = UNSET
    candidate_turns_incomplete_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_incomplete_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_reasoning_leaked_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with its reasoning in the text.")] | UnsetType = UNSET
    candidate_turns_reasoning_leaked_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_reasoning_leaked_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_garbled_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered with damaged characters.")] | UnsetType = UNSET
    candidate_turns_garbled_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_garbled_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_repetitive_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in a loop.")] | UnsetType = UNSET
    candidate_turns_repetitive_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_repetitive_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_constant_answer_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave one answer to different prompts.")] | UnsetType = UNSET
    candidate_turns_constant_answer_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_constant_answer_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_json_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side gave valid JSON (RFC 8259).")] | UnsetType = UNSET
    candidate_turns_json_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_json_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_json_schema_valid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side satisfied the schema.")] | UnsetType = UNSET
    candidate_turns_json_schema_valid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_json_schema_valid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_tool_call_invalid_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema.")] | UnsetType = UNSET
    candidate_turns_tool_call_invalid_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_tool_call_invalid_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_tool_call_missing_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side was offered tools and called none.")] | UnsetType = UNSET
    candidate_turns_tool_call_missing_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_tool_call_missing_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_language_match_pairs: Annotated[list[Count], Meta(description="Turn pairs in which x is known of both turns; x is 1 where the side answered in the language of the request.")] | UnsetType = UNSET
    candidate_turns_language_match_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_language_match_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_output_characters_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known length of the text x of both turns.")] | UnsetType = UNSET
    candidate_turns_output_characters_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_output_characters_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    candidate_turns_output_tokens_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known number of output tokens x of both turns.")] | UnsetType = UNSET
    candidate_turns_output_tokens_sums: Annotated[list[int], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_output_tokens_products: Annotated[list[int], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    candidate_turns_cost_usd_pairs: Annotated[list[Count], Meta(description="Turn pairs with a known cost x of both turns.")] | UnsetType = UNSET
    candidate_turns_cost_usd_sums: Annotated[list[float], Meta(description="Sum of x_i + x_j over these turn pairs.")] | UnsetType = UNSET
    candidate_turns_cost_usd_products: Annotated[list[float], Meta(description="Sum of x_i · x_j over these.")] | UnsetType = UNSET
    quality_pairs: Annotated[list[Count], Meta(description="Pairs that the evaluator judged.")] | UnsetType = UNSET
    quality_preference_histogram: Annotated[list[Histogram], Meta(description="Pairs by how far the candidate is preferred to stable, in tenths of the scale from -10 (stable is best) to 10.")] | UnsetType = UNSET
    quality_score_histogram: Annotated[list[Histogram], Meta(description="Pairs by the candidate's score less stable's, in tenths of the scale from -10 (stable is best) to 10.")] | UnsetType = UNSET
    quality_score_stable_sum: Annotated[list[float], Meta(description="Sum of stable's scores, as shares of the evaluator's range.")] | UnsetType = UNSET
    quality_score_candidate_sum: Annotated[list[float], Meta(description="Sum of the candidate's scores, likewise.")] | UnsetType = UNSET
    quality_orders: Annotated[list[Count], Meta(description="Orders of the two answers in which one or neither was preferred.")] | UnsetType = UNSET
    quality_first_preferred: Annotated[list[Count], Meta(description="Of these, orders in which the answer shown first was preferred.")] | UnsetType = UNSET
    quality_second_preferred: Annotated[list[Count], Meta(description="Of these, orders in which the one shown second was preferred.")] | UnsetType = UNSET
    quality_both_orders: Annotated[list[Count], Meta(description="Pairs that were asked in both orders.")] | UnsetType = UNSET
    quality_both_orders_alike: Annotated[list[Count], Meta(description="Of these, pairs in which both gave the same answer, or neither.")] | UnsetType = UNSET
    quality_turns: Annotated[list[Count], Meta(description="Pairs that name their conversation and turn.")] | UnsetType = UNSET
    quality_first_turns: Annotated[list[Count], Meta(description="Of these, first turns.")] | UnsetType = UNSET
    quality_earlier_turns: Annotated[list[float], Meta(description="Sum of (turn - 1) x share that is sampled over these: how many judged turns went before.")] | UnsetType = UNSET
    noise_preference_histogram: Annotated[list[Histogram], Meta(description="Pairs by how far stable's second run is preferred to stable, in tenths of the scale from -10 (stable is best) to 10.")] | UnsetType = UNSET
    noise_score_histogram: Annotated[list[Histogram], Meta(description="Pairs by stable's second run's score less stable's, in tenths of the scale from -10 (stable is best) to 10.")] | UnsetType = UNSET
    unresolved_awaiting_stable: Annotated[list[Count], Meta(description="Requests that wait for stable, or for their control.")] | UnsetType = UNSET
    unresolved_awaiting_stable_errors: Annotated[list[Count], Meta(description="Of these, requests whose candidate side is there and gave no answer.")] | UnsetType = UNSET
    unresolved_awaiting_stable_fallbacks: Annotated[list[Count], Meta(description="Of these, requests whose candidate side is there and came from a fallback model.")] | UnsetType = UNSET
    unresolved_awaiting_candidate: Annotated[list[Count], Meta(description="Requests whose stable side is there, and that wait for the candidate.")] | UnsetType = UNSET
    unresolved_awaiting_candidate_errors: Annotated[list[Count], Meta(description="Of these, requests whose stable side is there and gave no answer.")] | UnsetType = UNSET
    unresolved_awaiting_candidate_fallbacks: Annotated[list[Count], Meta(description="Of these, requests whose stable side is there and came from a fallback model.")] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError for lists of different lengths, and for windows without an end."""
        n_rows = len(self.window_start)
        lengths = {len(values) for values in astuple(self) if values is not UNSET}
        if lengths != {n_rows}:
            raise ValueError(f"not every column has a value for each of {n_rows} rows")
        if n_rows and max(self.window_start).year == dt.MAXYEAR:
            raise ValueError(f"a window may end after the year {dt.MAXYEAR}")
