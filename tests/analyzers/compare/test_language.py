from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare import language_detectors
from understudy.analyzers.compare.language import (
    LanguageColumns,
    detect_language,
    match_languages,
)
from understudy.analyzers.compare.language_detectors import guess, second_opinion
from understudy.analyzers.compare.language_sample import without_code
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
        ("你好", "und"),
        ("שלום", "he"),
        ("您好，這個問題很簡單。", "zh-Hant"),
        ("Python で書くと print() を使います。", "ja"),
        ("使用 Python 的 requests 库可以轻松发送 HTTP 请求。", "zh-Hans"),
    ],
)
def test_detection_of_what_is_not_a_plain_sentence(text: str | None, language: str) -> None:
    assert detect_language(text) == language


SWITCHED = [
    (
        "en",
        "Sure, I can help you with this.\n\n",
        "zh-Hans",
        "您可以在三十天之内退货，运费由我们承担。",
    ),
    ("he", "הנה כמה דרכים לשמור על הלחם טרי.\n\n", "zh-Hans", "把面包放进布袋里，可以保存三天。"),
    (
        "de",
        "Gerne helfe ich Ihnen dabei.\n\n",
        "en",
        "You can return the order within thirty days. ",
    ),
    ("ja", "はい、お手伝いいたします。\n\n", "en", "You can return the order within thirty days. "),
    ("ru", "Конечно, я помогу вам с этим.\n\n", "en", "You can return the order within a month. "),
]


@pytest.mark.parametrize(("request_language", "begins", "language", "goes_on"), SWITCHED)
def test_an_answer_that_changes_its_language_after_a_sentence_is_a_mismatch(
    request_language: str, begins: str, language: str, goes_on: str
) -> None:
    columns = _match(request_language, begins + 12 * goes_on)
    assert columns.output_language == [language]
    assert columns.match.tolist() == [0]


@pytest.mark.parametrize("language", SENTENCES)
def test_a_long_answer_matches(language: str) -> None:
    columns = _match(language, "\n\n".join([SENTENCES[language]] * 12))
    assert columns.match.tolist() == [1]


IN_NO_LANGUAGE = {
    "SQL": "SELECT id, total FROM orders WHERE customer_id = 41 ORDER BY created_at DESC LIMIT 10;",
    "Python": "def total(items):\n    return sum(i.price for i in items if i.price is not None)\n",
    "bash": 'for f in *.log; do grep -c ERROR "$f" && echo "done with $f"; done',
    "JavaScript": "const total = items.reduce((sum, item) => sum + item.price, 0);\nreturn total;",
    "CSV": "id,name,price,stock\n1,Ana Silva,12.50,3\n2,Bruno Costa,8.00,7\n3,Carla Dias,9.90,1",
    "addresses": "https://example.org/en/the/returns\nhttps://example.org/en/contact/and/help",
    "log": "2026-08-03 10:11:12 INFO worker started\n2026-08-03 10:11:13 ERROR connection lost",
    "JSON": '{"city": "Berlin", "lines": [{"item": "umbrella", "quantity": 1}]}',
    "name": "Angela Dorothea Merkel",
    "names": "Herbert Diess\nVolkswagen Group\nDaimler Truck",
    "number": "42.195 km",
    "emoji": "\U0001f44d",
}


@pytest.mark.parametrize("kind", IN_NO_LANGUAGE)
@pytest.mark.parametrize("request_language", ["de", "en", "es", "ja", "zh-Hant", "hi"])
def test_what_is_in_no_language_is_not_judged(kind: str, request_language: str) -> None:
    assert _match(request_language, IN_NO_LANGUAGE[kind]).match.tolist() == [-1]
    assert detect_language(IN_NO_LANGUAGE[kind]) == "und"


def test_prose_beside_code_is_judged() -> None:
    code = IN_NO_LANGUAGE["Python"]
    german, english = SENTENCES["de"] + "\n" + code, SENTENCES["en"] + "\n" + code
    assert _match("de", german).match.tolist() == [1]
    assert _match("de", english).match.tolist() == [0]
    assert detect_language(code + "\n" + SENTENCES["es"]) == "es"


