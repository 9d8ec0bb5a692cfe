"""Deciding at the edge: a Faust app that feeds window rows to the guardrails and emits decisions.

`faust -A understudy.streams.deciding` looks for `app` here; it is made of this environment's
settings when asked for, so that importing the package does not import Faust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.streams.deciding.faust_app import DecidingApp

_made: dict[str, DecidingApp] = {}


def __getattr__(name: str) -> Any:
    """`app` is the app of this environment's settings, made once."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _made:
        from understudy.streams.deciding.faust_app import app_from_environment

        _made[name] = app_from_environment()
    return _made[name]
