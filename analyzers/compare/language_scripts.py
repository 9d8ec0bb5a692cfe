"""Which language the script of a text shows, where script alone can tell.

Some languages are alone in their script. Han characters are shared: kana make a text Japanese, and
what else tells Japanese, Simplified and Traditional Chinese apart are characters that only one of
them writes. They are taken from the national character sets, which list what each writes: GB 2312
(1980) for Simplified, the first level of Big5 (1984, the frequent characters) for Traditional
Chinese, the first level of JIS X 0208 (1978, likewise) for Japanese.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Final, NamedTuple

CHINESE: Final = "zh"
"""Han characters that both scripts of Chinese write, or that may be Japanese: language not told."""

Finder = Callable[[str], list[str]]
Searcher = Callable[[str], object]

KANA: Final = r"\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d"


def letters(ranges: str) -> Finder:
    """Return what finds the runs of these characters in a text."""
    return _runs_of(f"[{ranges}]")


def _runs_of(character: str) -> Finder:
    """Return what finds the runs of a class of characters.

    The first is written apart: only then are the others passed over in a loop of their own, which
    takes half the time.
    """
    return re.compile(f"{character}{character}*").findall


def count(runs: list[str]) -> int:
    """How many characters the runs have."""
    return len("".join(runs))


_kana = letters(KANA)
_han = letters(r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af")
latin = letters(r"A-Za-z\u00c0-\u024f\u1e00-\u1eff")
beyond_latin = _runs_of(r"[^\u0000-\u036f\W\d_\u1e00-\u1eff\uff21-\uff5a]")

OWN_SCRIPT: Final[dict[str, Finder]] = {
    "ja": _kana,
    "ko": letters(r"\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"),
    "zh": _han,
    "th": letters(r"\u0e01-\u0e4e"),
    "el": letters(r"\u0370-\u03ff\u1f00-\u1fff"),
    "he": letters(r"\u05d0-\u05ea"),
    "hy": letters(r"\u0531-\u0587"),
    "ka": letters(r"\u10a0-\u10ff"),
    "ta": letters(r"\u0b82-\u0bcd"),
    "te": letters(r"\u0c00-\u0c63"),
    "kn": letters(r"\u0c80-\u0ce3"),
    "ml": letters(r"\u0d00-\u0d63"),
    "gu": letters(r"\u0a81-\u0ae3"),
    "pa": letters(r"\u0a01-\u0a75"),
    "si": letters(r"\u0d81-\u0df4"),
    "my": letters(r"\u1000-\u109f"),
    "km": letters(r"\u1780-\u17dd"),
    "lo": letters(r"\u0e81-\u0edd"),
}
"""Languages that are alone, or as good as alone, in their script."""

_HAN_WEIGHT: Final = 4
"""Latin letters that say about as much as one character of Chinese or Japanese."""
_KANA_SHARE: Final = 8
"""Japanese has at least one kana to so many Han characters; Chinese has a quoted name at most."""


def language_of_script(text: str) -> str:
    """The language of a text that is mostly in a script of one language; else empty.

    `CHINESE` where Han characters tell no more.
    """
    runs = beyond_latin(text)
    if not runs:
        return ""
    language = _language_of_letter(runs[len(runs) // 2][0])
    if not language:
        return ""
    latin_letters = count(latin(text))
    if language in ("ja", "zh"):
        kana, han = count(_kana(text)), count(_han(text))
        if _HAN_WEIGHT * (kana + han) <= latin_letters:
            return ""
        return "ja" if _KANA_SHARE * kana > han else _language_of_han(text)
    return language if 2 * count(OWN_SCRIPT[language](text)) > latin_letters else ""


@lru_cache(maxsize=4096)
def _language_of_letter(letter: str) -> str:
    """Return the only language of this letter's script; empty when several share it."""
    return next((language for language, find in OWN_SCRIPT.items() if find(letter)), "")


# --- Han characters --------------------------------------------------------------------------


def _character_set(encoding: str, first: Iterable[int], second: Iterable[int]) -> frozenset[str]:
    """The Han characters of some rows of a national character set."""
    columns = tuple(second)
    coded = b"".join(bytes((row, column)) for row in first for column in columns)
    return frozenset(c for c in coded.decode(encoding, "ignore") if "\u4e00" <= c <= "\u9fff")


_CELLS: Final = range(0xA1, 0xFF)
_BIG5_CELLS: Final = (*range(0x40, 0x7F), *_CELLS)
_HONG_KONG: Final = frozenset("着裏峯吓嘞吖")
"""Not in Big5, and yet written in Traditional Chinese."""
_EITHER: Final = frozenset("妳祂")
"""Not in GB 2312, and yet written in Simplified Chinese."""


