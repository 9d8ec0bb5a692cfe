"""Two detectors of languages: CLD2 and py3langid.

CLD2 (Sites 2013, pycld2) costs microseconds, and is often wrong about a few words. py3langid (Lui
and Baldwin 2012, retrained by Barbaresi) costs some ten times as much, and knows how sure it is.
What both say is hardly ever wrong. Both work offline and always give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import pycld2

from understudy.analyzers.compare.language_tags import (
    UNDETERMINED,
    normalize_tag,
    same_language,
)


@dataclass(frozen=True, slots=True)
class Guess:
    """What a detector takes a text for."""

    language: str
    """Canonical tag; `und` when it says nothing."""
    sure: bool = False
    """Whether the detector itself calls it reliable, and finds hardly anything else in the text."""


_HARDLY_ANYTHING_ELSE: Final = 90
"""Percent of the text: below it, another language has enough of it to be the text's."""


@lru_cache(maxsize=1024)
def _tag_of_cld2(code: str) -> str:
    return UNDETERMINED if code == "un" or code.startswith("xx") else normalize_tag(code)


_HINTS: Final = {_tag_of_cld2(code): code for _, code in reversed(pycld2.LANGUAGES)}


def reliable_guess(text: str) -> str:
    """The language of which CLD2 is sure; `und` when it is not. The cheapest question."""
    reliable, code, _ = _cld2(text, {})
    return _tag_of_cld2(code) if reliable else UNDETERMINED


def guess(text: str, expected: str = "") -> Guess:
    """CLD2's best guess; `expected` is the language that is most likely, and gets the benefit."""
    reliable, code, percent = _cld2(text, _best_effort(expected))
    return Guess(_tag_of_cld2(code), reliable and percent >= _HARDLY_ANYTHING_ELSE)


@lru_cache(maxsize=1024)
def _best_effort(expected: str) -> dict[str, Any]:
    return {"bestEffort": True, "hintLanguage": _HINTS.get(expected)}


def _cld2(text: str, options: dict[str, Any]) -> tuple[bool, str, int]:
    """Whether it is reliable, CLD2's code of the language, and the percentage of the text."""
    try:
        reliable, _, details = pycld2.detect(text, isPlainText=True, **options)
    except (pycld2.error, ValueError):  # control characters and surrogates
        printable = "".join(c if c.isprintable() else " " for c in text)
        try:
            reliable, _, details = pycld2.detect(printable, isPlainText=True, **options)
        except (pycld2.error, ValueError):
            return False, "un", 0
    return reliable, details[0][1], details[0][2]


@cache
def _identifier() -> Any:
    """Imported and loaded when first asked (0.6 s, 30 MB): where requests are tagged, seldom."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def second_opinion(text: str) -> tuple[str, float]:
    """The language that py3langid takes the text for, and its probability (of 139 languages)."""
    code, probability = _identifier().classify(text)
    return _VARIETIES.get(code) or normalize_tag(code), float(probability)


_VARIETIES: Final = {"arz": "ar"}
"""Labels of py3langid that nobody tags a request with."""


@lru_cache(maxsize=1024)
def knows(language: str) -> bool:
    """Whether both detectors can find this language, or one that counts as the same."""
    return all(
        language in known or any(same_language(language, other) for other in known)
        for known in _languages_known()
    )


@cache
def _languages_known() -> tuple[frozenset[str], ...]:
    """Primary subtags that CLD2 and py3langid can find."""
    cld2 = [code for name, code in pycld2.LANGUAGES if name in pycld2.DETECTED_LANGUAGES]
    return tuple(
        frozenset(_tag_of_cld2(label).partition("-")[0] for label in labels)
        for labels in (cld2, _identifier().labels)
    )
