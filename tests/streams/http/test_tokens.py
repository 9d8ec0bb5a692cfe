"""Tokens: what is taken for one, and whose it is."""

from __future__ import annotations

import pytest

from understudy.streams.http.tokens import SCOPES, Scope, holder, read_tokens
from understudy.streams.settings import SettingsError

SECRET, OTHER = "0123456789abcdef", "fedcba9876543210=="
TOKENS = read_tokens(f"anna:operate:{SECRET}, ci@build.example:read+feedback:{OTHER},")


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        (f"Bearer {SECRET}", "anna"),
        (f"bearer  {SECRET} ", "anna"),
        (f"BEARER {OTHER}", "ci@build.example"),
        (f"Bearer {SECRET}0", None),
        (f"Bearer {SECRET[:-1]}", None),
        (f"Basic {SECRET}", None),
        (f"Bearer anna:{SECRET}", None),
        (SECRET, None),
        ("Bearer ", None),
        ("Bearer", None),
        ("", None),
        ("Bearer é", None),
        (f"Bearer {SECRET}\n", None),
    ],
)
def test_whose_a_token_is(shown: str, name: str | None) -> None:
    found = holder(TOKENS, shown)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        ("read", {"read"}),
        ("feedback", {"feedback"}),
        ("operate", {"read", "operate"}),
        ("captures", {"read", "captures"}),
        ("admin", {"read", "feedback", "captures", "operate", "admin"}),
        ("read+feedback", {"read", "feedback"}),
        ("operate+feedback", {"read", "feedback", "operate"}),
    ],
)
def test_what_a_scope_includes(scopes: str, may: set[Scope]) -> None:
    (token,) = read_tokens(f"anna:{scopes}:{SECRET}")
    assert {scope for scope in SCOPES if token.may(scope)} == may  # type: ignore[arg-type]


def test_nobody_has_the_empty_token() -> None:
    assert holder((), "") is None
    assert holder((), "Bearer x") is None
    assert read_tokens("") == read_tokens(" , ") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SECRET, "number 1 is not name:scopes:secret"),
        (f":admin:{SECRET}", "number 1 is not name:scopes:secret"),
        (f"an na:admin:{SECRET}", "number 1 is not name:scopes:secret"),
        (f"anna:admin:{SECRET},ben:", "number 2 is not name:scopes:secret"),
        (f"anna:{SECRET}", "number 1, of anna: say what it may do"),
        ("anna:admin:short", "number 1, of anna: the secret needs at least 16"),
        ("anna:admin:0123456789 abcdef", "number 1, of anna: the secret needs at least 16"),
        (f"anna:write:{SECRET}", "number 1, of anna: its scopes must be of read, feedback"),
        (f"anna:admin+:{SECRET}", "number 1, of anna: its scopes must be of read, feedback"),
        (f"anna::{SECRET}", "number 1, of anna: its scopes must be of read, feedback"),
    ],
)
def test_what_is_no_token(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_tokens(text)
    assert words in str(raised.value)
    assert SECRET not in str(raised.value)
    assert "short" not in str(raised.value)


def test_a_token_does_not_hold_its_secret() -> None:
    assert SECRET not in repr(TOKENS)
