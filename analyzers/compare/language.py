"""In which language a text is, and whether an answer is in the language of its request.

Languages are canonical tags (see `language_tags`), `und` where a text does not tell: code, queries,
tables and logs, a name, a word or two, Chinese without a character that only one script has.

`detect_language` is for requests without a language: by script; else by CLD2, on the beginning; and
where CLD2 is not sure, by py3langid as well.

`match_languages` asks a cheaper question: is this answer plausibly in *that* language? Letters of
its own, or two frequent words, say yes for most answers, and CLD2 for most of the others. Middle
and end are looked at besides the beginning, so that a change of language is noticed. A mismatch
counts only where script shows it, or where CLD2 has a witness: frequent words of the other
language, or py3langid. Languages that these detectors do not know are judged by script alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Final

import numpy as np

from understudy.analyzers.compare.arrays import Bools, Bytes
from understudy.analyzers.compare.language_detectors import (
    guess,
    knows,
    reliable_guess,
    second_opinion,
)
from understudy.analyzers.compare.language_sample import (
    SAMPLE,
    beginning_of,
    prose_of,
    sample_of,
    with_beginning,
    without_code,
)
from understudy.analyzers.compare.language_scripts import (
    CHINESE,
    has_letters,
    language_of_script,
)
from understudy.analyzers.compare.language_tags import UNDETERMINED, same_language
from understudy.analyzers.compare.language_words import (
    ENOUGH_WORDS,
    IN_LATIN,
    count_words,
    has_words,
)


@dataclass(frozen=True, slots=True)
class LanguageColumns:
    """Languages of the answers; n rows."""

    output_language: list[str]
    """BCP 47 tag; `und` when unsure, empty when not examined."""
    match: Bytes
    """-1 when either language is unsure or the answer was not examined, else 0 or 1."""


# --- detection -------------------------------------------------------------------------------

_FEWEST_LETTERS: Final = 12
"""With fewer, detectors guess."""
_LONG_ENOUGH: Final = 100
"""Characters from which on one frequent word is enough where CLD2 is sure."""
_SEEN_FOR_PROSE: Final = 8 * SAMPLE
"""Where a text begins with code, prose is looked for so far."""


def detect_language(text: str | None) -> str:
    """Return the language of a text, by its beginning; `und` when unsure. Never raises."""
    if not text:
        return UNDETERMINED
    prose = beginning_of(text)
    script = "" if prose.isascii() else language_of_script(prose)
    if script:
        return UNDETERMINED if script == CHINESE else script
    if _may_hold_code(prose):
        prose = without_code(beginning_of(text, _SEEN_FOR_PROSE))[:SAMPLE]
    return _detect_by_words(prose) if _enough_letters(prose) else UNDETERMINED


def _detect_by_words(prose: str) -> str:
    """The language of a text whose script several share."""
    first = guess(prose)
    words = count_words(first.language, prose)
    known = words >= ENOUGH_WORDS
    if first.sure and (known or (words and len(prose) >= _LONG_ENOUGH)):
        return first.language
    language, probability = second_opinion(prose)
    if _same(first.language, language):
        spoken = words or len(prose) >= _SOME_WORDS
        enough = _PROBABLE_IF_BOTH_SAY if spoken else _PROBABLE_OF_FEW_WORDS
        return first.language if probability >= enough else UNDETERMINED
    if not known and has_words(language, prose):
        enough = _PROBABLE_BY_WORDS
    else:
        enough = _PROBABLE_AGAINST if first.sure else _PROBABLE
    return language if probability >= enough else UNDETERMINED


_PROBABLE: Final = 0.6
"""py3langid's probability that suffices alone: fewer than 1 in 100 short texts are told wrong."""
_PROBABLE_AGAINST: Final = 0.8
"""Where CLD2 is sure of another language."""
_PROBABLE_BY_WORDS: Final = 0.3
"""Where frequent words speak for it, and none for CLD2's guess."""
_PROBABLE_IF_BOTH_SAY: Final = 0.15
"""Where CLD2 guesses the same."""
_PROBABLE_OF_FEW_WORDS: Final = 0.45
"""Where CLD2 guesses the same of a few words, none of them frequent: kin languages share many."""
_SOME_WORDS: Final = 60
"""Characters of more than a few words."""

_may_hold_code = re.compile(
    r"[{}=_<>|\\;(./,:](?:(?<=[{}=_<>|\\;])|(?<=[a-z][(./,])[a-z]|(?<=\d:)\d)"
).search
"""Whether it is worth a look which lines are code: a sign, or two words without a space between."""
_letters = re.compile(r"[A-Za-z\u00c0-\U0010ffff]").findall


def _enough_letters(prose: str) -> bool:
    return len(prose) >= SAMPLE // 2 or len(_letters(prose)) >= _FEWEST_LETTERS


def _same(one: str, other: str) -> bool:
    return one == other or same_language(one, other)


# --- match -----------------------------------------------------------------------------------


