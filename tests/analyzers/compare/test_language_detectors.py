"""The two detectors, as far as the comparison relies on them."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.language_detectors import (
    guess,
    knows,
    reliable_guess,
    second_opinion,
)

SPANISH = "Guarda el pan en una bolsa de tela y se mantendrá fresco durante tres días."


def test_both_detectors_tell_a_sentence() -> None:
    assert reliable_guess(SPANISH) == "es"
    assert guess(SPANISH).language == "es"
    language, probability = second_opinion(SPANISH)
    assert language == "es"
    assert 0.5 < probability <= 1.0


def test_the_expected_language_gets_the_benefit() -> None:
    short = "Aceptar y continuar"
    assert {guess(short, "es").language, guess(short, "pt").language} == {"es", "pt"}


@pytest.mark.parametrize("text", ["", "42", "\x00\x01", "\ud800", "\ud83d" * 100, "🙂" * 100])
def test_what_is_no_text_is_undetermined(text: str) -> None:
    assert reliable_guess(text) == "und"
    assert guess(text, "en").language == "und"
    second_opinion(text)


def test_control_characters_do_not_hide_a_text() -> None:
    assert reliable_guess("\x00\ud800" + SPANISH) == "es"


@pytest.mark.parametrize(
    ("language", "known"),
    [("en", True), ("zh", True), ("nb", True), ("yue", True), ("hsb", False), ("tlh", False)],
)
def test_languages_that_both_know(language: str, known: bool) -> None:
    assert knows(language) is known
