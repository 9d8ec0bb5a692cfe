"""Reads chat completions in OpenAI's shape, objects or dictionaries, whole or streamed.

Most clients and gateways answer in this shape: `openai`, `litellm`, vLLM, Ollama.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from understudy.gateways.call_reader import (
    MAX_TEXT,
    NO_FACTS,
    AnswerFacts,
    ReadingFailed,
    StreamReader,
    text_of,
)
from understudy.schemas.events import Expects, Request, Response, Tool, ToolCall, Usage

_EXPECTS: Final[dict[Any, Expects]] = {"json_object": "json", "json_schema": "json_schema"}
_MOST_TOKENS: Final = 2**31 - 1
"""What an event holds."""


class ChatCompletions:
    """The `CallReader` of `client.chat.completions.create` and what is called like it."""

    def read_request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Read `messages`, `tools` and `response_format`."""
        wanted = kwargs.get("response_format")
        schema = get(get(wanted, "json_schema"), "name")
        return Request(
            prompt=prompt_of(kwargs.get("messages", args[0] if args else None)),
            expects=_EXPECTS.get(get(wanted, "type"), "text"),
            schema_id=schema if isinstance(schema, str) else None,
            tools=tuple(_tools(kwargs.get("tools") or ())) or None,
        )

    def read_answer(self, answer: Any) -> AnswerFacts:
        """Read the first choice, as events have one answer a side."""
        choice = _first(get(answer, "choices"))
        if choice is None:
            raise ReadingFailed("the completion has no choice")
        message = get(choice, "message")
        response = Response(
            model=text_of(get(answer, "model")),
            output=text_of(get(message, "content")),
            tool_calls=tuple(map(_tool_call, get(message, "tool_calls") or ())) or None,
            finish_reason=text_of(get(choice, "finish_reason")),
            refusal=text_of(get(message, "refusal")),
            reasoning=text_of(get(message, "reasoning_content")),
        )
        return AnswerFacts(response, usage_of(get(answer, "usage")))

    def stream_reader(self) -> StreamReader:
        """Return a reader of chunks with `delta`."""
        return ChatChunks()


class _ToolCallParts(msgspec.Struct):
    """A tool call, as its parts come in."""

    name: str = ""
    arguments: list[str] = msgspec.field(default_factory=list)


class ChatChunks:
    """One streamed chat completion; usage is in the last chunk where the caller asks for it."""

    def __init__(self) -> None:
        self.characters = 0
        self._texts: dict[str, list[str]] = {"content": [], "refusal": [], "reasoning_content": []}
        self._calls: dict[int, _ToolCallParts] = {}
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None

    def add(self, chunk: Any) -> bool:
        """Take a chunk: the first choice of it. One of another shape counts as the beginning."""
        choices = get(chunk, "choices")
        if choices is None:
            return True
        self._model = self._model or text_of(get(chunk, "model"))
        self._usage = usage_of(get(chunk, "usage")) or self._usage
        choice = _first(choices)
        if choice is None:
            return False
        self._finish_reason = text_of(get(choice, "finish_reason")) or self._finish_reason
        delta = get(choice, "delta")
        before = self.characters
        for name, parts in self._texts.items():
            self._take(parts, text_of(get(delta, name)))
        calls = get(delta, "tool_calls") or ()
        for call in calls:
            self._take_tool_call(call)
        return self.characters > before or bool(calls)

    def facts(self) -> AnswerFacts:
        """Return the answer so far."""
        text = {name: "".join(parts) if parts else None for name, parts in self._texts.items()}
        calls = tuple(
            ToolCall(one.name, _encoded("".join(one.arguments)))
            for _, one in sorted(self._calls.items())
        )
        response = Response(
            model=self._model,
            output=text_of(text["content"]),
            tool_calls=calls or None,
            finish_reason=self._finish_reason,
            refusal=text_of(text["refusal"]),
            reasoning=text_of(text["reasoning_content"]),
            stream=True,
        )
        return AnswerFacts(response, self._usage)

    def _take(self, parts: list[str], text: str | None) -> None:
        """Keep no more of an endless answer than an event can hold."""
        if text:
            if self.characters <= MAX_TEXT:
                parts.append(text)
            self.characters += len(text)

    def _take_tool_call(self, call: Any) -> None:
        place = get(call, "index")
        parts = self._calls.setdefault(
            place if isinstance(place, int) else len(self._calls), _ToolCallParts()
        )
        function = get(call, "function")
        parts.name = parts.name or text_of(get(function, "name")) or ""
        self._take(parts.arguments, text_of(get(function, "arguments")))


