"""Deciding: window rows in, verdicts out.

`Decider` is all that an edge has to call; it is pure: no clock, no I/O. `docket` puts policies,
commands and a table around it, as pure; `faust_app` is the edge. `faust -A` looks for `app` here,
which is made when asked for: whoever wants only `Decider` does not import Faust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from understudy.analyzers.guardrails.evaluator import Decider

if TYPE_CHECKING:
    from understudy.streams.deciding.faust_app import DecidingApp

__all__ = ["Decider"]

_made: dict[str, DecidingApp] = {}


def __getattr__(name: str) -> Any:
    """`app` is the app of this environment's settings, made once."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _made:
        from understudy.streams.deciding.faust_app import app_from_environment

        _made[name] = app_from_environment()
    return _made[name]
