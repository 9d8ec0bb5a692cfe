"""Where the program `understudy` begins."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Final

from understudy.streams.commands.interrupts import interrupts_end_the_process

_WRONG_USAGE: Final = 2
"""As in `streams/errors.py`, which imports what may be missing."""


def run() -> None:
    """Run the command that the arguments name, and exit."""
    sys.excepthook = _show_uncaught
    try:
        with interrupts_end_the_process():
            from understudy.streams.commands.main import main
        main()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "understudy"):
            raise
        sys.stderr.write(
            f"Error: the package {package} is missing. `pip install understudy` alone is for "
            "gateways; commands and workers need `pip install 'understudy[worker]'`.\n"
        )
        sys.exit(_WRONG_USAGE)


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show the traceback of a bug; what it quotes does not act on the terminal."""
    from understudy.streams.terminal.output import say

    if issubclass(kind, KeyboardInterrupt):
        say("Interrupted", err=True)
    else:
        say("".join(traceback.format_exception(kind, error, trace)), err=True, end="")