# Terse answers in Traditional Chinese; most have no character that only one script writes.
_SHORT = (
    "可以的。/不可以。/已送出。/是的，有。/沒問題。/好的。/不行。/"
    "明天上午到。/今天下午三點。/已取消。/已收到。/不用，免費。/"
    "可以，三天之內。/有，共三件。/沒有。/是，已付款。/不是。/已退回。/"
    "可以改期。/請再等一天。/在二樓。/在台北。/星期三。/八月四日。/"
    "早上九點。/已安排。/快到了。/三十天。/我不知道。/可以用。/不必。/"
    "不要用力。/已完成。/本店有。/要，全部都要。/不含在內。/同一天。/"
    "下午四點前。/打九折。/共五百元。"
)
SHORT_TRADITIONAL = _SHORT.split("/")


def test_short_traditional_chinese_is_never_taken_for_simplified() -> None:
    n = len(SHORT_TRADITIONAL)
    columns = match_languages(["zh-Hant"] * n, SHORT_TRADITIONAL, np.ones(n, np.bool_))
    assert set(columns.output_language) == {"zh-Hant"}
    assert set(columns.match.tolist()) == {-1, 1}
    assert "zh-Hans" not in {detect_language(text) for text in SHORT_TRADITIONAL}


@pytest.mark.parametrize(
    ("request_language", "text", "verdict"),
    [
        ("ja", "経済産業省", 1),
        ("ja", "配送完了。次回営業日八月四日。", 1),
        ("zh-Hant", "営業時間", 0),
        ("zh-Hant", "唔該晒,聽日再嚟", 1),
        ("zh-Hant", "退货请联系客服。", 0),
        ("de", "可以的。", 0),
        ("hi", "Aapka order kal bheja gaya tha aur shukravar dopahar tak pahunch jayega.", -1),
        ("sr", "Vaša porudžbina stiže u petak popodne i biće isporučena na kućnu adresu.", 1),
        ("uk", "Ваше замовлення буде доставлено у п'ятницю після обіду.", 1),
        ("hsb", "Waša skazanka budźe pjatk popołdnju na waš domjacy adresu dodata.", -1),
        ("es", "Hola, ¿cómo estás?", 1),
        ("de", "Yes, you can return it within 30 days.", 0),
        ("fr", "Puoi restituire il prodotto entro trenta giorni dalla consegna.", 0),
        ("pt", "Puedes devolver el producto dentro de los treinta días siguientes.", 0),
        ("bg", "Вы можете вернуть товар в течение тридцати дней.", 0),
    ],
)
def test_short_answers(request_language: str, text: str, verdict: int) -> None:
    assert _match(request_language, text).match.tolist() == [verdict]


@pytest.mark.parametrize(
    ("prompt", "language"),
    [
        ("可以退貨嗎", "zh-Hant"),
        ("我想退货", "zh-Hans"),
        ("営業時間", "ja"),
        ("東京都港区", "ja"),
        ("運転免許証", "ja"),
        ("時間", "und"),
        ("¿Cuánto cuesta el envío?", "es"),
        ("Где мой заказ?", "und"),
        ("Где мой заказ и когда его привезут?", "ru"),
        ("Какие документы нужны для возврата товара", "ru"),
        ("मेरा ऑर्डर कहाँ है?", "hi"),
        ("Къде е моята поръчка и кога ще пристигне?", "bg"),
    ],
)
def test_short_prompts(prompt: str, language: str) -> None:
    assert detect_language(prompt) == language


def _match(request_language: str, text: str) -> LanguageColumns:
    return match_languages([request_language], [text], np.ones(1, np.bool_))


