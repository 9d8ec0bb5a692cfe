"""Damaged characters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.garbled import garbled, is_garbled

SENTENCES = (
    "Gracias, su pedido llegará el miércoles por la mañana, señor Núñez.",
    "Ваш заказ будет доставлен в пятницу после обеда.",
    "Η παραγγελία σας θα παραδοθεί την Παρασκευή.",
    "你的订单将在星期五下午送达。",
    "ご注文の品は金曜日の午後にお届けします。",
    "आपका ऑर्डर शुक्रवार दोपहर को पहुँचेगा।",
    "سيصل طلبك يوم الجمعة بعد الظهر.",
    "주문하신 상품은 금요일 오후에 도착합니다.",
    "คำสั่งซื้อของคุณจะมาถึงในวันศุกร์",
    "L’ordine è in viaggio… arriverà venerdì – forse sabato.",
    "Das kostet 5 €, ehrlich „nur 5 €“.",
    "Done 🎉 see you on Friday 👍🏽",
    "A RECLAMAÇÃO FOI ACEITA. “NÃO” É NÃO… ATÉ AMANHÃ!",
    "Il a dit « À bientôt », puis « Château ».",
    "tab\tand\r\nline breaks\x0cand\x85more",
)


@pytest.mark.parametrize("text", SENTENCES)
def test_whole_sentences_are_not_damaged(text: str) -> None:
    assert not is_garbled(text)


@pytest.mark.parametrize("text", SENTENCES[:-2])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_utf8_read_as_something_else(text: str, encoding: str) -> None:
    seen = text.encode().decode(encoding, "ignore")
    assert is_garbled(seen) or text in SENTENCES[12:13]


@pytest.mark.parametrize(
    "text",
    [
        "Gracias, su pedido llegar\ufffd\ufffd el mi\ufffd\ufffdrcoles",
        "\ufffd",
        "half an emoji \ud83c",
        "a \x00 zero",
        "a \x1b[31m colour",
        "deleted \x7f",
        "C1 \x9d",
        "El seÃ±or NÃºÃ±ez",
        "Itâ€™s done",
        "20 Â°C",
        "Hello,\\n\\nyour order is on its way.\\n\\nRegards",
        "Caf&eacute; &amp; bar, &quot;open&quot;",
    ],
)
def test_damage(text: str) -> None:
    assert is_garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Use \\n for a line break.",
        "Write print('a\\nb')\nand then print('c\\nd')",
        "\\nabla f and \\nu are in LaTeX",
        "Write &amp; for an ampersand.",
        "<p>Fish &amp; chips &amp; peas</p>",
        "In HTML write `&lt;` and `&gt;`.",
        "CAFÉ”",
        "¿Qué? «sí» 5° ½ µm ©",
    ],
)
def test_what_only_looks_like_damage(text: str) -> None:
    assert not is_garbled(text)


def test_answers_without_text_are_not_damaged() -> None:
    texts = ["", "ok", "\ufffd", "half \ud83c", "한국어 \ud7ff"]
    coded = [text.encode("utf-8", "surrogatepass") for text in texts]
    assert garbled(coded).tolist() == [False, False, True, True, False]
    assert garbled([]).tolist() == []


@given(st.lists(st.one_of(st.sampled_from(SENTENCES), st.text(max_size=20)), max_size=6))
def test_texts_looked_through_together_are_what_each_is_alone(texts: list[str]) -> None:
    coded = [text.encode("utf-8", "surrogatepass") for text in texts]
    assert garbled(coded).tolist() == [is_garbled(text) for text in texts]


DAMAGED = ("\ufffd", "half \ud83c", "C1 \x9d", "El seÃ±or", "Itâ€™s", "20 Â°C", "\x7f", "\x00")


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_found_wherever_it_stands_among_many_texts(damage: str) -> None:
    texts = [*SENTENCES, f"{damage} und mehr", *SENTENCES, f"à la fin: {damage}"]
    coded = [text.encode("utf-8", "surrogatepass") for text in texts]
    last = len(texts) - 1
    assert np.flatnonzero(garbled(coded)).tolist() == [len(SENTENCES), last]


def test_few_damaged_texts_are_found_among_many() -> None:
    texts = [b"nothing odd, line %d\n" % number for number in range(300)]
    texts[7], texts[131], texts[299] = b"\x00", b"fish &amp; chips &amp; peas", b"caf\xef\xbf\xbd"
    assert np.flatnonzero(garbled(texts)).tolist() == [7, 131, 299]


@pytest.mark.parametrize("code", [*range(0x21), 0x7E, 0x7F])
def test_many_texts_have_the_control_characters_that_one_has(code: int) -> None:
    texts = [b"plain"] * 80 + [b"a%cb" % code]
    assert garbled(texts).tolist() == [is_garbled(text.decode()) for text in texts]


@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    assert isinstance(is_garbled(text), bool)
    assert is_garbled(text + "\ufffd")
