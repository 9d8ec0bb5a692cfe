"""Numbers, dates and URLs that a text states, in a form in which equal ones are equal.

Both answers to a request are mostly in one language, so a form need not be right in every language,
only the same for both: 1.234 is read as a thousand in each of them.
"""

from __future__ import annotations

import re
from typing import Final

MAX_CHARACTERS: Final = 100_000
"""Of a text that are looked at: longer than any answer for people, some milliseconds of work."""

_URL: Final = re.compile(r"https?://[^\s<>\"'`)\]}|\\]+", re.IGNORECASE)
_URL_END: Final = ".,;:!?*_。、，；：！？"
"""Punctuation that follows a URL and does not belong to it."""
_DATE: Final = re.compile(
    r"(?<![\d.,/-])(?:\d{4}\s?[-/.年년]\s?\d{1,2}\s?[-/.月월]\s?\d{1,2}(?:\s?[日일])?"
    r"|\d{1,2}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?\d{4})(?![\d])"
)
_LIST_NUMBER: Final = re.compile(
    r"^(?:[^\S\n]|[>#*_-])*\d{1,3}[.):、．](?=\s|[*_]|$)", re.MULTILINE
)
"""The number of a point in a list, which says how an answer is laid out. What stands before it ends
with the line: else each line of an empty text would be read to its end."""
_NUMBER: Final = re.compile(r"\d+(?:[.,'’٫٬\u00a0\u202f]\d+)*")
_DIGITS: Final = re.compile(r"\d+")
_SEPARATORS: Final = re.compile(r"[^\d]+")
_GROUP: Final = 3
"""Digits between two separators of thousands."""


def urls(text: str) -> set[str]:
    """Return the URLs in a text: host in small letters, without a final slash or fragment."""
    return {_normal_url(one.group()) for one in _URL.finditer(text[:MAX_CHARACTERS])}


def dates(text: str) -> set[tuple[int, ...]]:
    """Return the dates that are written in digits, each as its numbers in ascending order.

    Which of two numbers is the month differs from country to country, not between two answers.
    """
    plain = _URL.sub(" ", text[:MAX_CHARACTERS])
    return {
        tuple(sorted(int(digits) for digits in _DIGITS.findall(one.group())))
        for one in _DATE.finditer(plain)
    }


def numbers(text: str) -> set[str]:
    """Return the numbers in a text, in digits of any script, but those of URLs, dates and lists."""
    plain = _URL.sub(" ", text[:MAX_CHARACTERS])
    plain = _LIST_NUMBER.sub(" ", _DATE.sub(" ", plain))
    return {_normal_number(one.group()) for one in _NUMBER.finditer(plain)}


def _normal_url(url: str) -> str:
    whole = url.rstrip(_URL_END).partition("#")[0].rstrip("/")
    scheme, _, rest = whole.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host.lower()}{slash}{path}"


def _normal_number(written: str) -> str:
    """Return the digits without separators of thousands and without zeros that say nothing."""
    groups = [_ascii(group) for group in _DIGITS.findall(written)]
    separators = _SEPARATORS.findall(written)
    whole, fraction = groups, ""
    if separators and _ends_in_fraction(groups, separators):
        *whole, fraction = groups
    digits = "".join(whole).lstrip("0") or "0"
    fraction = fraction.rstrip("0")
    return f"{digits}.{fraction}" if fraction else digits


def _ends_in_fraction(groups: list[str], separators: list[str]) -> bool:
    """Whether the last separator is a decimal one: another than before, or not before a group."""
    if len(set(separators)) > 1:
        return True
    return len(separators) == 1 and len(groups[-1]) != _GROUP


def _ascii(digits: str) -> str:
    return "".join(str(int(digit)) for digit in digits)
