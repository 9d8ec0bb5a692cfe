"""Interrupts (Ctrl-C) where an exception would do harm.

While modules are imported, an exception ends as the traceback of a half-imported module, or as the
panic of an extension module; so an interrupt ends the process at once. While Kafka's client is
asked, an exception is lost in it; so a command that stays until it is interrupted sets an event.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from understudy.streams.stop_signal import set_from_handler


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


@contextmanager
def interrupts_set(stop: threading.Event) -> Iterator[None]:
    """Let an interrupt, or a request to terminate, set an event instead of raising."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {
        number: signal.signal(number, lambda *_: set_from_handler(stop)) for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
