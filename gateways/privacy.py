"""What of prompts and answers leaves the gateway: all, a redacted text, its beginning, or a hash.

An event says what its gateway made of a text (`prompt_form`, `output_form`), so that a worker does
not take a hash for an answer that is no JSON: what a text cannot tell any more is not measured.
`docs/privacy.md` lists what each choice gives up. Pure, but for what `redact` does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from understudy.schemas.events import Event, Request, Response, TextForm, Tool, ToolCall
from understudy.schemas.redaction.redact import redact

OutputRule = Literal["keep", "redact", "truncate", "hash"]
PromptRule = Literal["keep", "redact", "truncate", "hash", "omit"]
ConversationRule = Literal["keep", "hash"]

_DIGEST_BYTES: Final = 16
"""128 bits: no two answers of a rollout share a hash by chance."""
DEFAULT_MAX_CHARACTERS: Final = 200
"""A sentence or two: enough to tell the language."""


def redact_patterns(patterns: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that replaces what matches a pattern by its name in square brackets.

    For a rule of your own; add `redact` for what the default finds. Patterns are tried in their
    order. Texts come from models and users: bound the repetitions.
    """
    rules = [(re.compile(pattern), f"[{name}]") for name, pattern in patterns.items()]

    def replace(text: str) -> str:
        for pattern, replacement in rules:
            text = pattern.sub(replacement, text)
        return text

    return replace


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What to make of each text before it leaves. By default, everything is kept.

    `output` is also the rule of refusals, of reasoning and of the arguments of tool calls. `secret`
    keys the hashes: without one, who guesses a short text can check the guess. All gateways of a
    rollout need the same, or equal texts have unequal hashes.
    """

    prompt: PromptRule = "keep"
    output: OutputRule = "keep"
    conversation: ConversationRule = "keep"
    keep_attributes: bool = True
    max_characters: int = DEFAULT_MAX_CHARACTERS
    secret: bytes = b""
    redact: Callable[[str], str] = redact

    @property
    def redacts(self) -> bool:
        """Whether `redact` is called, which may take its time."""
        return "redact" in (self.prompt, self.output)

    def protect(self, event: Event) -> Event:
        """Return the event as it may leave. Raises what `redact` raises."""
        request, response = event.request, event.response
        return msgspec.structs.replace(
            event,
            request=None if request is None else self._request(request),
            response=None if response is None else self._response(response, request),
            conversation_id=self.conversation_id(event.conversation_id),
            attributes=event.attributes if self.keep_attributes else None,
        )

    def conversation_id(self, name: str | None) -> str | None:
        """Return the id of a conversation as it may leave; it is part of the key of an event."""
        return self._hash(name) if name and self.conversation == "hash" else name

    def _hash(self, text: str) -> str:
        encoded = text.encode("utf-8", "surrogatepass")
        key = self.secret[: hashlib.blake2b.MAX_KEY_SIZE]
        return hashlib.blake2b(encoded, digest_size=_DIGEST_BYTES, key=key).hexdigest()

    def _text(self, rule: PromptRule, text: str | None) -> tuple[str | None, TextForm | None]:
        """A text by its rule, and what was made of it; one without content says so itself."""
        if text is None or not text.strip() or rule == "keep":
            return text, None
        match rule:
            case "omit":
                return None, None
            case "hash":
                return self._hash(text), "hashed"
            case "truncate":
                if len(text) <= self.max_characters:
                    return text, None
                return text[: self.max_characters], "truncated"
        redacted = self.redact(text)
        return redacted, "redacted" if redacted != text else None

    def _request(self, request: Request) -> Request:
        prompt, form = self._text(self.prompt, request.prompt)
        tools = request.tools
        if tools is not None and self.output != "keep":
            # Arguments that were replaced would not satisfy a schema of theirs.
            tools = tuple(tool.name if isinstance(tool, Tool) else tool for tool in tools)
        return msgspec.structs.replace(request, prompt=prompt, prompt_form=form, tools=tools)

    def _response(self, response: Response, request: Request | None) -> Response:
        output, form = self._text(self.output, response.output)
        expects = request.expects if request is not None else "text"
        if form == "redacted" and expects not in (None, "text") and not _is_json(response.output):
            form = None  # it was no JSON before, and a worker shall say so
        calls = response.tool_calls
        return msgspec.structs.replace(
            response,
            output=output,
            output_form=form,
            refusal=self._text(self.output, response.refusal)[0],
            reasoning=self._reasoning(response.reasoning),
            tool_calls=None if calls is None else tuple(map(self._call, calls)),
        )

    def _reasoning(self, text: str | None) -> str | None:
        """Only its length is measured, and a hash has none."""
        return None if self.output == "hash" else self._text(self.output, text)[0]

    def _call(self, call: ToolCall) -> ToolCall:
        """A call without what it says; what could not be executed still cannot."""
        raw = bytes(call.arguments)
        if self.output == "keep":
            return call
        if self.output == "redact" and self._redacted(raw) == raw:
            return call
        arguments = _arguments(raw)
        if not arguments and arguments is not _BROKEN:
            return call
        if not isinstance(arguments, dict):
            return ToolCall(call.name, _raw(self._hash(raw.decode("utf-8", "replace"))))
        canonical = msgspec.json.encode(arguments, order="deterministic").decode()
        return ToolCall(call.name, _raw({"hashed": self._hash(canonical)}))

    def _redacted(self, raw: bytes) -> bytes:
        return self.redact(raw.decode("utf-8", "replace")).encode("utf-8", "replace")


_BROKEN: Final = object()
"""Arguments that cannot be read."""


def _arguments(raw: bytes) -> Any:
    """The value of arguments, of which a string holds another one."""
    try:
        value = msgspec.json.decode(raw)
        return msgspec.json.decode(value) if isinstance(value, str) and value else value
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _BROKEN


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _is_json(text: str | None) -> bool:
    try:
        msgspec.json.decode(text or "")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
