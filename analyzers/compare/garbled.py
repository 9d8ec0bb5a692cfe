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
from numpy.typing import NDArray

from understudy.analyzers.compare.arrays import Bools

Codes = NDArray[np.uint8]

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
    b"\xc3(?=[\x82-\xb0][\xc2\xc5\xc6\xcb\xe2])(?:"  # U+00C2 to U+00F0, which begin a character
    b"\x82\xc2[\xa0-\xbf]"  # Â°, Â£; hardly a word ends in Â
    + (b"|\xa2\xe2\x82\xac" + _NEXT)  # quotation marks, dashes, dots: â€™
    + (b"|(?<=[a-z]\xc3)\x83" + _NEXT + b"|\x83" + _NEXT + b"(?=[a-z])")  # an accent in a word
    + (b"|[\x82-\x9f]" + _NEXT + b"\xc3[\x82-\x9f]" + _NEXT)  # two letters: Cyrillic, Arabic
    + (b"|[\xa0-\xaf]" + 2 * _NEXT + b"\xc3[\xa0-\xaf]" + 2 * _NEXT)  # Han, kana, Thai
    + (b"|\xb0" + 3 * _NEXT)  # an emoji
    + b")"
).search
_escaped_break = re.compile(rb"\\n(?![a-z])").findall
_entity = re.compile(rb"&(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{2,5}|#x[0-9a-fA-F]{2,5});").findall
_A_FEW: Final = 2
"""One may be mentioned."""


def garbled(texts: Sequence[bytes]) -> Bools:
    """Whether each text, in UTF-8 with `surrogatepass`, is damaged; an empty one is not.

    Few are, so all are looked through as one first: a few dozen share a call of numpy, and few are
    looked at for themselves where one is odd.
    """
    damaged = np.zeros(len(texts), dtype=bool)
    together = _SEPARATOR.join(texts)
    if _may_have_odd_characters(together):
        damaged[:] = [_has_odd_characters(text) for text in texts]
    if b"\\" in together:
        damaged |= [b"\\" in text and _breaks_are_escaped(text) for text in texts]
    if b"&" in together:
        damaged |= [b"&" in text and _entities_are_left(text) for text in texts]
    return damaged


def is_garbled(text: str) -> bool:
    """Whether the characters of a text are damaged."""
    coded = text.encode("utf-8", "surrogatepass")
    return _has_odd_characters(coded) or _breaks_are_escaped(coded) or _entities_are_left(coded)


_SEPARATOR: Final = b"\n"
"""White space, so that nothing is found which reaches from one text into the next."""


def _has_odd_characters(text: bytes) -> bool:
    """Whether a text has characters that no answer has."""
    return bool(
        text.translate(None, _WHITE_SPACE_AND_MORE)
        or (b"\xef" in text and _REPLACEMENT in text)
        or (b"\xed" in text and _surrogate(text))
        or (b"\xc2" in text and _c1_control(text))
        or (b"\xc3" in text and _encoded_twice(text))
    )


def _may_have_odd_characters(together: bytes) -> bool:
    """Whether there may be such characters in many bytes; in few they are looked for themselves."""
    codes = np.frombuffer(together, np.uint8)
    return (
        _has_controls(codes)
        or b"\x7f" in together
        or (not together.isascii() and _may_have_odd_sequences(together, codes))
    )


def _may_have_odd_sequences(together: bytes, codes: Codes) -> bool:
    """Whether there may be any of more than one byte: of what is tested, other texts have few."""
    return bool(
        (b"\xef" in together and (_after(codes, _REPLACEMENT[0]) == _REPLACEMENT[1]).any())
        or (b"\xed" in together and (_after(codes, 0xED) >= _SURROGATES).any())
        or (b"\xc2" in together and _has_c1_control(codes))
        or (b"\xc3" in together and _encoded_twice(together))
    )


def _after(codes: Codes, first: int) -> Codes:
    """The bytes that follow one of this value."""
    after: Codes = codes[1:][codes[:-1] == first]
    return after


def _has_controls(codes: Codes) -> bool:
    """Whether the least byte is one, or the least of those that are no white space below it."""
    if not codes.size:
        return False
    # Below 14 the difference wraps around, and is large.
    return bool(codes.min() < _TAB or (codes - _AFTER_RETURN).min() < _SPACE - _AFTER_RETURN)


def _has_c1_control(codes: Codes) -> bool:
    after = _after(codes, _BEFORE_LATIN_1)
    return bool(((after < _NO_BREAK_SPACE) & (after != _NEXT_LINE)).any())


_TAB: Final = 0x09
_AFTER_RETURN: Final = 0x0E
_SPACE: Final = 0x20
_BEFORE_LATIN_1: Final = 0xC2
"""The first byte of U+0080 to U+00BF; the second is their number."""
_NEXT_LINE: Final = 0x85
_NO_BREAK_SPACE: Final = 0xA0
_SURROGATES: Final = 0xA0
"""After 0xED: from here on it is half of a pair, below it Hangul."""


def _breaks_are_escaped(text: bytes) -> bool:
    """Line breaks written as a backslash and an n, and none that is one."""
    return b"\n" not in text and len(_escaped_break(text)) >= _A_FEW


def _entities_are_left(text: bytes) -> bool:
    """HTML entities in a text that has neither markup nor code."""
    return b"<" not in text and b"`" not in text and len(_entity(text)) >= _A_FEW