class HanCharacters(NamedTuple):
    """Characters that only one of the scripts writes, and what finds them."""

    only_simplified: str
    only_traditional: str
    only_japanese: str
    frequent_in_japanese: frozenset[str]
    simplified: Finder
    traditional: Finder
    japanese: Finder
    not_in_simplified: Searcher
    """Finds a character that Simplified Chinese does not have."""
    not_in_traditional: Searcher


@cache
def han_characters() -> HanCharacters:
    """Made when a text first needs them: 20 ms that most commands can do without."""
    gb2312 = _character_set("gb2312", range(0xB0, 0xF8), _CELLS)
    big5 = _character_set("big5", range(0xA4, 0xFA), _BIG5_CELLS)
    big5_frequent = _character_set("big5", range(0xA4, 0xC7), _BIG5_CELLS)
    jis_frequent = _character_set("euc_jp", range(0xB0, 0xD0), _CELLS)
    hans = "".join(sorted(gb2312 - big5 - _HONG_KONG))
    hant = "".join(sorted(big5_frequent - gb2312 - _EITHER))
    japanese = "".join(sorted(jis_frequent - gb2312 - big5 - _HONG_KONG))
    return HanCharacters(
        only_simplified=hans,
        only_traditional=hant,
        only_japanese=japanese,
        frequent_in_japanese=jis_frequent,
        simplified=re.compile(f"[{hans}]").findall,
        traditional=re.compile(f"[{hant}]").findall,
        japanese=re.compile(f"[{japanese}]").findall,
        not_in_simplified=re.compile(f"[{KANA}{hant}{japanese}]").search,
        not_in_traditional=re.compile(f"[{KANA}{hans}{japanese}]").search,
    )


_GRAMMAR: Final = "的是我在也"
"""Characters that few Chinese sentences lack, and that names in Japanese seldom have."""
_chinese = re.compile(f"[{_GRAMMAR}]").search


def _language_of_han(text: str) -> str:
    """Chinese in one of its scripts, Japanese written without kana, or `CHINESE`: not told."""
    han = han_characters()
    hans, hant = len(han.simplified(text)), len(han.traditional(text))
    japanese = len(han.japanese(text))
    if _may_be_japanese(text):
        if japanese:
            return "ja"
        if not _chinese(text):
            # Japanese has new forms of some characters beside old forms of others.
            return "ja" if hans and hant else CHINESE
    if hans > _CLEARLY_MORE * hant:
        return "zh-Hans"
    return "zh-Hant" if hant > _CLEARLY_MORE * hans else CHINESE


_CLEARLY_MORE: Final = 2
"""A name or a quotation in the other script has fewer characters of its own than half of these."""


def _may_be_japanese(text: str) -> bool:
    return han_characters().frequent_in_japanese.issuperset("".join(_han(text)))


# --- one language ----------------------------------------------------------------------------

_ENOUGH_LETTERS: Final = 20
"""A few words: more than a foreign name in an answer of another language has."""

_SOME: Final = 60
"""Characters in which a text of the language nearly always has enough."""

_cyrillic = letters("а-яА-ЯёЁ")


def _russian(text: str) -> list[str]:
    """Cyrillic letters, if some are not in Bulgarian, Serbian or Macedonian."""
    return _cyrillic(text) if "ы" in text or "э" in text or "ё" in text else []


def _no_letter(text: str) -> None:
    """Find nothing: for languages that share their script with no other one of interest."""


_OWN_LETTERS: Final[dict[str, tuple[Searcher, Finder, int]]] = {
    **{
        language: (_no_letter, find, _ENOUGH_LETTERS)
        for language, find in OWN_SCRIPT.items()
        if language != "zh"
    },
    "ja": (_no_letter, _kana, 10),
    "ar": (re.compile("[پچژگکیٹڈڑںےہھ]").search, letters(r"\u0621-\u064a"), _ENOUGH_LETTERS),
    "fa": (re.compile("[ٹڈڑںےہھ]").search, letters("پچژگکی"), 3),
    "ru": (re.compile("[іїєўґәөүұқңћђјљњѓќџ]").search, _russian, _ENOUGH_LETTERS),
    "zh-Hans": (
        lambda text: han_characters().not_in_simplified(text),
        lambda text: han_characters().simplified(text),
        3,
    ),
    "zh-Hant": (
        lambda text: han_characters().not_in_traditional(text),
        lambda text: han_characters().traditional(text),
        3,
    ),
}
"""Letters that the language does not have, letters of its own, and how many of these suffice."""


def has_letters(language: str, text: str) -> bool:
    """Whether the text's letters are plainly this language's; False proves nothing."""
    own = _OWN_LETTERS.get(language)
    if own is None:
        return False
    find_foreign, find_own, enough = own
    if find_foreign(text) is not None:
        return False
    some = text[:_SOME]
    return count(find_own(some)) >= enough or count(find_own(text)) >= enough
