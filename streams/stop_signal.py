"""A signal sets an event. Every command imports this, so it imports nothing else."""

from __future__ import annotations

import _thread
import threading


def set_from_handler(event: threading.Event) -> None:
    """Set an event in a handler of signals, which runs in the main thread between two of its steps.

    That thread may hold the event's lock, since it waits for the event; so another thread sets it.
    """
    _thread.start_new_thread(event.set, ())
