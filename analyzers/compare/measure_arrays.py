# Written by `python -m understudy.schemas.generate` from schemas/measures.py; do not edit.
# fmt: off
"""The measures of n comparisons, column by column.

Numbers stand in numpy arrays of shape (n,), labels in lists of that length. Missing numbers are
NaN (floats) or -1 (integers); a check that was not made is -1, else 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.analyzers.compare.arrays import Bools, Bytes, Floats, Hashes, Ints


@dataclass(frozen=True, slots=True)
class SideMeasures:
    """What one side answered; n rows."""

    model: list[str]
    """Model that answered; empty when unknown."""
    served: Bools
    """Went to the user."""
    unreadable_fields: list[list[str]]
    """Fields that could not be read as they were written."""
    client_error: Bools
    """Ended because the caller hung up or cancelled."""
    gateway_error: Bools
    """Ended by the gateway itself: a quota, a key, a budget."""
    model_request: Bools
    """Was answered or failed by the model itself."""
    error: Bools
    """Gave no answer."""
    timeout: Bools
    """Gave no answer because of a timeout."""
    unreadable: Bools
    """Gave an answer that cannot be read."""
    error_type: list[str]
    """Type of the error; empty without one."""
    error_status: Ints
    """HTTP status of the error; 0 without one."""
    fallback_known: Bools
    """Said whether a fallback model answered."""
    fallback: Bools
    """Came from a fallback model."""
    attempts: Ints
    """Attempts made, the last included."""
    cache_hit: Bools
    """Came from the gateway's cache."""
    finish_reason: list[str]
    """Why the model stopped, in the gateway's word."""
    finish_state: Bytes
    """Why the model stopped, whatever its vendor calls it."""
    finish_reason_known: Bools
    """Answered and said why it stopped."""
    truncated: Bools
    """Stopped at the length limit."""
    content_filtered: Bools
    """Ended at a content filter."""
    answered: Bools
    """Answered, whatever it said."""
    refused: Bools
    """Refused to answer, or was filtered."""
    empty: Bools
    """Answered with nothing: no text but white space, no tool call, no refusal."""
    incomplete: Bools
    """Streamed an answer without an end."""
    reasoning_leaked: Bools
    """Answered with its reasoning in the text."""
    reasoning_characters: Ints
    """Length of the reasoning in code points."""
    text: Bools
    """Answered with text that is not empty."""
    garbled: Bools
    """Answered with damaged characters."""
    repetitive: Bools
    """Answered in a loop."""
    constant_checked: Bools
    """Answered after others, to other prompts, that it can be held against."""
    constant_answer: Bools
    """Gave one answer to different prompts."""
    output_characters: Ints
    """Length of the text in code points; NULL without text."""
    output_hash: Hashes
    """xxHash64 of the text in UTF-8, equal to xxHash64(text) in SQL; 0 without text."""
    json_state: Bytes
    """What became of an answer that should have been JSON."""
    json_schema_valid: Bytes
    """Whether the JSON satisfies the schema named by schema_id."""
    tools_offered: Bools
    """Answered a request that offered tools."""
    tool_call_count: Ints
    """Tool calls in the answer."""
    tool_arguments_invalid: Bools
    """Called a tool with arguments that form no JSON object."""
    tool_call_invalid: Bools
    """Called a tool in a way that cannot be executed: no name, a tool that was not offered, arguments that form no JSON object or do not satisfy the tool's schema."""
    tool_call_missing: Bools
    """Was offered tools and called none."""
    output_language: list[str]
    """BCP 47 tag of the text, und when unsure, empty when not examined."""
    language_match: Bytes
    """Whether the text is in the language of the request."""
    duration_ms: Floats
    """Time to the complete answer in ms; NULL when unknown."""
    time_to_first_token_ms: Floats
    """Time to the first token in ms; NULL unless streamed."""
    input_tokens: Ints
    """Tokens of the prompt; NULL when unknown."""
    cached_input_tokens: Ints
    """Tokens of the prompt that the provider had cached; NULL when unknown."""
    reasoning_tokens: Ints
    """Tokens of the reasoning; NULL when unknown."""
    output_tokens: Ints
    """Tokens of the answer; NULL when unknown."""
    unpriced: Bools
    """Cost 0 for tokens, which is no price."""
    cost_usd: Floats
    """Price of the call in US dollars; NULL when unknown or unpriced."""

    def __len__(self) -> int:
        return len(self.model)


@dataclass(frozen=True, slots=True)
class PairMeasures:
    """How a candidate differs from its stable; n rows."""

    answered: Bools
    """Both sides answered without error."""
    texts: Bools
    """Both sides answered with text."""
    identical: Bools
    """The texts are equal as given."""
    identical_folded: Bools
    """The texts are equal after Unicode NFC and white-space folding."""
    similarity: Floats
    """Similarity of the texts, 0 to 1; NULL unless both sides have text."""
    similarity_method: Bytes
    """How the similarity was computed."""
    json_compared: Bools
    """Both answers are valid JSON that was expected."""
    json_equal: Bools
    """The JSON values are equal."""
    json_difference_count: Ints
    """Structural differences found, bounded per pair."""
    json_difference_paths: list[list[str]]
    """Where the documents differ, the first few."""
    json_changed_fields: list[list[str]]
    """Where the documents differ, indices of arrays as *."""
    json_difference_kinds: list[list[str]]
    """How they differ at each path: missing, extra, type, value or order."""
    tool_calls_compared: Bools
    """Both sides answered, and tools were offered or called."""
    tool_names_match: Bools
    """The same tools were called, in any order."""
    tool_calls_match: Bools
    """The same tools were called with equal arguments, in any order."""
    finish_reason_match: Bools
    """Both sides answered and stopped for the same reason."""
    request_time_skewed: Bools
    """The sides have different request times, within the tolerance."""

    def __len__(self) -> int:
        return len(self.answered)


@dataclass(frozen=True, slots=True)
class ControlMeasures:
    """How stable differs from a second run of itself; n rows."""

    answered: Bools
    """Both sides answered without error."""
    texts: Bools
    """Both sides answered with text."""
    identical: Bools
    """The texts are equal as given."""
    identical_folded: Bools
    """The texts are equal after Unicode NFC and white-space folding."""
    similarity: Floats
    """Similarity of the texts, 0 to 1; NULL unless both sides have text."""
    json_compared: Bools
    """Both answers are valid JSON that was expected."""
    json_equal: Bools
    """The JSON values are equal."""
    json_changed_fields: list[list[str]]
    """Where the documents differ, indices of arrays as *."""
    tool_calls_compared: Bools
    """Both sides answered, and tools were offered or called."""
    tool_calls_match: Bools
    """The same tools were called with equal arguments, in any order."""

    def __len__(self) -> int:
        return len(self.answered)