def test_matches_are_looked_at_where_asked_and_unsure_where_either_side_is() -> None:
    english = SENTENCES["en"]
    columns = match_languages(
        ["en", "en", "und", "en-US", "en", "zh-Hant"],
        [english, english, english, "42", None, SENTENCES["zh-Hans"]],
        np.array([True, False, True, True, True, True]),
    )
    assert columns.output_language == ["en", "", "en", "und", "und", "zh-Hans"]
    assert columns.match.tolist() == [1, -1, -1, -1, -1, 0]


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
    """The reference is what both detectors say of a long text without code, where they are sure."""
    seen: Counter[str] = Counter()
    for name in ("m_arena_hard_latin", "m_arena_hard_nonlatin", "mtbench_eu"):
        rows = _rows(model_outputs_dir, name)
        texts = [row[side]["output"] for side in ("stable", "candidate") for row in rows]
        requested = [normalize_tag(row["language"]) for row in rows] * 2
        match = match_languages(requested, texts, np.array([bool(text) for text in texts])).match
        for text, request, verdict in zip(texts, requested, match.tolist(), strict=True):
            found = _surely(text or "")
            if found:
                same = request == found or same_language(request, found)
                seen[f"{'same' if same else 'other'} {verdict}"] += 1
    same = seen["same -1"] + seen["same 0"] + seen["same 1"]
    other = seen["other -1"] + seen["other 0"] + seen["other 1"]
    assert same > 10_000
    assert seen["same 0"] / same < 0.001
    assert seen["same 1"] / same > 0.97
    assert seen["other 0"] / other > 0.85


def _surely(text: str) -> str:
    prose = without_code(" ".join(text.split("```")[::2]))[:600]
    found, (language, probability) = guess(prose), second_opinion(prose)
    agree = language == found.language or same_language(language, found.language)
    return found.language if found.sure and agree and probability > 0.5 else ""


@pytest.mark.data
def test_real_prompts_are_told(model_outputs_dir: Path) -> None:
    prompts = {
        (normalize_tag(row["language"]), row["prompt"])
        for name in ("m_arena_hard_latin", "m_arena_hard_nonlatin", "mtbench_eu")
        for row in _rows(model_outputs_dir, name)
    }
    told = Counter(
        (language, found if found == "und" else language == found or same_language(language, found))
        for language, found in ((tag, detect_language(prompt)) for tag, prompt in prompts)
    )
    wrong = sum(n for (_, right), n in told.items() if right is False)
    assert wrong / len(prompts) < 0.002
    assert sum(n for (_, right), n in told.items() if right is True) / len(prompts) > 0.97
    for language in ("ru", "es"):
        assert told[language, True] / (told[language, True] + told[language, "und"]) > 0.95


@pytest.mark.data
def test_english_answers_to_other_languages_are_found(model_outputs_dir: Path) -> None:
    answers = {
        row[side]["output"]
        for row in _rows(model_outputs_dir, "arena_hard_en_quant")
        for side in ("stable", "candidate")
    }
    prose = [text for text in answers if text and len(text) > 40 and "def " not in text[:4]]
    prose = [text for text in prose if not text.startswith(("{", "```"))]
    for language in ["ar", "bg", "cs", "de", "es", "fr", "hi", "it", "ja", "pt", "ru"]:
        match = match_languages([language] * len(prose), prose, np.ones(len(prose), np.bool_)).match
        assert np.mean(match == 0) >= 0.99, language


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"pairs_{name}.ndjson.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


ENGLISH = (
    "Your order was shipped on Tuesday and should arrive with the courier by the end of the week. "
    "Please keep the receipt, since it is needed for any return that you would like to make. "
)


@pytest.mark.parametrize("text", [ENGLISH, ENGLISH * 4, ENGLISH + "See shop.example/faq; a=1.\n"])
@pytest.mark.parametrize("request_language", ["es", "de", "ja", "pl"])
def test_an_answer_plainly_in_another_language_asks_cld2_once(
    text: str, request_language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(text: str, **options: Any) -> Any:
        asked.append(text)
        return detect(text, **options)

    detect = language_detectors.pycld2.detect
    monkeypatch.setattr(language_detectors.pycld2, "detect", counted)
    columns = match_languages([request_language], [text], np.array([True]))
    assert (columns.output_language, columns.match.tolist()) == (["en"], [0])
    assert len(asked) == 1
