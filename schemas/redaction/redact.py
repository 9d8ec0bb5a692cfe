"""Replaces what the rules find by their names in square brackets. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

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


def redact(text: str) -> str:
    """Return a text in which personal data and secrets are replaced, such as `[email]`."""
    findings = find_all(text)
    return _replaced(text, findings, len(text)) if findings else text


def redact_and_cut(text: str, max_bytes: int) -> Redacted:
    """Return the first bytes of a text, redacted; nothing is left of what the cut goes through.

    `max_bytes` counts UTF-8 before anything is replaced, and is not exceeded after.
    """
    head = _first_bytes(text, max_bytes)
    findings = find_all(text[: len(head) + _LOOK_AHEAD])
    begun = [one for one in findings if one.start < len(head)]
    redacted = _first_bytes(_replaced(text, begun, len(head)), max_bytes)
    return Redacted(redacted, tuple(sorted({one.name for one in begun})), len(head) < len(text))


def find_all(text: str) -> list[Finding]:
    """Return what the rules find in a text, behind its disguise if it has one, without overlap.

    Markup may split a word, or stand between two: a text that has some is searched both ways.
    """
    joined = unmask(text)
    if joined is None:
        return _merged(find(text))
    apart = unmask(text, markup=" ") if joined.has_markup else None
    return _merged(
        Finding(unmasked.start_of(start), unmasked.end_of(end - 1), name)
        for unmasked in (joined, apart)
        if unmasked is not None
        for start, end, name in find(unmasked.text)
    )


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
    """The text up to its end, with what was found replaced."""
    parts: list[str] = []
    done = 0
    for finding in findings:
        parts += (text[done : finding.start], f"[{finding.name}]")
        done = finding.end
    parts.append(text[done:end])
    return "".join(parts)


def _first_bytes(text: str, max_bytes: int) -> str:
    """The characters that fit into so many bytes of UTF-8."""
    head = text[:max_bytes]
    encoded = head.encode("utf-8", "surrogatepass")
    return head if len(encoded) <= max_bytes else encoded[:max_bytes].decode("utf-8", "ignore")
