"""Personal data and secrets of many shapes, made from a seed, in texts as models write them.

None of them belongs to anybody: numbers have right check digits and are else made up.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

Make = Callable[[random.Random], str]
Carry = Callable[[random.Random, str], str]
BASE62: Final = string.ascii_letters + string.digits
HEX: Final = "0123456789abcdef"


class Planted(NamedTuple):
    """A text with a secret in it."""

    kind: str
    carrier: str
    text: str
    secret: str
    """What must not be left, in part or whole: the part of it that nobody may learn."""


def planted(seed: int, count: int) -> Iterator[Planted]:
    """Yield so many texts; every kind meets every carrier sooner or later."""
    rng = random.Random(seed)
    kinds, carriers = list(KINDS.items()), list(CARRIERS.items())
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        carrier, carry = carriers[rng.randrange(len(carriers))]
        secret = make(rng)
        yield Planted(kind, carrier, carry(rng, secret), core(kind, secret))


def core(kind: str, secret: str) -> str:
    """The part that nobody may learn."""
    match kind:
        case "email":
            return secret.partition("@")[0]
        case "phone":
            return "".join(filter(str.isdigit, secret))
        case "private_key":
            return secret.split("\n")[1]
        case "assigned":
            return re.split(r"[:=]\s*", secret, maxsplit=1)[1]
        case "url_password":
            return secret.split(":")[2].partition("@")[0]
    return secret


def is_left(secret: str, redacted: str) -> bool:
    """Whether eight letters or digits in a row are left of a secret, however they are written."""
    letters, left = _letters(secret), _letters(redacted)
    size = min(8, len(letters))
    return any(letters[i : i + size] in left for i in range(len(letters) - size + 1))


def _letters(text: str) -> str:
    text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    text = unicodedata.normalize("NFKC", html.unescape(unquote(text)))
    return "".join(filter(str.isalnum, text.lower()))


def some(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


# Kinds


def email(rng: random.Random) -> str:
    first = rng.choice(["anna", "li.wei", "j_doe", "maría", "o.connor+news", "田中", "sales-eu"])
    host = rng.choice(
        ["example.org", "mail.example.co.uk", "bücher.example", "xn--bcher-kva.example"]
    )
    return f"{first}{rng.randrange(1000)}@{host}"


def _with_check_digit(digits: str) -> str:
    numbers = [int(d) for d in digits + "0"]
    total = sum(numbers[-1::-2]) + sum(2 * d - 9 * (d > 4) for d in numbers[-2::-2])
    return digits + str(-total % 10)


def card(rng: random.Random) -> str:
    start, length = rng.choice([("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("34", 15),
                                ("37", 15), ("6011", 16), ("3528", 16), ("36", 14)])  # fmt: skip
    number = _with_check_digit(start + some(rng, string.digits, length - len(start) - 1))
    separator = rng.choice(["", " ", "-"])
    if length == 16:
        return separator.join(number[i : i + 4] for i in range(0, 16, 4))
    return separator.join((number[:4], number[4:10], number[10:]))


def iban(rng: random.Random) -> str:
    country, length = rng.choice(
        [
            ("DE", 22),
            ("FR", 27),
            ("GB", 22),
            ("NL", 18),
            ("ES", 24),
            ("PL", 28),
            ("CH", 21),
            ("AE", 23),
            ("NO", 15),
            ("IT", 27),
        ]
    )
    account = some(rng, string.digits, length - 4)
    if country in ("GB", "NL"):
        account = some(rng, string.ascii_uppercase, 4) + account[4:]
    number = "".join(str(int(c, 36)) for c in account + country + "00")
    text = f"{country}{98 - int(number) % 97:02}{account}"
    separator = rng.choice(["", " "])
    return separator.join(text[i : i + 4] for i in range(0, len(text), 4))


def phone(rng: random.Random) -> str:
    form = rng.choice([
        "+49 151 ########", "+49 (0)30 #######", "030 ########", "(030) #######", "+1 212-###-####",
        "(415) 5##-####", "415-5##-####", "415.5##.####", "1-800-5##-####", "+81 90-####-####",
        "090-####-####", "03-####-####", "+86 138 #### ####", "138########", "+91 98### #####",
        "98### #####", "+33 6 ## ## ## ##", "06 ## ## ## ##", "06.12.##.##.##", "+44 7700 900###",
        "07700 900###", "+966 5# ### ####", "+55 11 9####-####", "+4915########",
        "0049 151 #######",
        "Tel: 5######", "phone number: 555 ####", "电话：8#######",
    ])  # fmt: skip
    return "".join(rng.choice(string.digits) if c == "#" else c for c in form)


TOKENS: Final = (
    ("sk-", BASE62, 48), ("sk-proj-", BASE62 + "_-", 100), ("sk-ant-api03-", BASE62 + "_-", 93),
    ("sk_live_", BASE62, 24), ("ghp_", BASE62, 36), ("github_pat_", BASE62 + "_", 82),
    ("glpat-", BASE62 + "_-", 20), ("AKIA", string.ascii_uppercase + "234567", 16),
    ("AIza", BASE62 + "_-", 35), ("ya29.", BASE62 + "_-", 120), ("xoxb-", BASE62 + "-", 50),
    ("hf_", BASE62, 34), ("gsk_", BASE62, 52), ("npm_", BASE62, 36), ("SK", HEX, 32),
    ("dop_v1_", HEX, 64), ("hvs.", BASE62 + "_-", 90), ("shpat_", HEX, 32), ("dapi", HEX, 32),
    ("SG." + "a1B2c3D4e5F6g7H8i9J0kL.", BASE62, 43), ("xai-", BASE62, 80), ("r8_", BASE62, 37),
)  # fmt: skip


def token(rng: random.Random) -> str:
    prefix, alphabet, length = rng.choice(TOKENS)
    return prefix + some(rng, alphabet, length - 1) + rng.choice(alphabet.rstrip("_-"))


def random_word(rng: random.Random) -> str:
    """A key without a known beginning; nothing but chance tells it from a word."""
    return some(rng, BASE62, rng.choice([32, 40, 44, 64]))


def hexadecimal(rng: random.Random) -> str:
    return some(rng, HEX, rng.choice([32, 40, 64]))


def _encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def jwt(rng: random.Random) -> str:
    head = _encoded({"alg": rng.choice(["HS256", "RS256"]), "typ": "JWT"})
    body = _encoded({"sub": str(rng.randrange(10**9)), "name": some(rng, BASE62, 12), "iat": 1})
    return f"{head}.{body}.{some(rng, BASE62 + '_-', 43)}"


def private_key(rng: random.Random) -> str:
    name = rng.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY"])
    lines = "\n".join(some(rng, BASE62 + "+/", 64) for _ in range(rng.randrange(3, 26)))
    return f"-----BEGIN {name}-----\n{lines}\n-----END {name}-----"


def assigned(rng: random.Random) -> str:
    name = rng.choice(
        [
            "api_key",
            "API-KEY",
            "client_secret",
            "DB_PASSWORD",
            "password",
            "pwd",
            "auth token",
            "aws_secret_access_key",
            "secretKey",
            "access_token",
        ]
    )
    sign = rng.choice(["=", ": ", " = ", ":"])
    value = some(rng, BASE62 + "!#%+/-", rng.randrange(10, 24)) + "7kQ"
    return f"{name}{sign}{value}"


def url_password(rng: random.Random) -> str:
    scheme = rng.choice(["postgres", "https", "amqp", "redis", "mongodb+srv"])
    return f"{scheme}://admin:{some(rng, BASE62, 12)}@db.example.org/main"


def address(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return ".".join(str(rng.randrange(1, 255)) for _ in range(4))
    return ":".join(f"{rng.randrange(1, 65536):x}" for _ in range(8))


def ssn(rng: random.Random) -> str:
    return f"{rng.randrange(101, 660)}-{rng.randrange(10, 99)}-{rng.randrange(1000, 9999)}"


KINDS: Final[dict[str, Make]] = {
    "email": email, "card": card, "iban": iban, "phone": phone, "token": token, "jwt": jwt,
    "random_word": random_word, "hexadecimal": hexadecimal, "private_key": private_key,
    "assigned": assigned, "url_password": url_password, "ip": address, "ssn": ssn,
}  # fmt: skip


# Carriers: what stands around a secret, and what is done to it

_SENTENCES: Final = (
    "Please use {} from now on.",
    "It is {}, I think; keep it.",
    "Bitte {} verwenden, danke!",
    "お客様の情報は {} です。",
    "您可以使用 {} 联系我们。",
    "يرجى استخدام {} الآن.",
    "{}",
    "1. first\n2. {}\n3. third",
    "Kontakt ({}) oder Büro",
    "| a | {} | b |",
    "» {} «",
    "आप {} का उपयोग करें।",
    "Use '{}' or \"nothing\".",
    "…\n\n{}\n\nRegards",
)


def sentence(rng: random.Random, secret: str) -> str:
    return rng.choice(_SENTENCES).format(secret)


def json_string(rng: random.Random, secret: str) -> str:
    return json.dumps({"id": rng.randrange(99), "value": secret, "ok": True}, ensure_ascii=False)


def json_escaped(rng: random.Random, secret: str) -> str:
    return json.dumps({"value": secret}).replace("@", "\\u0040").replace("/", "\\/")


def json_in_json(rng: random.Random, secret: str) -> str:
    return json.dumps({"arguments": json.dumps({"value": secret, "n": 1})})


def in_url(rng: random.Random, secret: str) -> str:
    return f"See https://shop.test/q?a=1&value={quote(secret, safe='')}&b=2 for more."


def code(rng: random.Random, secret: str) -> str:
    return f"```python\nclient = Client('{secret}')\n```"


def bold(rng: random.Random, secret: str) -> str:
    return f"Write **{secret}** down."


def split_by_bold(rng: random.Random, secret: str) -> str:
    at = rng.randrange(1, len(secret))
    return f"Write {secret[:at]}**{secret[at:]}** down."


def split_by_code(rng: random.Random, secret: str) -> str:
    at = rng.randrange(1, len(secret))
    return f"Write `{secret[:at]}``{secret[at:]}` down."


def invisible(rng: random.Random, secret: str) -> str:
    at, sign = rng.randrange(1, len(secret)), rng.choice("\u200b\u2060\ufeff\u00ad")
    return f"Write {secret[:at]}{sign}{secret[at:]} down."


def entities(rng: random.Random, secret: str) -> str:
    return f"<p>{secret.replace('@', '&#64;').replace('.', '&#46;', 1)}</p>"


def wide(rng: random.Random, secret: str) -> str:
    widened = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in secret)
    return f"お客様：{widened}。"


def dashes(rng: random.Random, secret: str) -> str:
    disguised = secret.replace(" ", "\u00a0").replace("-", "\u2011")
    return f"Write {disguised} down."


CARRIERS: Final[dict[str, Carry]] = {
    "sentence": sentence, "json_string": json_string, "json_escaped": json_escaped,
    "json_in_json": json_in_json, "url": in_url, "code": code, "bold": bold,
    "split_by_bold": split_by_bold, "split_by_code": split_by_code, "invisible": invisible,
    "entities": entities, "wide": wide, "dashes": dashes,
}  # fmt: skip
