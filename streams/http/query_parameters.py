"""Query parameters, read strictly: a misspelt `dry_run` must not be a real run."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Final

from aiohttp import web

from understudy.schemas.rollouts import nearest
from understudy.streams.http.problems import Problem

_FLAGS: Final = {"true": True, "false": False}
_MAX_DIGITS: Final = 9
"""Of a number; Python reads very long ones slowly."""


def allow_only(request: web.Request, *names: str) -> None:
    """Refuse unknown and repeated parameters."""
    for name in request.query:
        if name not in names:
            raise _bad(f"unknown parameter {name}{nearest(name, names)}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"the parameter {name} occurs twice")


def flag(request: web.Request, name: str) -> bool:
    """`true` or `false`; false when it is absent."""
    text = request.query.get(name, "false")
    if text not in _FLAGS:
        raise _bad(f"{name} must be true or false, not {text!r}")
    return _FLAGS[text]


def positive_int(request: web.Request, name: str, *, default: int, maximum: int) -> int:
    """A number from 1 to a maximum."""
    text = request.query.get(name)
    if text is None:
        return default
    number = whole_number(text, _MAX_DIGITS)
    if number is None or not 1 <= number <= maximum:
        raise _bad(f"{name} must be a number from 1 to {maximum}, not {text!r}")
    return number


def whole_number(text: str, most_digits: int) -> int | None:
    """Return a number that is written in at most so many digits; None for any other text."""
    is_number = text.isascii() and text.isdigit() and len(text) <= most_digits
    return int(text) if is_number else None


def timestamp(name: str, text: str) -> dt.datetime:
    """A time with its zone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _bad(f"{name} must be a time such as 2026-03-02T09:15:30Z, not {text!r}") from None
    if found.tzinfo is None:
        raise _bad(f"{name} lacks a time zone; write {text}Z for UTC")
    return found


def _bad(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
