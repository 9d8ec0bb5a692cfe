"""Interrupts (Ctrl-C) while modules are imported.

As an exception, an interrupt then ends as the traceback of a half-imported module, or as the panic
of an extension module; so it ends the process at once.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interrupts_end_the_process() -> Iterator[None]:
    """Let an interrupt end the process without a word, as it does other programs."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
