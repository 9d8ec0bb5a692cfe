"""Replaces what rules and a recognizer find by its name in square brackets.

Pure, but for what the recognizer does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from understudy.schemas.redaction.cut import first_bytes
from understudy.schemas.redaction.recognizer import Recognizer, found_by
from understudy.schemas.redaction.rules import Finding, find
from understudy.schemas.redaction.unmasked import unmask

_LOOK_AHEAD: Final = 4_000
"""Characters looked at beyond the end of a text that is cut: what begins before the end is found
whole, as far as it is no longer than a key."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text as it may be stored."""

    text: str
    names: tuple[str, ...]
    """Of the rules that found something, each once, sorted."""
    is_cut: bool


def redact(text: str, recognize: Recognizer | None = None) -> str:
    """Return a text in which personal data and secrets are replaced, such as `[email]`.

    A recognizer finds what rules cannot, such as names. Raises what it raises.
    """
    findings = find_all(text, recognize)
    return _replaced(text, findings, len(text)) if findings else text


def redact_and_cut(text: str, max_bytes: int, recognize: Recognizer | None = None) -> Redacted:
    """Return the first bytes of a text, redacted; nothing is left of what the cut goes through.

    `max_bytes` counts UTF-8 before anything is replaced, and is not exceeded after. Raises what the
    recognizer raises.
    """
    head = first_bytes(text, max_bytes)
    findings = find_all(text[: len(head) + _LOOK_AHEAD], recognize)
    begun = [one for one in findings if one.start < len(head)]
    redacted = first_bytes(_replaced(text, begun, len(head)), max_bytes)
    return Redacted(redacted, tuple(sorted({one.name for one in begun})), len(head) < len(text))


def find_all(text: str, recognize: Recognizer | None = None) -> list[Finding]:
    """Return what is found in a text, without overlap.

    Rules look behind its disguise if it has one; a recognizer gets the text as it is.
    """
    recognized = found_by(recognize, text) if recognize is not None else []
    return _merged([*_by_rules(text), *recognized])


def _by_rules(text: str) -> list[Finding]:
    """Markup may split a word, or stand between two: a text that has some is searched both ways."""
    joined = unmask(text)
    if joined is None:
        return find(text)
    apart = unmask(text, markup=" ") if joined.has_markup else None
    return [
        Finding(unmasked.start_of(start), unmasked.end_of(end - 1), name)
        for unmasked in (joined, apart)
        if unmasked is not None
        for start, end, name in find(unmasked.text)
    ]


def _merged(found: Iterable[Finding]) -> list[Finding]:
    """Join findings that overlap, under the name of the one that begins first."""
    merged: list[Finding] = []
    for one in sorted(found, key=lambda finding: finding.start):
        if merged and one.start < merged[-1].end:
            before = merged[-1]
            merged[-1] = before._replace(end=max(before.end, one.end))
        else:
            merged.append(one)
    return merged


def _replaced(text: str, findings: Iterable[Finding], end: int) -> str:
    """The text up to its end, with what was found replaced, in quotes where it was a number."""
    parts: list[str] = []
    strings = _Strings(text)
    done = 0
    for finding in findings:
        start, stop, quote = finding.start, finding.end, ""
        number = _BARE_NUMBER.match(text, max(start - 1, 0)) or _BARE_NUMBER.match(text, start)
        if number is not None and number.start(1) >= done and number.end(1) >= stop:
            quote = strings.quote_at(number.start(1))
        if number is not None and quote:
            start, stop = number.span(1)
        parts += (text[done:start], f"{quote}[{finding.name}]{quote}")
        done = stop
    parts.append(text[done:end])
    return "".join(parts)


_BARE_NUMBER: Final = re.compile(
    r"(?<![\w.+-])(-?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,9})?)"
    r"(?=\s{0,99}(?:[,\]}]|\\{1,300}[nrt]|\Z))"
)
"""A number as JSON has it, and what may follow it there."""
_QUOTE: Final = re.compile(r'(?<!\\)(\\*)"')
_DOCUMENT: Final = re.compile(r"(?:\s|\\{1,300}[nrt]|```\w{0,20}){0,99}[\[{]")
_MOST_LEVELS: Final = 8
"""JSON in a string of JSON, and so on: quotes of the eighth have 255 backslashes."""


class _Strings:
    """In which strings of JSON a place stands, of strings in strings; places are asked in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._quotes = _QUOTE.finditer(text)
        self._next = next(self._quotes, None)
        self._begun = [0]
        """Where the document begins, and each string that is open."""

    def quote_at(self, place: int) -> str:
        """Return the quote of strings where values of a JSON document stand; else nothing."""
        while self._next is not None and self._next.end() <= place:
            self._pass(len(self._next[1]), self._next.end())
            self._next = next(self._quotes, None)
        if _DOCUMENT.match(self._text, self._begun[-1], place) is None:
            return ""
        level = len(self._begun) - 1
        return "\\" * (2**level - 1) + '"' if level < _MOST_LEVELS else ""

    def _pass(self, backslashes: int, end: int) -> None:
        """A quote opens or closes a string of the level that its backslashes tell."""
        level = 0
        while backslashes & 1:
            level, backslashes = level + 1, backslashes >> 1
        if level < len(self._begun) - 1:
            del self._begun[level + 1 :]
        elif level == len(self._begun) - 1:
            self._begun.append(end)
