"""What personal data and secrets look like: patterns, each with a check where one can be computed.

Rules find what has a form: addresses, numbers with check digits, tokens with known prefixes, words
that nobody speaks. Names and postal addresses have none. Texts come from models and users, so all
repetitions are bounded. Pure.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple


class Finding(NamedTuple):
    """What was found in a text, from where to where."""

    start: int
    end: int
    name: str
    """Of the rule; it stands in the text's place."""


Check = Callable[[str], int]
"""Returns how many characters of a match are meant; 0 for none."""


def _all(text: str) -> int:
    return len(text)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a text has, so that most rules need not be tried on it."""

    lowered: str
    has_number: bool
    """Seven digits with little between them."""
    has_long_word: bool
    """Fifteen characters that tokens are made of."""

    @classmethod
    def of(cls, text: str) -> Traits:
        """Return what a text has."""
        return cls(
            text.lower(), _NUMBER.search(text) is not None, _LONG_WORD.search(text) is not None
        )

    def has_any(self, words: Iterable[str]) -> bool:
        """Whether one of some words, in small letters, stands in the text."""
        return any(word in self.lowered for word in words)


_NUMBER: Final = re.compile(r"\d(?:[ ()./-]{0,3}\d){6}")
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9_.+/-]{15}")
May = Callable[[Traits], bool]
"""Whether a text may hold what a rule looks for."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern; of its group 1, where it has one, or else of all of it, the check decides."""

    name: str
    pattern: re.Pattern[str]
    may: May
    check: Check = _all

    def find(self, text: str) -> Iterator[Finding]:
        """Yield what the rule finds, in order."""
        group = 1 if self.pattern.groups else 0
        match = self.pattern.search(text)
        while match is not None:
            start, length = match.start(group), self.check(match[group])
            if length:
                yield Finding(start, start + length, self.name)
            # What a check refuses may hold what is meant: `2. 4111 1111 1111 1111`.
            match = self.pattern.search(text, start + length if length else match.start() + 1)


# Checks


def _places(text: str) -> list[int]:
    """Where the letters and digits of a text stand."""
    return [place for place, character in enumerate(text) if character.isalnum()]


_CARD_LENGTHS: Final = {
    "2": (16,), "3": (15, 14, 16), "4": (16, 19, 13), "5": (16,), "6": (16, 19, 18, 17),
}  # fmt: skip
"""First digit to the lengths of cards that begin with it, the usual ones first (ISO/IEC 7812)."""


def card_length(text: str) -> int:
    """Return the length of the card number that a text begins with, by Luhn's check digit."""
    places = _places(text)
    digits = [int(text[place]) for place in places]
    for length in _CARD_LENGTHS.get(str(digits[0]), ()):
        if length <= len(digits) and len(set(digits[:length])) > 1 and _luhn(digits[:length]):
            return places[length - 1] + 1
    return 0


