"""In which language a text is, and whether an answer is in the language of its request.

Languages are canonical tags (see `language_tags`), `und` when undetermined. Not a general language
detector: it looks at the beginning of a text, and prefers `und` to a guess.

`match_languages` asks a cheaper question than `detect_language`: is this answer plausibly in
*that* language? A script of its own or two of its function words are enough; else CLD2 decides
(Sites 2013, pycld2). A mismatch counts only when a longer prefix confirms it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import pycld2

from understudy.analyzers.compare.arrays import Bools, Bytes
from understudy.analyzers.compare.language_tags import UNDETERMINED, normalize_tag, same_language


@dataclass(frozen=True, slots=True)
class LanguageColumns:
    """Languages of the answers; n rows."""

    output_language: list[str]
    """BCP 47 tag; `und` when unsure, empty when not examined."""
    match: Bytes
    """-1 when either language is unsure or the answer was not examined, else 0 or 1."""


# --- scripts ---------------------------------------------------------------------------------

_KANA: Final = r"\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d"
_kana = re.compile(f"[{_KANA}]+").findall
_hangul = re.compile(r"[\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e]+").findall
_han = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]+").findall
_latin = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+").findall

Finder = Callable[[str], list[str]]
Searcher = Callable[[str], object]


def _letters(ranges: str) -> Finder:
    return re.compile(f"[{ranges}]+").findall


_OWN_SCRIPT: Final[dict[str, Finder]] = {
    "ja": _kana,
    "ko": _hangul,
    "zh": _han,
    "th": _letters(r"\u0e01-\u0e4e"),
    "el": _letters(r"\u0370-\u03ff\u1f00-\u1fff"),
    "he": _letters(r"\u05d0-\u05ea"),
    "hy": _letters(r"\u0531-\u0587"),
    "ka": _letters(r"\u10a0-\u10ff"),
    "ta": _letters(r"\u0b82-\u0bcd"),
    "te": _letters(r"\u0c00-\u0c63"),
    "kn": _letters(r"\u0c80-\u0ce3"),
    "ml": _letters(r"\u0d00-\u0d63"),
    "gu": _letters(r"\u0a81-\u0ae3"),
    "pa": _letters(r"\u0a01-\u0a75"),
    "si": _letters(r"\u0d81-\u0df4"),
    "my": _letters(r"\u1000-\u109f"),
    "km": _letters(r"\u1780-\u17dd"),
    "lo": _letters(r"\u0e81-\u0edd"),
}
"""Languages that are alone, or as good as alone, in their script."""

_SIMPLIFIED: Final = (
    "这们来说时国会对发经开关问题学个为现实体动样长见过还进运应该让认识语请谢谁书买卖东车马"
    "门间闻电脑网络设计数据结构编写错误测试从无与业两严临举义乐习乡亚产亲仅仓价众优伟传伤"
    "伦侧侦储兑党兰兴养兽内军农冲决况冻净减刘则刚创别剂剑剧劝办务劳势协单卢卫厂厅历压厌县"
    "参双变叙叶号听启员响团园围图圆场坏块坚坛声处备复够头夺奋奖妇妈娱孙宁宝审宫宽宾导层岁岛"
    "币师带帮归当录忆忧怀态总恶战户扩扫扬护报担拟择损换"
    "摄数断旧显晓术机杀杂权条极构标栏树档检楼欢欧毕气汉汤济测浏涛润涨渐满灭灯灵点热爱状独"
    "环疗监盖盘确码种积称稳笔笼签简类紧红级纪约线练组细终绍结给统继续维综绿缓编缩罗罚职联"
    "肃肤脏节药获营虑虽补装规视觉览触订讨训议记讲许论证评诉词译详误课调谈资质费贵贸赛赢"
    "趋跃践输达迁违远连迟适选递遗邮释针钟钢银链锁键镇闭阅队阳阶际陆险随难静页项顺须预领频颜"
    "风飞饭饮馆验骤鱼鲜鸟鸡黄齐龙"
)
_TRADITIONAL: Final = (
    "這們來說時國會對發經開關問題學個為現實體動樣長見過還進運應該讓認識語請謝誰書買賣東車馬"
    "門間聞電腦網絡設計數據結構編寫錯誤測試從無與業兩嚴臨舉義樂習鄉亞產親僅倉價眾優偉傳傷"
    "倫側偵儲兌黨蘭興養獸內軍農衝決況凍淨減劉則剛創別劑劍劇勸辦務勞勢協單盧衛廠廳歷壓厭縣"
    "參雙變敘葉號聽啟員響團園圍圖圓場壞塊堅壇聲處備復夠頭奪奮獎婦媽娛孫寧寶審宮寬賓導層歲島"
    "幣師帶幫歸當錄憶憂懷態總惡戰戶擴掃揚護報擔擬擇損換"
    "攝數斷舊顯曉術機殺雜權條極構標欄樹檔檢樓歡歐畢氣漢湯濟測瀏濤潤漲漸滿滅燈靈點熱愛狀獨"
    "環療監蓋盤確碼種積稱穩筆籠簽簡類緊紅級紀約線練組細終紹結給統繼續維綜綠緩編縮羅罰職聯"
    "肅膚臟節藥獲營慮雖補裝規視覺覽觸訂討訓議記講許論證評訴詞譯詳誤課調談資質費貴貿賽贏"
    "趨躍踐輸達遷違遠連遲適選遞遺郵釋針鐘鋼銀鏈鎖鍵鎮閉閱隊陽階際陸險隨難靜頁項順須預領頻顏"
    "風飛飯飲館驗驟魚鮮鳥雞黃齊龍"
)
_ONLY_SIMPLIFIED: Final = "".join(sorted(set(_SIMPLIFIED) - set(_TRADITIONAL)))
_ONLY_TRADITIONAL: Final = "".join(sorted(set(_TRADITIONAL) - set(_SIMPLIFIED)))
_simplified = re.compile(f"[{_ONLY_SIMPLIFIED}]").findall
_traditional = re.compile(f"[{_ONLY_TRADITIONAL}]").findall


def _chinese_script(text: str) -> str:
    """`zh-Hans` or `zh-Hant`, by characters that only one of them has; empty when there is none."""
    simplified, traditional = len(_simplified(text)), len(_traditional(text))
    if simplified == traditional:
        return ""
    return "zh-Hans" if simplified > traditional else "zh-Hant"


# --- detection -------------------------------------------------------------------------------

SHORT_PREFIX: Final = 80
"""Characters that nearly always suffice; detection costs in proportion to them."""
LONG_PREFIX: Final = 320
"""A second attempt where the first was unsure: four times as much text."""
_FEWEST_LETTERS: Final = 12
"""With fewer, detectors guess."""

_not_prose = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|<[^<>\n]{1,200}>|\$\$.*?\$\$|https?://\S+", re.DOTALL
)


def _prose(text: str, length: int) -> str:
    """Return the beginning of a text, without code, addresses and mark-up that are easy to find."""
    head = text[:length]
    if "`" in head or "<" in head or "://" in head or "$$" in head:
        return _not_prose.sub(" ", text[: 4 * length])[:length]
    return head


@lru_cache(maxsize=1024)
def _tag_of_cld2(code: str) -> str:
    return UNDETERMINED if code == "un" or code.startswith("xx") else normalize_tag(code)


def _cld2(text: str) -> tuple[str, int]:
    """Return tag and percentage of the text; CLD2 refuses control characters and surrogates."""
    try:
        reliable, _, details = pycld2.detect(text, isPlainText=True)
    except (pycld2.error, ValueError):
        try:
            printable = "".join(c if c.isprintable() else " " for c in text)
            reliable, _, details = pycld2.detect(printable, isPlainText=True)
        except (pycld2.error, ValueError):
            return UNDETERMINED, 0
    _, code, percent, _ = details[0]
    return (_tag_of_cld2(code), percent) if reliable else (UNDETERMINED, 0)


def detect_language(text: str | None) -> str:
    """Return the language of a text, by its beginning; `und` when unsure. Never raises."""
    if not text:
        return UNDETERMINED
    prose = _prose(text, SHORT_PREFIX)
    if not prose.isascii():
        language = _by_script(prose)
        if language:
            return language
    language, percent = _cld2(prose)
    if percent >= _SURE_PERCENT:
        return language
    return _detect_at_length(text)


_SURE_PERCENT: Final = 90
"""Below it, another language has enough of the prefix to be worth a longer look."""


def _detect_at_length(text: str) -> str:
    prose = _prose(text, LONG_PREFIX)
    letters = _total(_latin(prose)) if prose.isascii() else len(prose)
    if letters < _FEWEST_LETTERS:
        return UNDETERMINED
    return (not prose.isascii() and _by_script(prose)) or _cld2(prose)[0]


def _total(runs: list[str]) -> int:
    return len("".join(runs))


def _by_script(prose: str) -> str:
    """The language of a text that is mostly in a script of one language; else empty."""
    letters = _beyond_latin(prose)
    if not letters:
        return ""
    enough = _total(_latin(prose)) // 2
    language = _language_of_letter(letters[len(letters) // 2][0])
    if language in ("ja", "zh"):
        kana, han = _total(_kana(prose)), _total(_han(prose))
        if 2 * (kana + han) <= enough:
            return ""
        return "ja" if 8 * kana > han else _chinese_script(prose) or "zh-Hans"
    if language and _total(_OWN_SCRIPT[language](prose)) > enough:
        return language
    return ""


_beyond_latin = re.compile(r"[^\W\d_\u0000-\u036f\u1e00-\u1eff\uff21-\uff5a]+").findall


@lru_cache(maxsize=4096)
def _language_of_letter(letter: str) -> str:
    """Return the only language of this letter's script; empty when several share it."""
    return next((language for language, find in _OWN_SCRIPT.items() if find(letter)), "")


