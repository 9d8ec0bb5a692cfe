"""In which language a request is, from what its sides say of it."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.analyzers.compare.language import detect_language
from understudy.analyzers.compare.language_tags import UNDETERMINED, normalize_tag
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.events import Event
from understudy.schemas.feedback import Feedback

PromptLanguages = dict[str, str]
"""Prompts whose language has been looked up; both sides of a request repeat one prompt."""


def request_language(events: Sequence[Event], prompts: PromptLanguages | None = None) -> str:
    """The language of a request from its sides: a tag, else detected in prompt, then output."""
    for event in events:
        tag = named_language(event)
        if tag != UNDETERMINED:
            return tag
    for event in events:
        detected = _prompt_language(event, prompts)
        if detected != UNDETERMINED:
            return detected
    for event in events:
        response = event.response
        if response is not None and response.output and response.output_form != "hashed":
            return detect_language(response.output)
    return UNDETERMINED


def waiting_language(first: Event, prompts: PromptLanguages | None = None) -> str:
    """The language that a request counts as while a side is missing.

    By tag and prompt of the side that was read first. Not by its output: once both sides are there
    another side's may be looked at, and the request would leave the slice that it was counted in.
    """
    tag = named_language(first)
    return tag if tag != UNDETERMINED else _prompt_language(first, prompts)


def named_language(record: Event | Feedback | Evaluation) -> str:
    """The language as a record names it."""
    return tag_named(record.language)


def tag_named(language: str | None) -> str:
    """The tag of a language as gateways write it; undetermined where they write none."""
    return normalize_tag(language) if language else UNDETERMINED


def _prompt_language(event: Event, prompts: PromptLanguages | None) -> str:
    """The language of the prompt that a side repeats."""
    request = event.request
    if request is None or not request.prompt or request.prompt_form == "hashed":
        return UNDETERMINED
    prompt = request.prompt
    if prompts is None:
        return detect_language(prompt)
    language = prompts.get(prompt)
    if language is None:
        language = prompts[prompt] = detect_language(prompt)
    return language
