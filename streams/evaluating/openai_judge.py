"""A judge model behind any endpoint that speaks OpenAI's chat completions, by the real client.

Servers differ in what they take: whether they hold a model to a JSON Schema, how the limit of
tokens is called, whether a temperature may be given. Each refusal of such a parameter is answered
by leaving it out, and remembered once that has helped. The client itself does not retry: each call
counts against the budget, and is made by the caller.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from understudy.streams.errors import WRONG_USAGE, CommandError
from understudy.streams.evaluating.judge_answer import JUDGEMENT_SCHEMA
from understudy.streams.evaluating.judge_model import JudgeReply, JudgeUnavailable
from understudy.streams.evaluating.prompts import Question
from understudy.streams.settings import EvaluatingSettings

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletion

_CHATTY: Final = ("httpx", "httpx2", "httpcore", "httpcore2", "openai")
"""Loggers of the client's releases, which write a line for each call, with its URL."""
_TOKENS_PER_MILLION: Final = 1_000_000
_FRAME_TOKENS: Final = 64
"""What a chat template adds to two messages, and then some."""
_MOST_TOKENS: Final = 100_000_000
"""Of one call: far beyond any context, and a record can hold the sum of several."""
_MOST_USD: Final = 100.0
"""Of one call, likewise."""
_MISCONFIGURED: Final = frozenset({401, 403, 404})
"""The key or the model is wrong. An operator will mend it, so the sample waits, and asks seldom."""
_MISCONFIGURED_RETRY_S: Final = 30.0
_PASSING_STATUS: Final = frozenset({408, 409, 425, 429})
"""Besides all from 500 on: the same request may succeed later."""
_NO_KEY: Final = "none"
"""Local servers need no key, the client does."""
_MAX_DETAIL: Final = 300
"""Characters of a failure in a log line."""
_MAX_NAME_CHARACTERS: Final = 64
"""Characters of a code, type or name of a parameter that a server tells."""

_SCHEMA_FORMAT: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "judgement", "strict": True, "schema": JUDGEMENT_SCHEMA},
}
Parameters = dict[str, Any]
_ADAPTATIONS: Final[tuple[tuple[str, str, Callable[[Parameters], Parameters]], ...]] = (
    (
        "response_format",
        "json_schema",
        lambda now: {**now, "response_format": {"type": "json_object"}},
    ),
    ("response_format", "json_object", lambda now: _without(now, "response_format")),
    (
        "max_tokens",
        "",
        lambda now: {**_without(now, "max_tokens"), "max_completion_tokens": now["max_tokens"]},
    ),
    ("temperature", "", lambda now: _without(now, "temperature")),
)
"""The parameter that a server refuses, the form of it that was sent, and what to send instead."""
_REFUSES: Final = re.compile(
    r"unsupported|not (?:be )?support|unknown|unrecogni[sz]ed|not (?:permitted|allowed)"
    r"|invalid parameter|invalid value|supported values|unavailable|deprecated|\binstead\b"
    r"|must be (?:one of\b|['\"])"
)
"""What a server says of a parameter that it does not know, in lower case. That a value is too large
or a prompt improper concerns one request alone."""