# --- match -----------------------------------------------------------------------------------

_FUNCTION_WORDS: Final = {
    "en": "to is the and with this your you that which from would should here's here these of",
    "es": "en una el los las más cómo qué puede puedes según está aquí y también estos siguiente",
    "pt": "com um na não uma são você em os mais também pelo pela isso às aqui está dos seguinte",
    "fr": "de le les des une est et vous dans pour voici cette qui avec sur aux ce être plus",
    "de": "in der die das und ist nicht eine einen für mit auf sie wir zu wie von dem wird kann",
    "it": "una il gli che di è per della nel sono come ecco più questo delle alla ti puoi",
    "nl": "de het een van niet voor met zijn dat wordt ook deze kan bij maar om hoe",
    "pl": "i z się jest nie oraz który która aby dla są jak może przez tym w można",
    "cs": "a se je který která jsou pro jako že při nebo tento můžete jak aby které",
    "ro": "și este în pentru care sunt cu din nu mai să această acest poate fi unui unei ca",
    "tr": "bu de ve bir için ile olarak olan daha çok gibi kadar şekilde aşağıdaki olabilir veya",
    "vi": "là và của các có được một cho bạn những không này với trong để thể người từ dưới",
    "id": "yang dan untuk dengan dari ini adalah dalam anda dapat tidak pada atau akan berikut",
    "sv": "det och att är för inte till ett här från jag ska",
    "fi": "ja että ovat tai se voi myös joka kuin sekä tämä olla mutta voit ole",
    "hu": "a az és egy hogy nem van ez vagy egyik mint ezt lehet",
    "ru": "и что для это вы чтобы можно которые который если этот из к вот вам ваш будет может они",
    "hi": "है के में और का की को से हैं यह एक पर लिए कर ने भी हो",
}
"""Frequent words, chosen so that two of them rarely begin a text in another language."""
_ENOUGH_WORDS: Final = 2
"""One may be a name or a quotation."""
_WORDS_AMONG: Final = {
    language: frozenset(words.split()).intersection for language, words in _FUNCTION_WORDS.items()
}
_ENOUGH_LETTERS: Final = 20
"""A few words: more than a foreign name in an answer of another language has."""