def match_languages(
    request_languages: Sequence[str], outputs: Sequence[str | None], checked: Bools
) -> LanguageColumns:
    """Whether the answers that are `checked` are in the (canonical) languages of their requests."""
    n = len(outputs)
    languages = [""] * n
    match = np.full(n, -1, np.int8)
    rows = np.flatnonzero(checked).tolist()
    asked = list(compress(zip(outputs, request_languages, strict=True), checked.tolist()))
    # Both sides often give the same answer.
    judged = {pair: _judge(*pair) for pair in set(asked)}
    found = list(map(judged.__getitem__, asked))
    for row, (language, _) in zip(rows, found, strict=True):
        languages[row] = language
    match[rows] = [verdict for _, verdict in found]
    return LanguageColumns(languages, match)


Judgement = tuple[str, int]
"""The language of an answer, and whether it is the request's: 1, 0, or -1 where that is open."""
_UNKNOWN: Final[Judgement] = (UNDETERMINED, -1)


def _judge(text: str | None, request: str) -> Judgement:
    if not text:
        return _UNKNOWN
    if request == UNDETERMINED:
        return detect_language(text), -1
    expected = _expected(request)
    unfenced, latter = sample_of(text)
    in_latin = expected in IN_LATIN
    if not in_latin and has_letters(expected, latter):
        return expected, 1
    spoken = has_words(expected, latter)
    if spoken and (not in_latin or text.isascii()):
        return expected, 1
    whole = with_beginning(unfenced, latter)
    script = "" if whole.isascii() else language_of_script(whole)
    if script:
        return _judge_script(script, request)
    if spoken:
        return expected, 1
    found = _language_of_latter(request, latter)
    if found != UNDETERMINED and _same(request, found):
        return expected, 1
    if found != UNDETERMINED and _is_plainly_other(found, expected, latter):
        return found, 0
    has_code = _may_hold_code(whole) is not None
    prose = prose_of(unfenced) if has_code else whole
    if _too_few_words(prose):
        return _UNKNOWN
    is_asked = whole == latter and not has_code
    return _judge_words(prose, request, found if is_asked else reliable_guess(prose))


@lru_cache(maxsize=1024)
def _expected(request: str) -> str:
    """The request's language as the detectors name it: of Chinese alone with its script."""
    return request if request.startswith("zh-") else request.partition("-")[0]


def _judge_script(script: str, request: str) -> Judgement:
    if script == CHINESE and request.startswith(("zh", "yue", "ja")):
        return request, -1
    return script, int(_same(request, script))


def _language_of_latter(request: str, text: str) -> str:
    """The language of which CLD2 is sure; not asked of code, which reads like English to it."""
    if request.startswith("en") and _may_hold_code(text):
        return UNDETERMINED
    return reliable_guess(text) if _enough_letters(text) else UNDETERMINED


def _is_plainly_other(found: str, expected: str, text: str) -> bool:
    """Whether frequent words say what CLD2 is sure of, and none speaks for the request's language.

    Most answers in another language than asked are settled here, with CLD2 asked once.
    """
    prose = without_code(text) if _may_hold_code(text) else text
    return (
        count_words(found, prose) >= _PLAINLY
        and not count_words(expected, prose)
        and not _too_few_words(prose)
        and knows(expected.partition("-")[0])
    )


def _judge_words(prose: str, request: str, found: str) -> Judgement:
    """By CLD2, and what it is sure of; what it takes for another language needs a witness."""
    if _same(request, found):
        return found, 1
    hinted = guess(prose, _expected(request)).language
    if found == UNDETERMINED and _same(request, hinted):
        return hinted, 1
    return _judge_other(prose, found, hinted, request)


def _judge_other(prose: str, found: str, hinted: str, request: str) -> Judgement:
    """CLD2 takes it for another language, at least until it is told what to expect."""
    expected = request.partition("-")[0]
    if not knows(expected):
        return _UNKNOWN
    doubtful = _same(request, hinted)
    if not doubtful and not count_words(expected, prose):
        for language in (found, hinted):
            if has_words(language, prose):
                return language, 0
    other, probability = second_opinion(prose)
    if probability < (_PROBABLE_IN_DOUBT if doubtful else _PROBABLE_WITNESS):
        return _UNKNOWN
    if _same(request, other):
        return other, 1
    return (other, 0) if _same(found, other) or _same(hinted, other) else _UNKNOWN


_PLAINLY: Final = 3
"""Frequent words of another language: one more than a quotation or a title in it has."""
_PROBABLE_WITNESS: Final = 0.3
"""Fewer than 1 in 100 correct short answers in any of 25 languages is called another by both."""
_PROBABLE_IN_DOUBT: Final = 0.5
"""Where CLD2 takes it for the request's language once it is told what to expect."""
_FEWEST_WORDS: Final = 3
"""In lower case, of a text that has any: names, titles and brands are written alike everywhere."""


def _too_few_words(prose: str) -> bool:
    if not _enough_letters(prose):
        return True
    lower = 0
    for word in prose.split():
        if not word[0].isalpha() or word.lower() == word.upper():
            return False
        lower += word[0].islower()
        if lower == _FEWEST_WORDS:
            return False
    return not prose.isupper()
