"""Whether a text is in one given language, by its frequent words: a cheap test, and seldom wrong.

Two words show that it is; that there are none proves nothing.
"""

from __future__ import annotations

from typing import Final

_FUNCTION_WORDS: Final = {
    "en": "and the to of not it can with that are there be this your you which from would "
    "should here's here these please about will what",
    "es": "y el en los una las más lo tus según puede puedes cómo qué está aquí también estos "
    "siguiente esto tiene pero debe esta",
    "pt": "um em com mais os uma pode você seu ao não está na são também pelo pela isso às aqui "
    "dos seguinte sua foi podem",
    "fr": "et les des pour le est une dans qui vous avec votre voici cette sur aux ce être plus "
    "vos pas sont nous leur deux",
    "de": "die und zu der von eine für das ist oder mit ein nicht einen auf sie wir wie dem "
    "wird kann dass wenn ihre durch auch werden über ihnen aber",
    "it": "di per il che è una della più come non dei essere gli nel sono ecco questo delle "
    "alla ti puoi tuo tua può",
    "nl": "van een het met voor dat aan zijn wordt worden deze door niet ook kunnen bij maar "
    "hoe dit naar wat geen moet uit als",
    "pl": "w z jest lub aby się dla że nie jak może być oraz który która są przez tym można "
    "jeśli które możesz",
    "cs": "pro se nebo že být jako které může podle který jsou aby která při tento můžete jak "
    "pokud což pomocí",
    "sk": "sa aby ktoré ako ktorá sú ktorý pre čo alebo medzi môže boli toto preto podľa tieto "
    "môžete",
    "sl": "ki kot lahko bo iz ali če tudi zaradi kjer vendar še brez",
    "hr": "su koji kako bio koja jer kao koje ili može također nije što",
    "ro": "și pentru în este să care cu mai fi că sunt nu din această acest poate unui unei "
    "dacă pot ceea prin",
    "tr": "ve bir için daha bu olarak veya şekilde ile fazla göre gibi olan çok kadar aşağıdaki "
    "olabilir iyi nasıl",
    "vi": "và của để có các thể bạn một cho trong là được những không này với người từ dưới",
    "id": "yang dan untuk dengan lebih dapat dalam ini atau akan dari adalah anda tidak pada "
    "berikut jika bahwa oleh kita",
    "sv": "och är att för det till ett inte jag två från där här också när över skulle",
    "da": "og at for det et være ikke fra når hvor skal eller her jeg hva hvad denne",
    "fi": "ja tai että joka se ovat kuin mutta voi myös ole jotka sekä tämä olla voit jos hän "
    "kuten",
    "et": "mis see kuidas või kui kuid nende mida kõik kas siin võib seega",
    "hu": "a és az hogy nem egy ami vagy mint lehet közötti van ez egyik ezt tehát aki",
    "lt": "yra ir kad į kai iš būti dėl apie kaip kuris jūsų bei arba",
    "lv": "ir un kas lai uz vai kā jūs kur tas",
    "is": "að og ekki með eru ég þú við fyrir hvað það",
    "ga": "an agus ag na bhfuil go seo féidir mó aon tá níl atá",
    "ru": "и для что как вам чтобы более к быть может из будет это вы можно которые который "
    "если этот вот ваш они его их бы мне вас",
    "uk": "і що для це ви щоб можна які який якщо цей із до ось вам ваш буде може вони та або "
    "як від його",
    "bg": "да и за които са като че през един това който може вие ако този към ето ви ще във",
    "hi": "और के को की का में एक यह लिए से है कर हैं पर ने भी हो या आप कि",
    "mr": "आहे आणि या तर हे ते करा आहेत नाही",
    "ne": "छ यो छन् गर्न भने तपाईं",
    "ar": "في من على إلى أو أن التي هذا مع يمكن قد هذه عن لا",
    "fa": "را در به از برای که یک با این است تا می شما ها",
    "ur": "ہے کے میں اور کا کی کو سے ہیں یہ ایک پر لیے آپ",
}
"""Frequent words, chosen so that two of them hardly ever stand in a text in another language.

The most frequent ones come first, so that most texts are told by a few searches. Norwegian's are
Danish's: the two count as one language.
"""
_WORDS: Final = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_WORDS.update(dict.fromkeys(("no", "nb", "nn"), _WORDS["da"]))
_WORDS_AMONG: Final = {language: words.intersection for language, words in _WORDS.items()}
_SEARCHED_FOR: Final = 10
"""Words that are looked for by themselves: four texts of five have two of them between spaces, and
a search takes a twentieth of the time that splitting the text takes."""
_IN_VAIN: Final = 4
"""Searches: a text with none of the most frequent words has few words, and is split for less."""
_BETWEEN_SPACES: Final = {
    language: tuple(f" {word} " for word in words.split()[:_SEARCHED_FOR])
    for language, words in _FUNCTION_WORDS.items()
}
_BETWEEN_SPACES.update(dict.fromkeys(("no", "nb", "nn"), _BETWEEN_SPACES["da"]))
IN_LATIN: Final = frozenset(
    language for language, words in _WORDS.items() if min(map(max, words)) < "\u0250"
)
"""The languages with words here that are written in Latin letters."""
ENOUGH_WORDS: Final = 2
"""One may be a name or a quotation."""


def has_words(language: str, text: str) -> bool:
    """Whether two frequent words of the language are in the text."""
    found = 0
    for searches, word in enumerate(_BETWEEN_SPACES.get(language, ()), 1):
        if word in text:
            found += 1
            if found == ENOUGH_WORDS:
                return True
        elif searches >= _IN_VAIN and not found:
            break
    return count_words(language, text) >= ENOUGH_WORDS


def count_words(language: str, text: str) -> int:
    """How many different frequent words of the language are in the text."""
    words_among = _WORDS_AMONG.get(language)
    return len(words_among(text.lower().split())) if words_among is not None else 0
