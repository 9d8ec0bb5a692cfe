"""What is replaced, what is left alone, and what a cut leaves."""

from __future__ import annotations

import json
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas.redaction.secrets import is_left, planted
from understudy.schemas.redaction.redact import find_all, redact, redact_and_cut

WANTED_SHARE = 0.99
"""Of secrets that are gone."""


@pytest.mark.parametrize("seed", [1, 2])
def test_planted_secrets_are_gone(seed: int) -> None:
    texts = list(planted(seed, 6_500))
    left = Counter(one.kind for one in texts if is_left(one.secret, redact(one.text)))
    of_kind = Counter(one.kind for one in texts)
    assert left.total() <= 0.001 * len(texts)
    for kind, count in of_kind.items():
        assert left[kind] <= (1 - WANTED_SHARE) * count, kind


@pytest.mark.parametrize(
    "text",
    [
        "It is on 2024-01-02 at 10:00, or on 01.02.2024, 1 234 567 items at 3.14159265358979.",
        "Run getAccountById2WithHttpClient or npm_config_registry; see src/lib/compare/pairs_2.py.",
        "D:/Build/BMV3/AppData/Local/Android/Sdk/ndk/25.1.8937393/build",
        "secret_key = Fernet.generate_key()\npassword = generate_password(16)",
        "password: string;\npassword: str,\npassword: Optional\npassword = request.form",
        "password = user_password\npassword: hashedPassword,\nif token > maximumTokens2: pass",
        "{'password': 'password', 'password': args.password, \"password\": \"string\"}",
        "Password: must be at least eight characters. Password: required",
        "<input type='password' name=password> see http://host:8080/a@b and git@host:a/b",
        "docker run -u 1000:1000 x; Authorization: Bearer YOUR_ACCESS_TOKEN",
        "Your password is required. The secret is simple: token by token.",
        "id 550e8400-e29b-41d4-a716-446655440000, order 12345678, isbn 978-3-16-148410-0",
        "In 2019, 4,111,111 people; ratio 16:9, at 10:30:45; std::vector<int> a::b",
        "1000000000000000 and 4111111111111112 are no cards; GB29 NWBK 6016 1331 9268 18 neither",
        "| 1 | 2 | 3 |\n|---|---|---|\n1234567",
        "日本語の文章には何もありません。これは長い文ですが、秘密ではない。",
        "",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("card 4111 1111 1111 1111 12/27", "card [card] 12/27"),
        ("2. 4111-1111-1111-1111", "2. [card]"),
        ("GB29 NWBK 6016 1331 9268 19 is it", "[iban] is it"),
        ("an**na@exam**ple.org", "[email]"),
        ("anna [at] example [dot] org", "[email]"),
        ("postgres://app:hunter2@db/x", "postgres://app:[password]@db/x"),
        ("Authorization: Bearer abcdEFGH12345678abcd", "Authorization: Bearer [token]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "[private_key]"),
        ("from 10.0.0.1 or 2001:db8::8a2e:370:7334", "from [ip] or [ip]"),
        ("999.1.1.1 and ::", "999.1.1.1 and ::"),
        ("ssn 123-45-6789, not 666-45-6789", "ssn [ssn], not 666-45-6789"),
    ],
)
def test_what_is_meant_is_replaced_and_no_more(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "password: Summer2024",
        "The password: Welcome1\n",
        "password is Password123! ok",
        "DB_PASSWORD=Hunter2",
        '{"user":"a","password":"Welcome123"}',
        '{"password": "letmein"}',
        '[{"name":"f","arguments":"{\\"password\\":\\"Summer2024\\"}"}]',
        "password: correcthorsebatterystaple",
        "Password: iloveyou!\nUser: x",
        "<password>hunter2x9</password>",
        "<password>letmein</password>",
        "<apiKey>a8f5f167f44f4964</apiKey>",
        "mysql --password hunter2x9 -h db",
        "curl -u admin:letmein https://h/",
        "Authorization: Bearer abcdefghijklmnop",
        "postgres://app:p@ssw0rd!@db.example.com/x",
        "пароль: hunter2x9",
        "비밀번호: hunter2x9",
        "CONTRASEÑA: hunter2x9",
        "Das Kennwort lautet Geheim123",
        "**Password:** `Hunter22`",
    ],
)
def test_common_passwords_are_gone(text: str) -> None:
    left = redact(text)
    assert "[" in left
    for secret in ("ummer", "elcome", "word123", "unter2", "letmein", "horse", "love", "abcdefgh"):
        assert secret not in left, left
    assert "ssw0rd" not in left
    assert "Geheim" not in left
    assert "a8f5" not in left


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("<td>Anna</td><td>030 12345678</td>", "<td>Anna</td><td>[phone]</td>"),
        ("<td>12</td><td>4111111111111111</td>", "<td>12</td><td>[card]</td>"),
        ("<td>key</td><td>AKIAIOSFODNN7EXAMPLE</td>", "<td>key</td><td>[token]</td>"),
        ("<li>10.1.2.3</li><li>10.1.2.4</li>", "<li>[ip]</li><li>[ip]</li>"),
        ("Anna<br>030 12345678<br/>Bob", "Anna<br>[phone]<br/>Bob"),
        ("Anna<br>030&nbsp;12345678<br>Bob", "Anna<br>[phone]<br>Bob"),
        ("<H2>x</H2>030 12345678", "<H2>x</H2>[phone]"),
        ("foo`AKIAIOSFODNN7EXAMPLE`bar", "foo`[token]`bar"),
        ("`a`10.0.0.7`b`", "`a`[ip]`b`"),
        ("**Tel**030 12345678", "**Tel**[phone]"),
        ("an<b>na@exam</b>ple.org", "[email]"),
        ("<td>an<b>na</b>@example.org</td><td>x</td>", "<td>[email]</td><td>x</td>"),
        ("a%0A030%2012345678", "a%0A[phone]"),
        ('{"t":"\\nanna@example.org"}', '{"t":"\\n[email]"}'),
    ],
)
def test_markup_neither_glues_words_nor_splits_them(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_json_stays_json_where_values_are_texts() -> None:
    assert redact('{"to": "a\\u0040b.org", "n": 1}') == '{"to": "[email]", "n": 1}'


@pytest.mark.parametrize(
    "document",
    [
        {"n": 4111111111111111},
        {"a": ["x", 4111111111111111, 5555555555554444], "b": -4111111111111111},
        [4111111111111111],
        {"t": "cards [4111111111111111, 5555555555554444], tel: 03012345678, ok"},
        {'say "': 'a "quoted" \\', "n": 4111111111111111},
        [{"arguments": json.dumps({"n": 4111111111111111, "t": "tel: 03012345678, x"})}],
        {"a": json.dumps({"b": json.dumps({"n": [4111111111111111]}, indent=1)})},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_stays_json_where_values_are_numbers(document: object, indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    redacted = redact(text)
    assert "1111" not in redacted
    _read(json.loads(redacted))


def _read(value: object) -> None:
    """Strings that hold JSON hold JSON still."""
    values = value.values() if isinstance(value, dict) else value
    for one in values if isinstance(value, (dict, list)) else ():
        _read(json.loads(one) if isinstance(one, str) and one[:1] == "{" else one)


def test_numbers_elsewhere_are_replaced_without_quotes() -> None:
    assert redact("cards: 4111111111111111, or") == "cards: [card], or"
    fenced = '```json\n{"n": 4111111111111111}\n```'
    assert redact(fenced) == '```json\n{"n": "[card]"}\n```'


def test_cut_counts_bytes_before_anything_is_replaced() -> None:
    assert redact_and_cut("äöü", 100).text == "äöü"
    cut = redact_and_cut("äöü", 5)
    assert (cut.text, cut.is_cut, cut.names) == ("äö", True, ())


def test_nothing_is_left_of_what_a_cut_goes_through() -> None:
    secret = "4111 1111 1111 1111"
    for size in range(1, 40):
        cut = redact_and_cut(f"pay with {secret}, please", size)
        assert not any(digit in cut.text for digit in "14"), cut
        assert len(cut.text.encode()) <= size
    assert redact_and_cut(f"pay with {secret}", 12).names == ("card",)


def test_what_lies_behind_the_cut_does_not_come_forward() -> None:
    """What is replaced is longer than its name: what follows must not move into its place."""
    text = "x " + "a" * 40 + "@example.org" + " " + "y" * 400
    assert redact_and_cut(text, 60).text == "x [email] " + "y" * 5


@given(st.text(max_size=300))
def test_any_text_has_findings_in_order_within_it(text: str) -> None:
    end = 0
    for finding in find_all(text):
        assert end <= finding.start < finding.end <= len(text)
        end = finding.end


def test_a_key_that_does_not_end_is_replaced_up_to_the_next() -> None:
    text = "-----BEGIN A-----\nMIIE\n-----BEGIN B-----\nMIIF\n-----END B-----\nafter"
    assert redact(text) == "[private_key][private_key]\nafter"


@given(st.text(alphabet="@.:-_a1Z/%\\&#;<>[]()+ ", max_size=2_000))
def test_hostile_text_takes_no_long_time(text: str) -> None:
    redact(text)


BEGINNINGS = (
    "a@", "1-", "Aa1", ":1", "password:", "password: a", "eyJ.", "<b>", "%41", "+1 ", "a.b", "1 ",
    "aaaa (at ", "-----BEGIN A-----", "-----BEGIN A-----\n", "-----BEGIN A", "0", ".eyJaaaaaaaa",
    "-----BEGIN A-----x-----END ", "://a:b", "://a:", "aa::bb:cc", "tel ", "\\u0041", "&#", "&#6",
    "aB1", "DE89 3704 ", "basic ", "bearer a", "authorization: ", "secret_key = ", "`a", "<td>",
    "4111 1111 1111 1112 ", "<", "\\", "1.", "sk-", "--password ", "curl -u a:", "<password>",
    '{"a":4111111111111111,', "authorization: bearer ", "password: a\n", "curl ",
    "[4111111111111111,", "\n", " ", "(", "a (at) ",
)  # fmt: skip
"""Of what the rules look for."""


@pytest.mark.parametrize("part", BEGINNINGS)
def test_time_grows_with_the_length_and_no_faster(part: str) -> None:
    """Eight times the text takes about eight times as long; with its square it would be 64.

    CPU time of the faster of two, so that a busy machine does not show. Rules look no further than
    16,000 characters: of texts much longer than that even the slowest takes a linear time.
    """
    short, long = (_cpu_s(part * (size // len(part))) for size in (4_000, 32_000))
    assert long < 20 * short + 0.02


def _cpu_s(text: str) -> float:
    def once() -> float:
        begun = time.process_time()
        redact(text)
        return time.process_time() - begun

    return min(once(), once())
