"""Canonical tags, and which of them count as the same language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.language_tags import normalize_tag, same_language


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("en", "en"),
        (" EN_us ", "en-US"),
        ("en-Latn", "en"),
        ("en-latn-gb", "en-GB"),
        ("pt-br", "pt-BR"),
        ("es-419", "es-419"),
        ("ja-Jpan", "ja"),
        ("ja-Latn", "ja-Latn"),
        ("sr-latn", "sr-Latn"),
        ("sr-Cyrl-RS", "sr-Cyrl-RS"),
        ("iw", "he"),
        ("in-ID", "id-ID"),
        ("ji", "yi"),
        ("no", "no"),
        ("nb", "nb"),
        ("eng", "en"),
        ("fil", "fil"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-hans-cn", "zh-Hans"),
        ("cmn", "zh-Hans"),
        ("zh_TW", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-Hant", "zh-Hant"),
        ("zh-Hans-HK", "zh-Hans"),
        ("zh-CHT", "zh-Hant"),
        ("zh_cht", "zh-Hant"),
        ("zh-CHS", "zh-Hans"),
        ("zh-Hans-CHT", "zh-Hans"),
        ("zh-yue", "yue"),
        ("de-1996", "de"),
        ("de-DE-u-co-phonebk", "de-DE"),
        ("en-x-private", "en"),
        ("en-x-us", "en"),
        ("zh-t-tw", "zh-Hans"),
        ("", "und"),
        ("auto", "und"),
        ("und", "und"),
        ("mul", "und"),
        ("zz", "und"),
        ("english", "und"),
        ("x-klingon", "und"),
        ("en--US", "und"),
        ("e\u0301n", "und"),
        ("en-<b>", "und"),
        ("\x00", "und"),
        ("-", "und"),
    ],
)
def test_tags(tag: str, canonical: str) -> None:
    assert normalize_tag(tag) == canonical


@given(
    st.text(max_size=12)
    | st.from_regex(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,3}", fullmatch=True)
)
def test_a_canonical_tag_stays_as_it_is(tag: str) -> None:
    canonical = normalize_tag(tag)
    assert canonical.isascii()
    assert canonical
    assert normalize_tag(canonical) == canonical


@pytest.mark.parametrize(
    ("request_language", "output_language", "same"),
    [
        ("en", "en", True),
        ("en-US", "en-GB", True),
        ("en", "de", False),
        ("pt-BR", "pt", True),
        ("pt", "es", False),
        ("zh-Hans", "zh-Hant", False),
        ("zh-Hant", "zh-Hant", True),
        ("yue", "zh-Hant", True),
        ("nb", "no", True),
        ("no", "nn", True),
        ("da", "nb", True),
        ("da", "sv", False),
        ("sr", "hr", True),
        ("sr-Latn", "sr-Cyrl", True),
        ("hr", "bs", True),
        ("hr", "sl", False),
        ("id", "ms", True),
        ("es", "gl", True),
        ("gl", "es", False),
        ("ja", "ja-Latn", True),
        ("und", "en", False),
        ("und", "und", False),
    ],
)
def test_which_languages_count_as_the_same(
    request_language: str, output_language: str, same: bool
) -> None:
    assert same_language(request_language, output_language) == same
