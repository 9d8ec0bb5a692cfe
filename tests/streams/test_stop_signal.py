"""A signal sets an event that the interrupted thread may hold."""

from __future__ import annotations

import threading

from understudy.streams.stop_signal import set_from_handler


def test_a_signal_stops_a_thread_that_is_about_to_wait() -> None:
    stop = threading.Event()
    with stop._cond:  # type: ignore[attr-defined]  # as it is on its way into or out of `wait`
        set_from_handler(stop)
    assert stop.wait(10.0)
