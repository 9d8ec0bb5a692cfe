"""Query parameters are read strictly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from understudy.streams.http.problems import Problem
from understudy.streams.http.query_parameters import allow_only, flag, positive_int, timestamp


def asked(query: str) -> web.Request:
    return make_mocked_request("GET", f"/api/v1/rollouts?{query}")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(Problem) as raised:
        call()
    assert raised.value.status == 400
    return raised.value.detail


def test_known_parameters_are_allowed_once() -> None:
    allow_only(asked("dry_run=true&limit=3"), "dry_run", "limit", "before")
    detail = refusal(lambda: allow_only(asked("dryrun=true"), "dry_run"))
    assert detail == "unknown parameter dryrun; did you mean dry_run?"
    assert "occurs twice" in refusal(lambda: allow_only(asked("a=1&a=1"), "a"))


@pytest.mark.parametrize(("query", "value"), [("", False), ("x=false", False), ("x=true", True)])
def test_a_flag_is_true_or_false(query: str, value: bool) -> None:
    assert flag(asked(query), "x") is value


@pytest.mark.parametrize("text", ["1", "yes", "TRUE", "", "true "])
def test_anything_else_is_no_flag(text: str) -> None:
    assert "must be true or false" in refusal(lambda: flag(asked(f"x={text}"), "x"))


def test_a_number_has_a_default_and_bounds() -> None:
    assert positive_int(asked(""), "limit", default=20, maximum=100) == 20
    for text in ("1", "100", "0099"):
        assert positive_int(asked(f"limit={text}"), "limit", default=20, maximum=100) == int(text)


@pytest.mark.parametrize("text", ["0", "101", "-1", "+1", "1.0", "", "٣", "1" * 5_000])
def test_what_is_no_such_number_is_refused(text: str) -> None:
    detail = refusal(lambda: positive_int(asked(f"n={text}"), "n", default=1, maximum=100))
    assert "must be a number from 1 to 100" in detail


def test_a_time_has_a_zone() -> None:
    noon = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert timestamp("before", "2026-03-02T12:00:00Z") == noon
    assert timestamp("before", "2026-03-02T13:00:00+01:00") == noon
    assert "lacks a time zone" in refusal(lambda: timestamp("before", "2026-03-02T12:00:00"))
    assert "must be a time such as" in refusal(lambda: timestamp("before", "yesterday"))
