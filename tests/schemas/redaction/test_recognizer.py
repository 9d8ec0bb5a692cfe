"""A recognizer that somebody installs finds names; what it returns is checked, and never quoted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from understudy.schemas.redaction.recognizer import RecognizerError, Span, found_by
from understudy.schemas.redaction.redact import redact, redact_and_cut


def names(text: str) -> Iterator[Span]:
    """As a model for names would, but that it knows two."""
    for found in re.finditer("Anna Schmidt|山田太郎", text):
        yield (*found.span(), "PERSON")


def test_names_are_replaced_beside_what_rules_find() -> None:
    text = "Anna Schmidt (anna@example.org) wrote to 山田太郎."
    assert redact(text, names) == "[person] ([email]) wrote to [person]."
    assert redact(text) == "Anna Schmidt ([email]) wrote to 山田太郎."


def test_a_name_that_the_cut_goes_through_is_gone() -> None:
    cut = redact_and_cut("by Anna Schmidt, Berlin", 7, names)
    assert (cut.text, cut.names, cut.is_cut) == ("by [per", ("person",), True)


@pytest.mark.parametrize(
    ("label", "name"), [("PERSON", "person"), ("Given Name!", "given_name"), ("山", "name"),
                        ("x" * 99, "x" * 32)],
)  # fmt: skip
def test_labels_become_names_that_hide_no_text(label: str, name: str) -> None:
    (found,) = found_by(lambda text: [(0, 2, label)], "Al is here")
    assert found == (0, 2, name)


@pytest.mark.parametrize(
    "span", [(0, 99, "PERSON"), (3, 3, "PERSON"), (-2, 3, "PERSON"), (0, 3), (0, 3, None), "Anna",
             (0.0, 3.0, "PERSON")],
)  # fmt: skip
def test_what_is_no_span_is_an_error_that_quotes_nothing(span: object) -> None:
    with pytest.raises(RecognizerError, match="must return spans") as raised:
        redact("Anna was here", lambda text: [span])  # type: ignore[list-item]
    assert "Anna" not in str(raised.value)


def test_an_empty_text_is_not_shown_to_a_model() -> None:
    def fail(text: str) -> list[Span]:
        raise AssertionError

    assert redact("", fail) == ""