def checked_endpoint(settings: EvaluatingSettings) -> EvaluatingSettings:
    """Return settings whose URL and key a client can use, the key without spaces around it.

    Raises `CommandError`, which tells neither, since a URL may hold a password.
    """
    try:
        parts = urlsplit(settings.base_url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an address that cannot be
        is_url = False
    if not is_url or re.search(r"[\s\x00-\x1f\x7f]", settings.base_url):
        raise CommandError("[evaluating] base_url is no URL; give one such as "
                           "http://localhost:11434/v1", WRONG_USAGE)  # fmt: skip
    key = settings.api_key.strip()
    if not (key.isascii() and key.isprintable()):
        raise CommandError("[evaluating] api_key: a key has printable ASCII characters alone",
                           WRONG_USAGE)  # fmt: skip
    return msgspec.structs.replace(settings, api_key=key)


def _without(parameters: Parameters, name: str) -> Parameters:
    return {key: value for key, value in parameters.items() if key != name}


class OpenAIJudge:
    """The judge model that the settings name."""

    def __init__(self, settings: EvaluatingSettings) -> None:
        """Raise `CommandError` without the client, and for a URL or key that cannot be used."""
        try:
            import openai
        except ImportError:
            raise CommandError(
                "evaluating by a judge model needs the package openai; "
                "install it with: pip install 'understudy[evaluating]'",
                WRONG_USAGE,
            ) from None
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._openai = openai
        self._settings = settings = checked_endpoint(settings)
        self._client = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=settings.api_key or _NO_KEY,
            timeout=settings.timeout_s,
            max_retries=0,
        )
        self._parameters: Parameters = {
            "response_format": _SCHEMA_FORMAT,
            "max_tokens": settings.max_output_tokens,
            "temperature": settings.temperature,
        }

    @property
    def is_priced(self) -> bool:
        """Whether both prices are set."""
        return self._prices is not None

    @property
    def _prices(self) -> tuple[float, float] | None:
        """US dollars for a million tokens, in and out."""
        of_input = self._settings.input_usd_per_million_tokens
        of_output = self._settings.output_usd_per_million_tokens
        return None if of_input is None or of_output is None else (of_input, of_output)

    def most_usd(self, utf8_bytes: int) -> float:
        """Return the price of a token for each byte in, and of all tokens that may come out.

        No token of a byte-level tokenizer is empty.
        """
        return self._usd(utf8_bytes + _FRAME_TOKENS, self._settings.max_output_tokens)

    def cost_usd(self, reply: JudgeReply, question: Question) -> float:
        """Return what the server says, else tokens by their price, else the most."""
        if reply.cost_usd is not None:
            return reply.cost_usd
        if reply.input_tokens is None or reply.output_tokens is None:
            return self.most_usd(question.utf8_bytes)
        return self._usd(reply.input_tokens, reply.output_tokens)

    def _usd(self, input_tokens: int, output_tokens: int) -> float:
        of_input, of_output = self._prices or (0.0, 0.0)
        return (input_tokens * of_input + output_tokens * of_output) / _TOKENS_PER_MILLION

    async def ask(self, question: Question) -> JudgeReply:
        """Ask once, and again at once for each parameter that the server refuses."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._ask(question)
        except (TimeoutError, self._openai.APITimeoutError):
            limit = f"no answer within {self._settings.timeout_s:g} s"
            raise JudgeUnavailable("timeout", limit, is_passing=True) from None
        except self._openai.APIStatusError as error:
            raise self._status_failure(error) from None
        except self._openai.APIConnectionError as error:
            detail = self._tellable(str(error.__cause__ or error), _MAX_DETAIL)
            raise JudgeUnavailable("unreachable", detail, is_passing=True) from None
        except Exception as error:
            # Whatever a server answers, reading it ends no worker. What the error quotes may be
            # a prompt.
            detail = f"not the API of chat completions: {type(error).__name__}"
            raise JudgeUnavailable("protocol", detail, is_passing=False) from None

    async def _ask(self, question: Question) -> JudgeReply:
        parameters, has_learned = self._parameters, False
        while True:
            try:
                completion = await self._create(question, parameters)
            except self._openai.APIStatusError as error:
                adapted = _adapted(parameters, error)
                if adapted is None:
                    raise
                parameters, has_learned = adapted, True
            else:
                if has_learned:
                    self._parameters = parameters
                return _reply_of(completion)

    def _status_failure(self, error: openai.APIStatusError) -> JudgeUnavailable:
        """Tell a status and what the server calls it; its message may quote prompt or key."""
        status = error.status_code
        is_misconfigured = status in _MISCONFIGURED
        is_passing = is_misconfigured or status in _PASSING_STATUS or status >= 500
        reason = "rate_limit" if status == 429 else str(status)
        details = [_status_text(status)]
        for name in ("code", "type", "param"):
            value = getattr(error, name, None)
            if isinstance(value, str | int) and value != "":
                details.append(f"{name} {self._tellable(str(value), _MAX_NAME_CHARACTERS)}")
        retry_after_s = _MISCONFIGURED_RETRY_S if is_misconfigured else _retry_after_s(error)
        return JudgeUnavailable(
            reason, ", ".join(details), is_passing=is_passing, retry_after_s=retry_after_s
        )

    def _tellable(self, text: str, most_characters: int) -> str:
        """Return text as it may stand in logs: without the key, printable, and short."""
        key = self._settings.api_key
        shown = text.replace(key, "[key]") if key else text
        return "".join(c if c.isprintable() else " " for c in shown[:most_characters])

    async def _create(self, question: Question, parameters: Parameters) -> ChatCompletion:
        completion: ChatCompletion = await self._client.chat.completions.create(
            model=self._settings.model,
            messages=[
                {"role": "system", "content": question.system},
                {"role": "user", "content": question.user},
            ],
            **parameters,
        )
        return completion

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.close()


def _adapted(parameters: Parameters, error: openai.APIStatusError) -> Parameters | None:
    """Return parameters without what a server refuses; None when it refuses something else."""
    if error.status_code not in (400, 422):
        return None
    said = str(error.param or "").lower()
    message = str(error.message).lower()
    if _REFUSES.search(message):
        said += f" {message}"
    for name, form, adapt in _ADAPTATIONS:
        sent = parameters.get(name)
        is_sent = sent is not None and (not form or sent.get("type") == form)
        if is_sent and (name in said or (form and form in said)):
            return adapt(parameters)
    return None


def _status_text(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    """Return what the server asks to wait, in seconds; a date is left to our own pauses."""
    try:
        asked_s = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return asked_s if 0.0 <= asked_s < float("inf") else None


def _reply_of(completion: ChatCompletion) -> JudgeReply:
    """Read an answer; servers that are nearly compatible leave fields out.

    Raises whatever comes of an answer of another form.
    """
    choices = completion.choices or []
    message = choices[0].message if choices else None
    usage = completion.usage
    return JudgeReply(
        text=_text_of(message.content) if message is not None else None,
        model="".join(c for c in str(completion.model or "") if c.isprintable()),
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        is_cut=bool(choices) and choices[0].finish_reason == "length",
        cost_usd=_cost(usage),
    )


def _text_of(content: object) -> str | None:
    """Return a message's text; some servers give it in parts. Raises `TypeError` for others."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("content is no text")
    texts = [part["text"] for part in content if part["type"] == "text"]
    return "".join(texts)


def _count(usage: object, name: str) -> int | None:
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else None


def _cost(usage: object) -> float | None:
    value = getattr(usage, "cost", None)
    if isinstance(value, int | float) and 0 <= value <= _MOST_USD:
        return float(value)
    return None
