"""What stands behind the question mark, read strictly: a misspelt `dry_run` must not be a run."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Final

from aiohttp import web

from understudy.schemas.rollouts import nearest
from understudy.streams.http.problems import Problem

_FLAGS: Final = {"true": True, "false": False}


def only(request: web.Request, *names: str) -> None:
    """Refuse parameters that are unknown or stand twice."""
    for name in request.query:
        if name not in names:
            raise _bad(f"unknown parameter {name}{nearest(name, names)}")
        if len(request.query.getall(name)) > 1:
            raise _bad(f"{name} stands there twice")


def flag(request: web.Request, name: str) -> bool:
    """`true` or `false`; false when it is not there."""
    text = request.query.get(name, "false")
    if text not in _FLAGS:
        raise _bad(f"{name} is true or false, not {text!r}")
    return _FLAGS[text]


def whole_number(request: web.Request, name: str, *, default: int, most: int) -> int:
    """At least 1."""
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise _bad(f"{name} is a number from 1 to {most}, not {text!r}")
    return int(text)


def moment(name: str, text: str) -> dt.datetime:
    """A time with its zone."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _bad(f"{name} is a time such as 2026-03-02T09:15:30Z, not {text!r}") from None
    if found.tzinfo is None:
        raise _bad(f"{name} says no zone; write {text}Z for UTC")
    return found


def _bad(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
