"""Reasoning that stands in the text of an answer, where a user would read it.

Models write it between `<think>` and `</think>` before they answer, and gateways that do not know
the tags leave it there. Some chat templates give the first tag as part of the prompt, so that the
text begins in the middle of the reasoning. Where the second tag is missing, the answer never came.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_OPENS_WITHIN: Final = 40
"""Characters, white space mostly; a tag further on is no opening."""
_OPENING: Final = re.compile(r"\s*<(think|thinking|reasoning)>", re.IGNORECASE)


class SplitText(NamedTuple):
    """A text as its reasoning and the answer after it."""

    reasoning: str
    answer: str


def split_reasoning(text: str) -> SplitText | None:
    """Take the reasoning off the beginning of a text; None where it has none."""
    first = text.find("<")
    if first < 0 or (first >= _OPENS_WITHIN and text.find("</think", first) < 0):
        return None
    if opening := _OPENING.match(text):
        inner = text[opening.end() :]
        reasoning, closing, answer = _partition(inner, opening[1].lower())
        return SplitText(reasoning.strip(), answer.lstrip() if closing else "")
    reasoning, closing, answer = text.partition("</think>")
    if closing and "<think>" not in reasoning:
        return SplitText(reasoning.strip(), answer.lstrip())
    return None


def _partition(text: str, tag: str) -> tuple[str, str, str]:
    """The text before the closing tag, the tag, and the text after it."""
    found = re.search(rf"</{tag}>", text, re.IGNORECASE)
    if found is None:
        return text, "", ""
    return text[: found.start()], found[0], text[found.end() :]
