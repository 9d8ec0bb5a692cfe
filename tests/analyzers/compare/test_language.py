from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare import language as module
from understudy.analyzers.compare.language import detect_language, match_languages
from understudy.analyzers.compare.language_tags import normalize_tag, same_language

# One thing said in many languages: how to keep bread fresh.
SENTENCES = {
    "en": "Keep the bread in a cloth bag and it will stay fresh for three days.",
    "es": "Guarda el pan en una bolsa de tela y se mantendrá fresco durante tres días.",
    "pt": "Guarde o pão em um saco de pano, assim ele não seca e dura mais três dias.",
    "fr": "Gardez le pain dans un sac en tissu et il restera frais pendant trois jours.",
    "de": "Bewahren Sie das Brot in einem Stoffbeutel auf, dann bleibt es drei Tage frisch.",
    "it": "Conserva il pane in un sacchetto di stoffa e resterà fresco per tre giorni.",
    "nl": "Bewaar het brood in een stoffen zak, dan blijft het drie dagen lang vers.",
    "pl": "Przechowuj chleb w lnianym worku, a pozostanie świeży przez trzy dni.",
    "cs": "Chléb uchovávejte v plátěném pytlíku, vydrží tak čerstvý celé tři dny.",
    "sv": "Förvara brödet i en tygpåse så håller det sig färskt i ungefär tre dagar.",
    "fi": "Säilytä leipä kangaspussissa, niin se pysyy tuoreena kolme päivää.",
    "hu": "Tartsa a kenyeret vászonzsákban, és akkor három napig friss marad.",
    "ro": "Păstrează pâinea într-o pungă de pânză și va rămâne proaspătă trei zile.",
    "tr": "Ekmeği bez bir torbada saklayın, böylece üç gün boyunca taze kalır.",
    "vi": "Hãy cất bánh mì trong túi vải và bánh sẽ tươi ngon được ba ngày.",
    "id": "Simpan roti di dalam kantong kain dan roti akan tetap segar selama tiga hari.",
    "ru": "Храните хлеб в тканевом мешке, и он останется свежим целых три дня.",
    "uk": "Зберігайте хліб у тканинному мішечку, і він буде свіжим цілих три дні.",
    "bg": "Съхранявайте хляба в платнена торба и той ще остане пресен цели три дни.",
    "el": "Φυλάξτε το ψωμί σε υφασμάτινη σακούλα και θα μείνει φρέσκο τρεις μέρες.",
    "he": "שמרו את הלחם בשקית בד והוא יישאר טרי במשך שלושה ימים שלמים.",
    "ar": "احفظ الخبز في كيس من القماش وسيبقى طازجا لمدة ثلاثة أيام كاملة.",
    "fa": "نان را در کیسه پارچه‌ای نگه دارید تا سه روز کامل تازه بماند.",
    "ur": "روٹی کو کپڑے کے تھیلے میں رکھیں تو یہ تین دن تک تازہ رہے گی۔",
    "hi": "रोटी को कपड़े के थैले में रखें और वह पूरे तीन दिन तक ताज़ी रहेगी।",
    "th": "เก็บขนมปังไว้ในถุงผ้า แล้วขนมปังจะสดใหม่อยู่ได้นานถึงสามวัน",
    "ta": "ரொட்டியை துணிப் பையில் வைத்தால் அது மூன்று நாட்கள் புதியதாக இருக்கும்.",
    "ja": "パンは布の袋に入れておくと、三日間はおいしく食べられます。",
    "ko": "빵을 천 주머니에 넣어 두면 사흘 동안 신선하게 먹을 수 있습니다.",
    "zh-Hans": "把面包放进布袋里保存，这样三天之内都会很新鲜，不会变干。",
    "zh-Hant": "把麵包放進布袋裡保存，這樣三天之內都會很新鮮，不會變乾。",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_detected(language: str) -> None:
    assert detect_language(SENTENCES[language]) == language


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_matches_its_own_language_and_no_other(language: str) -> None:
    others = list(SENTENCES)
    columns = match_languages(
        others, [SENTENCES[language]] * len(others), np.ones(len(others), np.bool_)
    )
    matching = [other for other, match in zip(others, columns.match, strict=True) if match != 0]
    assert matching == [language]
    assert set(columns.output_language) == {language}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (None, "und"),
        ("", "und"),
        ("   ", "und"),
        ("42", "und"),
        ("B", "und"),
        ("\U0001f600" * 20, "und"),
        ("\x00\x01\x08", "und"),
        ("\ud800" * 30, "und"),
        ('{"a": [1, 2, 3]}', "und"),
        ("```python\nfor item in items:\n    print(item)\n```", "und"),
        ("\x00\x08 " + SENTENCES["en"], "en"),
        ("\ud800 " + SENTENCES["en"], "en"),
        ("https://example.org/some/path/to/the/page " * 3 + SENTENCES["de"], "de"),
        (
            "```python\nprint('this is the code and it is in English')\n```\n" + SENTENCES["fr"],
            "fr",
        ),
        ("안녕", "ko"),
        ("はい", "ja"),
        ("你好", "zh-Hans"),
        ("שלום", "he"),
        ("您好，這個問題很簡單。", "zh-Hant"),
        ("Python で書くと print() を使います。", "ja"),
        ("使用 Python 的 requests 库可以轻松发送 HTTP 请求。", "zh-Hans"),
    ],
)
def test_detection_of_what_is_not_a_plain_sentence(text: str | None, language: str) -> None:
    assert detect_language(text) == language