class PlainCalls(ChatCompletions):
    """The `CallReader` of functions that take and return text, or chat completions.

    The prompt is the argument `messages` or `prompt`, else the first one. Of other answers nothing
    is known but that they came.
    """

    def read_request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Read text, or a chat completion's arguments."""
        asked = kwargs.get("prompt", args[0] if args else None)
        if isinstance(asked, str):
            return Request(prompt=prompt_of(asked))
        return super().read_request(args, kwargs)

    def read_answer(self, answer: Any) -> AnswerFacts:
        """Read text or a chat completion."""
        if isinstance(answer, str):
            return AnswerFacts(Response(output=text_of(answer)))
        if get(answer, "choices") is not None:
            return super().read_answer(answer)
        return NO_FACTS

    def stream_reader(self) -> StreamReader:
        """Return a reader of chunks that are text, or those of chat completions."""
        return PlainChunks()


class PlainChunks(ChatChunks):
    """One answer streamed as text, or as a chat completion."""

    def add(self, chunk: Any) -> bool:
        """Take a chunk."""
        if isinstance(chunk, str):
            self._take(self._texts["content"], text_of(chunk))
            return bool(chunk)
        return super().add(chunk)


def get(holder: Any, name: str) -> Any:
    """Return a field of an object or of a dictionary; None where there is none."""
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def prompt_of(messages: Any) -> str | None:
    """Return the text of messages, from which the language of a request is detected.

    Those of the system say nothing of the user's language, so they are left out.
    """
    if isinstance(messages, str):
        return text_of(messages[:MAX_TEXT])
    if not isinstance(messages, list | tuple):
        return None
    texts = [
        text
        for message in messages
        if get(message, "role") not in ("system", "developer", "tool")
        for text in _texts_of(get(message, "content"))
    ]
    return text_of("\n".join(texts)[:MAX_TEXT]) or None


def usage_of(usage: Any) -> Usage | None:
    """Return what OpenAI's `usage` says; None where it says nothing."""
    if usage is None:
        return None
    found = Usage(
        input_tokens=_count(get(usage, "prompt_tokens")),
        output_tokens=_count(get(usage, "completion_tokens")),
        cached_input_tokens=_count(get(get(usage, "prompt_tokens_details"), "cached_tokens")),
        reasoning_tokens=_count(get(get(usage, "completion_tokens_details"), "reasoning_tokens")),
    )
    return None if found.input_tokens is None and found.output_tokens is None else found


def _texts_of(content: Any) -> Iterable[str]:
    if isinstance(content, str):
        return (content,)
    if not isinstance(content, list | tuple):
        return ()
    texts = (get(part, "text") for part in content)
    return [text for text in texts if isinstance(text, str)]


def _tools(tools: Iterable[Any]) -> Iterable[Tool]:
    for tool in tools:
        function = get(tool, "function")
        name = get(function, "name")
        if isinstance(name, str):
            yield Tool(name, msgspec.Raw(msgspec.json.encode(get(function, "parameters"))))


def _tool_call(call: Any) -> ToolCall:
    function = get(call, "function")
    name = text_of(get(function, "name"))
    return ToolCall(name or "", _encoded(text_of(get(function, "arguments"))))


def _encoded(arguments: str | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(arguments))


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list | tuple) and values else None


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if is_count else None
