"""A tag goes before the prompt, the prompt before the output, stable before the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.streams.pairing.log import event
from understudy.schemas.events import Event, decode_event
from understudy.streams.pairing.request_language import (
    named_language,
    request_language,
    waiting_language,
)

ENGLISH = {"prompt": "Where can I find the report on last year's sales, please?"}
JAPANESE = {"prompt": "昨年の売上報告書はどこにありますか。教えてください。"}
GERMAN_ANSWER = {"output": "Den Bericht über die Verkäufe des letzten Jahres finden Sie hier."}


def side(**changes: Any) -> Event:
    return decode_event(event("a", **{"language": None, "response": None, **changes}))


@pytest.mark.parametrize(
    ("sides", "language"),
    [
        ([side(language="pt_br", request=ENGLISH)], "pt-BR"),
        ([side(request=ENGLISH), side(language="ja")], "ja"),
        ([side(language="?", request=JAPANESE), side(request=ENGLISH)], "ja"),
        ([side(), side(request=ENGLISH)], "en"),
        ([side(response=GERMAN_ANSWER), side(request=ENGLISH)], "en"),
        ([side(), side(response=GERMAN_ANSWER)], "de"),
        ([side(), side()], "und"),
    ],
)
def test_what_tells_the_language_of_a_request(sides: list[Event], language: str) -> None:
    assert request_language(sides) == language
    assert request_language(sides, {}) == language


@pytest.mark.parametrize(
    ("first", "language"),
    [
        (side(language="JA"), "ja"),
        (side(language="?", request=ENGLISH), "en"),
        (side(response=GERMAN_ANSWER), "und"),
    ],
)
def test_while_it_waits_the_output_tells_nothing(first: Event, language: str) -> None:
    assert waiting_language(first) == language


def test_a_prompt_that_has_been_looked_up_is_not_looked_up_again() -> None:
    assert request_language([side(request=ENGLISH)], {ENGLISH["prompt"]: "ko"}) == "ko"
    assert named_language(side(language="zh-cn")) == "zh-Hans"


def test_hash_is_in_no_language() -> None:
    english, german = "Where can I find the report, please?", "Den Bericht finden Sie hier drüben."
    hidden = side(
        request={"prompt": english, "prompt_form": "hashed"},
        response={"output": german, "output_form": "hashed"},
    )
    assert request_language([hidden]) == waiting_language(hidden) == "und"
    begun = side(response={"output": german, "output_form": "truncated"})
    assert request_language([begun]) == "de"
