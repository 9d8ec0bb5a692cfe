"""Conditional requests, and how long a client may wait for a change."""

from __future__ import annotations

import pytest
from aiohttp import ETag
from aiohttp.test_utils import make_mocked_request

from understudy.streams.http.etag import MAX_WAIT_S, matches, preferred_wait_s


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        ("wait=30", 30.0),
        ("respond-async, WAIT = 5", 5.0),
        ('wait="7"; foo=bar', 7.0),
        ("wait=999999", MAX_WAIT_S),
        ("wait=0", 0.0),
        ("", None),
        ("await=30", None),
        ("wait=soon", None),
        ("wait=-1", None),
        ("wait=9999999", None),
    ],
)
def test_preferred_waits(prefer: str, wait_s: float | None) -> None:
    request = make_mocked_request("GET", "/", headers={"Prefer": prefer})
    assert preferred_wait_s(request) == wait_s


def test_several_headers_are_one() -> None:
    headers = [("Prefer", "respond-async"), ("Prefer", "wait=3")]
    request = make_mocked_request("GET", "/", headers=headers)  # type: ignore[arg-type]
    assert preferred_wait_s(request) == 3.0


@pytest.mark.parametrize(
    ("named", "is_match"), [("abc", True), ("*", True), ("abd", False), (None, False)]
)
def test_a_condition_names_the_tag_or_any(named: str | None, is_match: bool) -> None:
    conditions = None if named is None else (ETag("other"), ETag(named))
    assert matches(conditions, "abc") is is_match
