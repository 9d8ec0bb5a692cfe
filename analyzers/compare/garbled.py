"""Whether an answer's characters were damaged on the way: decoded wrongly, or escaped twice.

Looked for are: the replacement character, halves of surrogate pairs, and control characters; UTF-8
that was read as Latin-1 or Windows-1252 and encoded again (`Ã©` for `é`); line breaks written as
`\\n`, and characters written as HTML entities, where nothing else in the text explains them. How
much of the text is damaged is not measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Bools

_WHITE_SPACE_AND_MORE: Final = bytes({*range(256)} - {*range(0x09), *range(0x0E, 0x20), 0x7F})
"""Every byte but control characters; tabs, line breaks and form feeds are white space."""
_c1_control = re.compile(b"\xc2[\x80-\x84\x86-\x9f]").search
"""U+0080 to U+009F; next line, U+0085, is white space."""

_surrogate = re.compile(b"\xed[\xa0-\xbf]").search
"""Half of a pair, which stands for no character."""
_REPLACEMENT: Final = "\ufffd".encode()

_WINDOWS_1252: Final = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
"""What Windows-1252 has where Latin-1 has control characters, 0x80 to 0x9F."""
_NEXT: Final = b"(?:\xc2[\x80-\xbf]|" + "|".join(_WINDOWS_1252).encode() + b")"
"""A byte that continues a character in UTF-8, read as a character of its own."""
_encoded_twice = re.compile(
    b"\xc3(?:"  # U+00C2 to U+00F0, bytes that begin a character in UTF-8
    b"\x82\xc2[\xa0-\xbf]"  # Â°, Â£; hardly a word ends in Â
    + (b"|\xa2\xe2\x82\xac" + _NEXT)  # quotation marks, dashes, dots: â€™
    + (b"|(?<=[a-z]\xc3)\x83" + _NEXT + b"|\x83" + _NEXT + b"(?=[a-z])")  # an accent in a word
    + (b"|[\x82-\x9f]" + _NEXT + b"\xc3[\x82-\x9f]" + _NEXT)  # two letters: Cyrillic, Arabic
    + (b"|[\xa0-\xaf]" + 2 * _NEXT + b"\xc3[\xa0-\xaf]" + 2 * _NEXT)  # Han, kana, Thai
    + (b"|\xb0" + 3 * _NEXT)  # an emoji
    + b")"
).search
_escaped_break = re.compile(r"\\n(?![a-z])").findall
_entity = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,5});").findall
_A_FEW: Final = 2
"""One may be mentioned."""


def garbled(texts: Sequence[bytes]) -> Bools:
    """Whether each text, in UTF-8 with `surrogatepass`, is damaged; an empty one is not."""
    # Few are: all are looked through as one first, and both sides often give the same.
    distinct = set(texts)
    damaged = {text for text in distinct if _is_written_wrongly(text)}
    if _has_odd_characters(_SEPARATOR.join(distinct)):
        damaged.update(filter(_has_odd_characters, distinct))
    if not damaged:
        return np.zeros(len(texts), dtype=bool)
    return np.array([text in damaged for text in texts], dtype=bool)


def is_garbled(text: str) -> bool:
    """Whether the characters of a text are damaged."""
    coded = text.encode("utf-8", "surrogatepass")
    return _has_odd_characters(coded) or _is_written_wrongly(coded)


_SEPARATOR: Final = b"\n"
"""White space, so that nothing is found which reaches from one text into the next."""


def _has_odd_characters(text: bytes) -> bool:
    """Whether a text has characters that no answer has."""
    return bool(
        text.translate(None, _WHITE_SPACE_AND_MORE)
        or _REPLACEMENT in text
        or (b"\xed" in text and _surrogate(text))
        or (b"\xc2" in text and _c1_control(text))
        or (b"\xc3" in text and _encoded_twice(text))
    )


def _is_written_wrongly(coded: bytes) -> bool:
    """Whether line breaks or characters are written as something that stands for them."""
    if b"&" not in coded and b"\\n" not in coded:
        return False
    text = coded.decode("utf-8", "surrogatepass")
    return _breaks_are_escaped(text) or _entities_are_left(text)


def _breaks_are_escaped(text: str) -> bool:
    """Line breaks written as a backslash and an n, and none that is one."""
    return "\n" not in text and "\\n" in text and len(_escaped_break(text)) >= _A_FEW


def _entities_are_left(text: str) -> bool:
    """HTML entities in a text that has neither markup nor code."""
    if "&" not in text or "<" in text or "`" in text:
        return False
    return len(_entity(text)) >= _A_FEW
