"""What the script of a text shows."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.language_scripts import (
    CHINESE,
    han_characters,
    has_letters,
    language_of_script,
)


def test_the_telling_characters_are_in_no_other_set() -> None:
    han = han_characters()
    hans, hant, japanese = han.only_simplified, han.only_traditional, han.only_japanese
    assert len(hans) > 2_000
    assert len(hant) > 1_800
    assert len(japanese) > 250
    assert not set(hans) & set(hant)
    assert not set(japanese) & set(hans + hant)
    assert set("这们来说时国会对发经开关") <= set(hans)
    assert set("這們來說時國會對發經開關嗎貨") <= set(hant)
    assert set("営経済図駅広働") <= set(japanese)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", ""),
        ("hello", ""),
        ("Привет, как дела?", ""),
        ("こんにちは", "ja"),
        ("カタカナ", "ja"),
        ("안녕하세요", "ko"),
        ("สวัสดี", "th"),
        ("שלום", "he"),
        ("Γειά σου", "el"),
        ("Python 的 print 函数可以输出文字", "zh-Hans"),
        ("iPhone 15 Pro Max (256 GB) 手機", ""),
        ("這個問題很簡單", "zh-Hant"),
        ("这个问题很简单", "zh-Hans"),
        ("可以。", CHINESE),
        ("我的", CHINESE),
        ("会社", CHINESE),
        ("時間", CHINESE),
        ("営業時間", "ja"),
        ("東京都港区", "ja"),
        ("次回営業日は八月四日です", "ja"),
        ("他写了一本关于「さくら」的书，去年出版以后，很受国内外读者欢迎。", "zh-Hans"),
        ("他說：「这个」是簡體字，別處都是繁體字。", "zh-Hant"),
    ],
)
def test_language_of_script(text: str, language: str) -> None:
    assert language_of_script(text) == language


@pytest.mark.parametrize(
    ("language", "text", "plain"),
    [
        ("zh-Hans", "这个问题很简单", True),
        ("zh-Hant", "这个问题很简单", False),
        ("zh-Hant", "営業時間", False),
        ("ja", "三日間はおいしく食べられます", True),
        ("ru", "Заказ отправлен в четверг вечером", False),
        ("ru", "Мы отправили заказ, и вы скоро его получите", True),
        ("ru", "Ми відправили замовлення, і ви скоро його отримаєте", False),
        ("en", "anything at all that is written here", False),
    ],
)
def test_letters_of_one_language(language: str, text: str, plain: bool) -> None:
    assert has_letters(language, text) is plain
