"""Sessions: what a cookie stands for, for how long, and what is no session."""

from __future__ import annotations

import datetime as dt

import pytest

from understudy.streams.http.sessions import DURATION, cookie_value, session_token
from understudy.streams.http.tokens import read_tokens

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
ANNA, BEN = TOKENS = read_tokens("anna:operate:correct-horse-battery,ben:read:another-long-secret")
ANNAS = cookie_value(ANNA, NOW)


def test_a_session_stands_for_its_token_until_it_ends() -> None:
    assert session_token(TOKENS, ANNAS, NOW) is ANNA
    assert session_token(TOKENS, ANNAS, NOW + DURATION - dt.timedelta(seconds=1)) is ANNA
    assert session_token(TOKENS, ANNAS, NOW + DURATION) is None


def test_the_cookie_does_not_hold_the_secret() -> None:
    assert "correct-horse" not in ANNAS
    assert ANNA.digest.hex() not in ANNAS


def test_a_session_ends_with_its_token() -> None:
    assert session_token([BEN], ANNAS, NOW) is None
    renewed = read_tokens("anna:operate:a-new-secret-of-hers")
    assert session_token(renewed, ANNAS, NOW) is None


@pytest.mark.parametrize(
    "forged",
    [
        "", ":", "::", "anna", ANNAS + "é", "anna:9999999999:", ANNAS[:-1], ANNAS + "0",
        ANNAS.replace("anna", "ben"),
        ANNAS.replace(ANNAS.split(":")[1], str(int(ANNAS.split(":")[1]) + 60)),
        f"anna:{'9' * 400}:{ANNAS.split(':')[2]}", f"anna:-1:{ANNAS.split(':')[2]}",
        f"anna:１２:{ANNAS.split(':')[2]}",
    ],
)  # fmt: skip
def test_what_is_forged_is_no_session(forged: str) -> None:
    assert session_token(TOKENS, forged, NOW) is None
