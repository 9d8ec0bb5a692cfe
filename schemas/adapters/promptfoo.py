"""Results of promptfoo evaluations, as `--output` writes them: JSON of version 3, or JSON lines.

A row is one answer of one provider to one prompt with one set of variables. Neither its index nor
its random id names that in another run, so the variables and the prompt do. An assertion that
failed is promptfoo's verdict on an answer, and no error of the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from understudy.schemas.adapters.recorded_answer import answer_of
from understudy.schemas.adapters.recording import (
    FoundAnswer,
    Place,
    ReadingOptions,
    Record,
    hash_id,
    look_up,
    without_unknown,
)

_ERROR: Final = 2
"""`failureReason` of a row whose provider failed; 1 is an assertion that failed."""
_JSON_ASSERTION: Final = "is-json"
_STATUSES: Final = range(400, 600)
"""Of HTTP, as they stand in promptfoo's messages: `API error: 503 Service Unavailable`."""


def is_results(record: Record) -> bool:
    """Whether a document is an evaluation with its rows."""
    results = record.get("results")
    return isinstance(results, Mapping) and isinstance(results.get("results"), list)


def is_row(record: Record) -> bool:
    """Whether a record is a row of an evaluation."""
    return {"promptIdx", "testIdx", "provider"} <= record.keys()


def rows_of(record: Record, place: Place) -> Iterator[tuple[Place, Any]]:
    """The rows of an evaluation with their places."""
    for number, row in enumerate(record["results"]["results"]):
        yield place._replace(path=f"results.results[{number}]"), row


def answer_of_row(row: Record, place: Place, options: ReadingOptions) -> FoundAnswer:
    """The answer in a row. Raises ValueError where nothing names its test case."""
    response = _mapping(row.get("response"))
    usage = _mapping(response.get("tokenUsage") or row.get("tokenUsage"))
    details = _mapping(usage.get("completionDetails"))
    prompt = _mapping(row.get("prompt")).get("raw")
    is_cached = response.get("cached")
    answer = answer_of(
        without_unknown(
            {
                "id": _id(row, prompt, options),
                "conversation_id": _mapping(row.get("metadata")).get("conversationId"),
                "request": {"prompt": prompt, "expects": _expects(row)},
                "response": {
                    "output": _text(response.get("output")),
                    "finish_reason": response.get("finishReason"),
                    "refusal": _refusal(response),
                    "cache_hit": True if is_cached else None,
                },
                "error": _error(row, response),
                "usage": {
                    "input_tokens": usage.get("prompt") or None,
                    "output_tokens": usage.get("completion") or None,
                    "cached_input_tokens": details.get("cacheReadInputTokens") or None,
                    "reasoning_tokens": details.get("reasoning") or None,
                    "cost_usd": response.get("cost", row.get("cost")),
                },
                "timing": {"duration_ms": None if is_cached else row.get("latencyMs")},
            }
        )
    )
    return FoundAnswer(
        answer, place, _names(row["provider"]), f"{row['testIdx']}/{row['promptIdx']}"
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _id(row: Record, prompt: Any, options: ReadingOptions) -> Any:
    if options.id_name:
        return look_up(row, options.id_name)
    variables = row.get("vars")
    return hash_id(variables, row.get("promptId")) if variables else hash_id(prompt)


def _names(provider: Any) -> tuple[str, ...]:
    """What a provider is called: its label, its id, or both."""
    if isinstance(provider, Mapping):
        given = (provider.get("label"), provider.get("id"))
    else:
        given = (provider, None)
    return tuple(dict.fromkeys(str(one) for one in given if one))


def _text(output: Any) -> Any:
    """An answer that promptfoo has parsed, as text again; nothing else is lost of it."""
    return (
        output
        if output is None or isinstance(output, str)
        else json.dumps(output, ensure_ascii=False)
    )


def _refusal(response: Mapping[str, Any]) -> Any:
    return response.get("output") if response.get("isRefusal") is True else None


def _expects(row: Record) -> str | None:
    checks = _mapping(row.get("testCase")).get("assert")
    found = checks if isinstance(checks, list) else []
    return "json" if any(_mapping(one).get("type") == _JSON_ASSERTION for one in found) else None


def _error(row: Record, response: Mapping[str, Any]) -> Any:
    message = response.get("error") or (
        row.get("error") if row.get("failureReason") == _ERROR else ""
    )
    if not message and response.get("output") is None and not row.get("response"):
        message = row.get("error") or "no_response"
    if not message:
        return None
    message = str(message)
    words = (word.strip(":,.()[]") for word in message.split())
    status = next((int(w) for w in words if w.isdecimal() and int(w) in _STATUSES), None)
    return {"type": message if status is None else str(status), "status": status}