def _luhn(digits: list[int]) -> bool:
    doubled = (2 * digit - 9 * (digit > 4) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_IBAN_LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
    "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Country to the length of its account numbers (SWIFT's IBAN registry)."""


def iban_length(text: str) -> int:
    """Return the length of the IBAN that a text begins with, by its check digits (ISO 13616)."""
    places = _places(text)
    length = _IBAN_LENGTHS.get(text[:2].upper(), 0)
    if not length or length > len(places):
        return 0
    characters = "".join(text[place] for place in places[:length])
    if not characters.isascii():
        return 0
    number = "".join(str(int(character, 36)) for character in characters[4:] + characters[:4])
    return places[length - 1] + 1 if int(number) % 97 == 1 else 0


def _ssn_length(text: str) -> int:
    """Of a social security number: some areas, and the group and serial of zeros, are not used."""
    area, group, serial = text.split("-")
    is_used = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return len(text) if is_used else 0


def _ip_length(text: str) -> int:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return 0
    return 0 if address.is_unspecified else len(text)


def entropy(text: str) -> float:
    """Return Shannon's entropy of a text in bits per character."""
    shares = (count / len(text) for count in Counter(text).values())
    return -sum(share * math.log2(share) for share in shares)


def _character_kind(character: str) -> int:
    if character.isdigit():
        return 0
    return 1 if character.isupper() else 2 if character.islower() else 3


MIN_CHANGES: Final = 0.38
"""Of neighbours in a word, how many differ in kind (small, capital, digit): 0.62 ± 0.10 in random
base 62 of 24 characters, below 0.3 in most names of programs."""
MIN_CHANGES_ONE_DIGIT: Final = 0.48
"""With one digit alone, as names of programs have: 0.46 in getAccountById2WithHttpClient. Of random
words of 32 characters 2.5 % have no more digits, and few of those so few changes."""
MAX_SLASHES: Final = 1 / 12
"""Of the characters of a word: 1/64 in base 64, one in six or so in a path."""
MIN_ENTROPY: Final = 3.0
"""Bits a character: random hexadecimal digits have nearly 4, words and repeated signs less."""


def random_length(text: str) -> int:
    """Return the length of a word that nobody speaks: small letters, capitals, digits mixed."""
    kinds = [_character_kind(character) for character in text]
    if not {0, 1, 2} <= set(kinds) or text.count("/") > MAX_SLASHES * len(text):
        return 0
    changes = sum(a != b for a, b in pairwise(kinds))
    least = MIN_CHANGES if kinds.count(0) > 1 else MIN_CHANGES_ONE_DIGIT
    return len(text) if changes >= least * (len(text) - 1) else 0


def _hexadecimal_length(text: str) -> int:
    has_both = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return len(text) if has_both and entropy(text) >= MIN_ENTROPY else 0


_CALL: Final = re.compile(r"[A-Za-z_][\w.]{0,60}\(\w{0,20}\)?$")
"""A program that makes a password holds none."""
_PLACEHOLDERS: Final = ("your", "xxx", "...", "***")
_NO_PASSWORDS: Final = re.compile(
    r"(?i:str(?:ing)?|text|char|varchar|bytes?|bool(?:ean)?|int(?:eger)?|number|object|any|field|input"
    r"|none|null|nil|undefined|true|false|yes|no|required?|optional|hidden|empty|invalid|incorrect"
    r"|wrong|missing|changed?|reset|value|example|placeholder|redacted|encrypted|hash(?:ed)?|await"
    r"|self|this|data|form|user|args|config|process|request|req|os|env|new|old"
    r"|\w*(?:pass|pwd|secret|token|contraseña|kennwort|senha|hash|input|key)\w*)$"
)
"""Types, states, and names of variables, as they stand after `password:` in code and in forms."""
_VARIABLE: Final = re.compile(r"\$?[A-Za-z]\w*(?:[._]\w+)+$|[a-z]+[A-Z][A-Za-z]*$|\$\w+$")
"""Names of several words, as programs have them."""


def _is_placeholder(text: str) -> bool:
    return (
        text[:1] in "<{[$("
        or text.lower().startswith(_PLACEHOLDERS)
        or _CALL.match(text) is not None
    )


def _assigned_length(text: str) -> int:
    """Of what stands after `api_key:` and the like: not an ordinary word, and no placeholder."""
    if _is_placeholder(text):
        return 0
    kinds = {_character_kind(character) for character in text}
    is_word = kinds <= {2} or kinds <= {1} or (text.istitle() and 0 not in kinds)
    return 0 if is_word or not (0 in kinds or len(kinds) > 2) else len(text)


def _lone_length(text: str) -> int:
    """Of the only word after `password:`: most are one, but for types and names in code."""
    is_name = _NO_PASSWORDS.match(text) or _VARIABLE.match(text)
    return 0 if is_name or _is_placeholder(text) or not any(map(str.isalnum, text)) else len(text)


def _given_length(text: str) -> int:
    """Of what can be nothing but a secret, unless it is a placeholder."""
    return 0 if _is_placeholder(text) or _NO_PASSWORDS.match(text) else len(text)


# Rules

_PREFIXED: Final = (
    r"sk-(?:ant-|proj-|svcacct-|admin-|or-v1-)?[\w-]{16,300}",  # OpenAI, Anthropic, OpenRouter
    r"(?:sk|pk|rk)_(?:live|test|prod)_\w{10,120}|whsec_\w{16,120}",  # Stripe
    r"gh[pousr]_\w{30,255}|github_pat_\w{30,255}",
    r"gl(?:pat|ptt|rt|dt|cbt|oas|soat|agent)-[\w-]{16,120}",  # GitLab
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}",  # AWS
    r"AIza[\w-]{30,60}|ya29\.[\w-]{20,400}|GOCSPX-[\w-]{20,60}",  # Google
    r"xox[abeoprs]-[\w-]{10,250}|xapp-[\w-]{10,250}",  # Slack
    r"hf_\w{30,60}|r8_\w{30,60}|gsk_\w{30,80}|nvapi-[\w-]{30,120}|xai-\w{30,120}|pplx-\w{30,80}",
    r"npm_\w{30,60}|pypi-[\w-]{50,300}|rubygems_[0-9a-f]{40,60}|dckr_(?:pat|oat)_[\w-]{20,60}",
    r"SG\.[\w-]{16,40}\.[\w-]{30,60}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}",  # mail services
    r"(?:AC|SK|AP)[0-9a-f]{32}",  # Twilio
    r"do[opr]_v1_[0-9a-f]{40,80}|dapi[0-9a-f]{30,40}|dp\.(?:pt|st|ct|sa)\.[\w.-]{30,80}",
    r"hv[sbr]\.[\w-]{20,300}|atlasv1\.[\w-]{30,100}|LTAI\w{12,30}|pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0(?:atp|csp|idp)-[\w-]{20,60}|EAA[A-Za-z0-9]{60,400}",
    r"PMAK-[0-9a-f]{20,30}-[0-9a-f]{30,40}|lin_api_\w{30,60}|ntn_\w{30,60}|secret_\w{40,60}",
    r"sntrys_[\w=/+-]{40,300}|glsa_\w{30,60}|eyJrIjoi[\w=]{40,200}|NRAK-[A-Z0-9]{20,40}",
    r"\d{8,10}:AA[\w-]{30,40}|[MNO][\w-]{23,26}\.[\w-]{6}\.[\w-]{27,40}",  # Telegram, Discord
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,70}|tskey-[\w-]{20,80}|CCIPAT_\w{20,80}|fo1_[\w-]{40,60}",
)
"""Tokens that say by their beginning what they are, as their issuers document it."""
_SECRET_WORDS: Final = (
    r"(?:api|access|account|auth|client|encryption|private|secret|service|shared|signing|storage)"
    r"[_ -]?(?:key|token|secret)(?:[_ -]?id)?|secret|token|credentials?|authorization"
)
_PASSWORD_WORDS: Final = (
    r"pass(?:word|wd|phrase|code)?|pwd|passwort|kennwort|contraseña|mot de passe|senha|пароль"
    r"|密码|パスワード|비밀번호"
)
_ASSIGN: Final = (
    r"(?:[\"'”]?\s{0,3}(?::=|=>|[:=：]|\bis\b|ist|lautet)\s{0,3}[\"'“]?|>(?=[^\s<>]{4,200}</))"
)
"""`<password>` counts, where its end follows."""
_PASSWORD_BEGINNINGS: Final = (
    "pass", "pwd", "kennwort", "contraseña", "senha", "пароль", "密码", "パスワード", "비밀번호"
)  # fmt: skip
_TELEPHONE_WORDS: Final = (
    r"(?:tel(?:efon|ephone|éfono)?|phone|mobile|cell|call|fax|whatsapp|sms"
    r"|電話|电话|手机|전화|телефон)"
)