def test_matches_are_looked_at_where_asked_and_unsure_where_either_side_is() -> None:
    english = SENTENCES["en"]
    columns = match_languages(
        ["en", "en", "und", "en-US", "en", "zh-Hant"],
        [english, english, english, "42", None, SENTENCES["zh-Hans"]],
        np.array([True, False, True, True, True, True]),
    )
    assert columns.output_language == ["en", "", "en", "und", "und", "zh-Hans"]
    assert columns.match.tolist() == [1, -1, -1, -1, -1, 0]


def test_the_chinese_tables_agree_with_the_national_character_sets() -> None:
    """GB 2312 holds simplified characters; Big5 traditional ones, and a few rare old variants."""
    assert len(module._ONLY_SIMPLIFIED) > 300
    assert len(module._ONLY_TRADITIONAL) > 300
    assert all(_is_in("gb2312", c) for c in module._ONLY_SIMPLIFIED)
    assert sum(_is_in("big5", c) for c in module._ONLY_SIMPLIFIED) < 25
    assert all(_is_in("big5", c) and not _is_in("gb2312", c) for c in module._ONLY_TRADITIONAL)


def _is_in(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


@given(st.text(max_size=400), st.sampled_from(sorted(SENTENCES)))
def test_no_text_raises(text: str, request_language: str) -> None:
    detect_language(text)
    match_languages([request_language], [text], np.ones(1, np.bool_))


@pytest.mark.parametrize(
    "text", ["`" * 1_000_000, "<" * 1_000_000, "$$" * 500_000, "://" * 333_333, "é" * 1_000_000]
)
def test_a_megabyte_costs_no_more_than_its_beginning(text: str) -> None:
    started = time.process_time()
    for _ in range(20):
        detect_language(text)
        match_languages(["de"], [text], np.ones(1, np.bool_))
    assert time.process_time() - started < 1.0


@pytest.mark.data
def test_real_outputs_in_the_language_of_the_request_seldom_mismatch(
    model_outputs_dir: Path,
) -> None:
    """The reference is CLD2 on the whole text without code, where it is sure."""
    seen: Counter[str] = Counter()
    for name in ("m_arena_hard_latin", "m_arena_hard_nonlatin", "mtbench_eu"):
        path = model_outputs_dir / f"pairs_{name}.ndjson.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        texts = [row[side]["output"] for side in ("stable", "candidate") for row in rows]
        requested = [normalize_tag(row["language"]) for row in rows] * 2
        match = match_languages(requested, texts, np.array([bool(text) for text in texts])).match
        for text, request, verdict in zip(texts, requested, match.tolist(), strict=True):
            reference, percent = module._cld2(module._not_prose.sub(" ", text or ""))
            if percent >= 90:
                seen[f"{'same' if same_language(request, reference) else 'other'} {verdict}"] += 1
    same = seen["same -1"] + seen["same 0"] + seen["same 1"]
    other = seen["other -1"] + seen["other 0"] + seen["other 1"]
    assert same > 10_000
    assert seen["same 0"] / same < 0.001
    assert seen["same 1"] / same > 0.97
    assert seen["other 0"] / other > 0.85
