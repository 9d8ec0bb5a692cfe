"""An interrupt while modules are imported ends the process; then all is as before."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from understudy.streams.commands.interrupts import interrupts_end_the_process, interrupts_set


def test_the_handler_comes_back() -> None:
    # Where the suite runs in the background of a shell, SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interrupts_end_the_process():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_program_that_ignores_interrupts_goes_on_ignoring_them() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts_end_the_process():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_change_no_handler() -> None:
    seen = []

    def work() -> None:
        with interrupts_end_the_process():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_stays_ends_by_an_event(number: signal.Signals) -> None:
    stop, before = threading.Event(), signal.getsignal(number)
    with interrupts_set(stop):
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is before