_COLONS: Final = re.compile(r":[0-9a-f]{0,4}:")


def _has(*words: str) -> May:
    return lambda traits: traits.has_any(words)


def _number(traits: Traits) -> bool:
    return traits.has_number


def _long_word(traits: Traits) -> bool:
    return traits.has_long_word


def _rule(name: str, may: May, pattern: str, check: Check = _all) -> Rule:
    return Rule(name, re.compile(pattern), may, check)


RULES: Final = (
    _rule("private_key", _has("-----begin"),
          r"-----BEGIN [^-\n]{1,60}-----(?:(?!-----BEGIN )[\s\S]){0,16000}?"
          r"(?:-----END [^-\n]{1,60}-----|(?=-----BEGIN )|\Z)"),
    _rule("token", _has("eyj"),
          r"(?<![\w-])eyJ[\w-]{8,4000}\.[\w-]{8,8000}(?:\.[\w-]{0,4000}){0,3}"),
    _rule("token", _long_word, r"(?<![A-Za-z0-9])(?:" + "|".join(_PREFIXED) + r")"),
    _rule("password", _has("://"),
          r"(?<=://)[^\s/:@\"'<>]{0,128}:([^\s/\"'<>]{1,256})@(?=[\w.\[-])"),
    _rule("token", _has("authorization"),
          r"(?i:authorization)[\"']?\s?[:=]\s?[\"']?(?i:bearer|basic|token)\s{1,3}"
          r"([\w.~+/-]{16,2000}={0,2})", _given_length),
    _rule("token", _has("bearer", "basic"),
          r"(?i:bearer|basic)\s{1,3}([\w.~+/-]{16,2000}={0,2})", _assigned_length),
    _rule("secret", _has("key", "token", "secret", "credential", "authorization"),
          rf"(?i:(?:{_SECRET_WORDS})){_ASSIGN}([^\s\"'“”,;<>]{{8,500}})", _assigned_length),
    _rule("password", _has(*_PASSWORD_BEGINNINGS),
          rf"(?i:{_PASSWORD_WORDS}){_ASSIGN}([^\s\"'“”,;<>]{{4,200}})", _assigned_length),
    _rule("password", _has(*_PASSWORD_BEGINNINGS),
          rf"(?i:{_PASSWORD_WORDS})"
          r"(?:[\"'”]?[ \t]{0,3}[:=：][ \t]{0,3}[\"'“]?|>(?=[^\s<>]{4,200}</))"
          r"([^\s\"'“”,;<>]{4,200})(?=[\"'”,;<]|[ \t]{0,3}(?:[\r\n|]|\Z))", _lone_length),
    _rule("password", _has("--p", "--t", "--s", "--api"),
          r"--(?:pass(?:word|wd|phrase)?|pwd|token|secret|api-?key)[ =][\"']?"
          r"([^\s\"'“”,;<>]{4,200})", _assigned_length),
    _rule("password", _has("curl", "wget"),
          r"(?:-u|--user)[ =]?[\"']?[^\s:\"'@]{1,64}:([^\s\"'@<>]{4,200})", _given_length),
    _rule("email", _has("@"), r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"),
    _rule("email", _has("at)", "at]", "at}", "at )", "at ]"),
          r"[\w.+-]{1,64} ?[\[({] ?(?i:at) ?[\])}] ?[\w-]{1,63}"
          r"(?: ?(?:[\[({] ?(?i:dot) ?[\])}]|\.) ?[\w-]{1,63}){1,4}"),
    _rule("iban", _number, r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ .-]?[A-Za-z0-9]){11,30}",
          iban_length),
    _rule("card", _number, r"[2-6](?<![\d+.].)(?:[ .-]{0,2}\d){12,18}(?!\d)", card_length),
    _rule("phone", _number, r"(?<![\w.])(?:\+|00|\(\+)\d(?:[ ()./-]{0,3}\d){6,14}(?!\w)"),
    _rule("phone", _number, r"(?<![\w.])\(?0\d(?:[ ()/-]{0,2}\d){7,11}(?!\w)"),
    _rule("phone", _number, r"0(?<![\w.].)[1-9](?:\.\d{2}){4}(?!\w)"),
    _rule("phone", _number,
          r"(?<![\w.])(?:1[ .-])?\(?[2-9]\d{2}\)?[ .-]{1,2}\d{3}[ .-]\d{4}(?!\w)"),
    _rule("phone", _number, r"1(?<![\w.].)[3-9]\d(?:[ -]?\d{4}){2}(?!\w)"),
    _rule("phone", _number, r"[6-9](?<![\w.].)\d{4}[ -]\d{5}(?!\w)"),
    _rule("phone", _number,
          rf"(?i:{_TELEPHONE_WORDS})[^\w+(]{{0,6}}(?:(?i:number|no|at|is|号码|番号)\W{{1,3}})?"
          r"([+(]?\d(?:[ ()./-]{0,2}\d){6,14})(?!\w)"),
    _rule("ssn", _number, r"\d{3}(?<![\w-]\d{3})-\d{2}-\d{4}(?![\w-])", _ssn_length),
    _rule("ip", _has("."), r"\d(?<![\w.].)\d{0,2}(?:\.\d{1,3}){3}(?!\w|\.\d)", _ip_length),
    _rule("ip", lambda traits: _COLONS.search(traits.lowered) is not None,
          r"(?<!\w)(?:[0-9a-fA-F]{1,4}:{1,2}){2,7}[0-9a-fA-F]{0,4}(?![\w:])", _ip_length),
    _rule("secret", _long_word, r"(?<![\w+/-])[0-9a-fA-F]{32,128}(?![\w+/-])",
          _hexadecimal_length),
    _rule("secret", _long_word, r"(?<![\w+/.-])[A-Za-z0-9_+-]{24,512}={0,2}(?![\w/])",
          random_length),
    _rule("secret", _long_word, r"(?<![\w+/.-])[A-Za-z0-9/+]{40,512}={0,2}(?![\w/])",
          random_length),
)  # fmt: skip
"""Where two find the same, the earlier names it."""


def find(text: str) -> list[Finding]:
    """Return what all rules find in a text that has no disguise; findings may overlap."""
    traits = Traits.of(text)
    return [finding for rule in RULES if rule.may(traits) for finding in rule.find(text)]
