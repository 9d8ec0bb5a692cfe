"""Where the program `understudy` begins."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from understudy.streams.commands.interrupts import interrupts_end_the_process


def run() -> None:
    """Run the command that the arguments name, and exit."""
    sys.excepthook = _show_uncaught
    with interrupts_end_the_process():
        from understudy.streams.commands.main import main
    main()


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show the traceback of a bug; what it quotes does not act on the terminal."""
    from understudy.streams.terminal.output import say

    if issubclass(kind, KeyboardInterrupt):
        say("Interrupted", err=True)
    else:
        say("".join(traceback.format_exception(kind, error, trace)), err=True, end="")
