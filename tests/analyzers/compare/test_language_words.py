"""Frequent words."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.language_words import IN_LATIN, count_words, has_words


@pytest.mark.parametrize(
    ("language", "text", "count"),
    [
        ("en", "the answer and the question", 2),
        ("en", "THE answer", 1),
        ("en", "The\nanswer AND the question", 2),
        ("en", "and\nthe", 2),
        ("en", " the the the ", 1),
        ("en", "a theory and then a standard", 1),
        ("de", "der Preis und die Lieferung", 3),
        ("de", "the price and the delivery", 0),
        ("nb", "det er ikke her", 3),
        ("hi", "यह है", 2),
        ("xx", "the answer and the question", 0),
        ("en", "", 0),
    ],
)
def test_different_words_are_counted(language: str, text: str, count: int) -> None:
    assert count_words(language, text) == count
    assert has_words(language, text) is (count >= 2)


def test_languages_in_latin_letters() -> None:
    assert {"en", "vi", "tr", "nb"} <= IN_LATIN
    assert not {"ru", "uk", "hi", "ar", "fa"} & IN_LATIN