def _no_letter(text: str) -> None:
    """Find nothing: for languages that share their script with no other one of interest."""


_cyrillic = _letters("а-яА-ЯёЁ")


def _russian(text: str) -> list[str]:
    """Cyrillic letters, if some are not in Bulgarian, Serbian or Macedonian."""
    return _cyrillic(text) if "ы" in text or "э" in text or "ё" in text else []


_PLAIN_LETTERS: Final[dict[str, tuple[Searcher, Finder, int]]] = {
    **{language: (_no_letter, find, _ENOUGH_LETTERS) for language, find in _OWN_SCRIPT.items()},
    "ja": (_no_letter, _kana, 10),
    "ar": (re.compile("[پچژگکیٹڈڑںےہھ]").search, _letters(r"\u0621-\u064a"), _ENOUGH_LETTERS),
    "fa": (re.compile("[ٹڈڑںےہھ]").search, _letters("پچژگکی"), 3),
    "ru": (re.compile("[іїєўґәөүұқңћђјљњѓќџ]").search, _russian, _ENOUGH_LETTERS),
    "zh-Hans": (re.compile(f"[{_KANA}{_ONLY_TRADITIONAL}]").search, _simplified, 3),
    "zh-Hant": (re.compile(f"[{_KANA}{_ONLY_SIMPLIFIED}]").search, _traditional, 3),
}
"""Letters that the language does not have, letters of its own, and how many of these suffice."""


def _is_plainly(language: str, prose: str) -> bool:
    """Whether a cheap test shows that the text is in this language; False proves nothing."""
    letters = _PLAIN_LETTERS.get(language)
    if letters is not None:
        find_foreign, find_own, enough = letters
        if find_foreign(prose) is None and _total(find_own(prose)) >= enough:
            return True
    words_among = _WORDS_AMONG.get(language)
    return words_among is not None and len(words_among(prose.lower().split())) >= _ENOUGH_WORDS


def match_languages(
    request_languages: Sequence[str], outputs: Sequence[str | None], checked: Bools
) -> LanguageColumns:
    """Whether the answers that are `checked` are in the (canonical) languages of their requests."""
    n = len(outputs)
    languages = [""] * n
    match = np.full(n, -1, np.int8)
    rows = np.flatnonzero(checked).tolist()
    verdicts: list[int] = []
    for row in rows:
        text, request = outputs[row], request_languages[row]
        language = _answer_language(text, request) if text else UNDETERMINED
        languages[row] = language
        if UNDETERMINED in (language, request):
            verdicts.append(-1)
        else:
            verdicts.append(language == request or same_language(request, language))
    match[rows] = verdicts
    return LanguageColumns(languages, match)


def _answer_language(text: str, request: str) -> str:
    """The language of an answer, given the one that is expected and most likely."""
    if request == UNDETERMINED:
        return detect_language(text)
    prose = _prose(text, SHORT_PREFIX)
    expected = request if request.startswith("zh-") else request.partition("-")[0]
    if _is_plainly(expected, prose):
        return expected
    language, _ = _cld2(prose)
    if language == expected or same_language(request, language):
        return language
    if language == UNDETERMINED and len(text) <= SHORT_PREFIX:
        return (not prose.isascii() and _by_script(prose)) or UNDETERMINED
    return _detect_at_length(text)
