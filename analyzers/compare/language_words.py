"""Whether a text is in one given language, by its frequent words: a cheap test, and seldom wrong.

Two words show that it is; that there are none proves nothing.
"""

from __future__ import annotations

from typing import Final

_FUNCTION_WORDS: Final = {
    "en": "to the and with this your you that which from would should here's here these of are "
    "can be please not there about will what it",
    "es": "en una el los las más cómo qué puede puedes según está aquí y también estos "
    "siguiente lo esto tus tiene pero debe esta",
    "pt": "com um na não uma são você em os mais também pelo pela isso às aqui está dos "
    "seguinte seu sua ao pode foi podem",
    "fr": "le les des une est et vous dans pour voici cette qui avec sur aux ce être plus votre "
    "vos pas sont nous leur deux",
    "de": "der die das und ist nicht eine einen für mit auf sie wir zu wie von dem wird kann "
    "oder dass wenn ihre durch auch werden über ihnen aber ein",
    "it": "una il gli che di è per della nel sono come ecco più questo delle alla ti puoi dei "
    "non tuo tua essere può",
    "nl": "het een van niet voor met zijn dat wordt ook deze kunnen bij maar hoe aan dit naar "
    "worden door wat geen moet uit als",
    "pl": "z się jest nie oraz który która aby dla są jak może przez tym w można lub że jeśli "
    "które możesz być",
    "cs": "se který která jsou pro jako že při nebo tento můžete jak aby které být pokud což "
    "může podle pomocí",
    "sk": "ktoré pre ako ktorá ktorý čo boli alebo medzi toto môže preto podľa tieto sa sú "
    "môžete aby",
    "sl": "iz če lahko kot bo zaradi kjer vendar še brez ki ali tudi",
    "hr": "koji koja koje što bio jer kako su ili može također nije kao",
    "ro": "și este în pentru care sunt cu din nu mai să această acest poate fi unui unei că "
    "dacă pot ceea prin",
    "tr": "bu ve bir için ile olarak olan daha çok gibi kadar şekilde aşağıdaki olabilir veya "
    "göre iyi fazla nasıl",
    "vi": "là và của các có được một cho bạn những không này với trong để thể người từ dưới",
    "id": "yang dan untuk dengan dari ini adalah dalam anda dapat tidak pada atau akan berikut "
    "lebih jika bahwa oleh kita",
    "sv": "och att är för inte till ett här från jag det också när över två där skulle",
    "da": "og det for ikke et her fra jeg at være når hva hvad hvor skal denne eller",
    "fi": "ja että ovat tai se voi myös joka kuin sekä tämä olla mutta voit ole jos hän jotka "
    "kuten",
    "et": "mis see kui kuidas või nende kuid mida seega siin kõik kas võib",
    "hu": "az és egy hogy nem van ez vagy egyik mint ezt lehet a tehát közötti ami aki",
    "lt": "yra ir į kai iš dėl apie kaip jūsų būti kuris bei arba kad",
    "lv": "ir un lai uz vai kā jūs kur kas tas",
    "is": "og að ekki ég með eru það þú við hvað fyrir",
    "ga": "agus tá ag bhfuil seo níl féidir mó aon an na atá go",
    "ru": "и что для это вы чтобы можно которые который если этот из к вот вам ваш будет может "
    "они его быть более их бы мне вас как",
    "uk": "і що для це ви щоб можна які який якщо цей із до ось вам ваш буде може вони та або "
    "як від його",
    "bg": "и че за това вие които който ако този към ето ви ще са като да един може през във",
    "hi": "है के में और का की को से हैं यह एक पर लिए कर ने भी हो या आप कि",
    "mr": "आहे आणि या तर हे ते करा आहेत नाही",
    "ne": "छ यो छन् गर्न भने तपाईं",
    "ar": "في على إلى أو أن التي يمكن هذه من قد هذا مع عن لا",
    "fa": "را در به که از برای است تا با این یک شما می ها",
    "ur": "ہے کے میں اور کا کی کو سے ہیں یہ ایک پر لیے آپ",
}
"""Frequent words, chosen so that two of them hardly ever stand in a text in another language.

Norwegian's are Danish's: the two count as one language.
"""
_WORDS: Final = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}
_WORDS.update(dict.fromkeys(("no", "nb", "nn"), _WORDS["da"]))
_WORDS_AMONG: Final = {language: words.intersection for language, words in _WORDS.items()}
IN_LATIN: Final = frozenset(
    language for language, words in _WORDS.items() if min(map(max, words)) < "\u0250"
)
"""The languages with words here that are written in Latin letters."""
ENOUGH_WORDS: Final = 2
"""One may be a name or a quotation."""


def has_words(language: str, text: str) -> bool:
    """Whether two frequent words of the language are in the text."""
    return count_words(language, text) >= ENOUGH_WORDS


def count_words(language: str, text: str) -> int:
    """How many different frequent words of the language are in the text."""
    words_among = _WORDS_AMONG.get(language)
    return len(words_among(text.lower().split())) if words_among is not None else 0
