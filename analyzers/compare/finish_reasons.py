"""Why an answer ended, whatever a vendor calls it.

The words are those of the vendors' API references; `docs/events.md` has the table with its sources.
Upper and lower case, spaces, hyphens and underscores do not count. A word that is not here is
unknown: it is neither a complete answer nor a broken one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from understudy.schemas.measures import FinishState

VENDOR_REASONS: Final[dict[FinishState, dict[str, tuple[str, ...]]]] = {
    FinishState.STOP: {
        "OpenAI": ("stop", "completed"),
        "Anthropic": ("end_turn", "stop_sequence"),
        "Gemini": ("STOP",),
        "Bedrock": ("end_turn", "stop_sequence", "FINISHED", "FINISH", "STOP_CRITERIA_MET"),
        "Cohere": ("COMPLETE", "STOP_SEQUENCE"),
        "Mistral": ("stop",),
        "DeepSeek": ("stop",),
        "Qwen": ("stop",),
        "GLM": ("stop",),
        "Kimi": ("stop",),
        "MiniMax": ("stop",),
        "Doubao": ("stop",),
        "vLLM": ("stop",),
        "Ollama": ("stop",),
        "watsonx": ("stop", "eos_token", "stop_sequence"),
        "LiteLLM": ("stop", "eos", "eos_token"),
    },
    FinishState.LENGTH: {
        "OpenAI": ("length", "max_output_tokens"),
        "Anthropic": ("max_tokens", "model_context_window_exceeded"),
        "Gemini": ("MAX_TOKENS",),
        "Bedrock": ("max_tokens", "model_context_window_exceeded", "LENGTH"),
        "Cohere": ("MAX_TOKENS", "ERROR_LIMIT"),
        "Mistral": ("length", "model_length"),
        "DeepSeek": ("length",),
        "Qwen": ("length",),
        "GLM": ("length", "model_context_window_exceeded"),
        "Kimi": ("length",),
        "MiniMax": ("length",),
        "Doubao": ("length",),
        "vLLM": ("length",),
        "Ollama": ("length",),
        "watsonx": ("length", "max_tokens", "token_limit"),
        "LiteLLM": ("length",),
    },
    FinishState.TOOL_CALLS: {
        "OpenAI": ("tool_calls", "function_call"),
        "Anthropic": ("tool_use",),
        "Bedrock": ("tool_use",),
        "Cohere": ("TOOL_CALL",),
        "Mistral": ("tool_calls",),
        "DeepSeek": ("tool_calls",),
        "Qwen": ("tool_calls",),
        "GLM": ("tool_calls",),
        "Kimi": ("tool_calls",),
        "MiniMax": ("tool_calls",),
        "Doubao": ("tool_calls",),
        "vLLM": ("tool_calls",),
        "watsonx": ("tool_calls",),
        "LiteLLM": ("tool_calls", "function_call"),
    },
    FinishState.CONTENT_FILTER: {
        "OpenAI": ("content_filter",),
        "Gemini": (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
            "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
        ),
        "Bedrock": ("content_filtered", "guardrail_intervened"),
        "Cohere": ("ERROR_TOXIC",),
        "DeepSeek": ("content_filter",),
        "GLM": ("sensitive",),
        "Kimi": ("content_filter",),
        "MiniMax": ("content_filter",),
        "Doubao": ("content_filter",),
        "LiteLLM": ("content_filter", "guardrail_intervened"),
    },
    FinishState.REFUSAL: {
        "OpenAI": ("refusal",),
        "Anthropic": ("refusal",),
        "LiteLLM": ("refusal",),
    },
    FinishState.ERROR: {
        "OpenAI": ("failed", "cancelled"),
        "Gemini": (
            "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
            "MALFORMED_RESPONSE", "MISSING_THOUGHT_SIGNATURE", "NO_IMAGE",
        ),
        "Bedrock": ("malformed_model_output", "malformed_tool_use"),
        "Cohere": ("ERROR", "TIMEOUT", "USER_CANCEL"),
        "Mistral": ("error",),
        "DeepSeek": ("insufficient_system_resource",),
        "GLM": ("network_error",),
        "vLLM": ("abort", "error"),
        "watsonx": ("cancelled", "error", "time_limit"),
        "LiteLLM": ("error", "malformed_function_call"),
    },
    FinishState.UNKNOWN: {
        "OpenAI": ("incomplete",),
        "Anthropic": ("pause_turn", "compaction"),
        "Gemini": ("FINISH_REASON_UNSPECIFIED", "OTHER", "IMAGE_OTHER"),
        "Qwen": ("null",),
        "Ollama": ("load", "unload"),
        "watsonx": ("not_finished", "null"),
        "LiteLLM": ("unknown", "other", "finish_reason_unspecified"),
    },
}  # fmt: skip
"""What each vendor writes, by what it means."""

_SEPARATORS: Final = str.maketrans("", "", "_- ")


def _word(reason: str) -> str:
    """A reason as it is looked up: `endTurn`, `end-turn` and `END_TURN` are one."""
    return reason.strip().lower().translate(_SEPARATORS)


BROKEN_CALL: Final = frozenset(
    map(_word, ("malformed_function_call", "unexpected_tool_call", "malformed_tool_use"))
)
"""The model tried to call a tool, and its vendor could not read the call."""


_NO_END: Final = frozenset(
    map(
        _word,
        (
            "incomplete", "unknown", "other", "null", "none", "finish_reason_unspecified",
            "not_finished",
        ),
    )
)  # fmt: skip
"""Words for a reason that the vendor does not know, or an answer that is not all there."""


_STATES: Final = {
    _word(reason): state
    for state, vendors in VENDOR_REASONS.items()
    for reasons in vendors.values()
    for reason in reasons
}


@lru_cache(maxsize=1024)
def finish_state(reason: str | None) -> FinishState:
    """What a finish reason means; `ABSENT` where there is none."""
    if not reason:
        return FinishState.ABSENT
    return _STATES.get(_word(reason), FinishState.UNKNOWN)


@lru_cache(maxsize=1024)
def is_broken_call(reason: str | None) -> bool:
    """Whether a finish reason says that a tool call could not be read."""
    return reason is not None and _word(reason) in BROKEN_CALL


@lru_cache(maxsize=1024)
def is_without_end(reason: str | None) -> bool:
    """Whether nothing says that an answer came to its end: no reason, an error, or not known."""
    if finish_state(reason) in (FinishState.ABSENT, FinishState.ERROR):
        return True
    return reason is not None and _word(reason) in _NO_END
