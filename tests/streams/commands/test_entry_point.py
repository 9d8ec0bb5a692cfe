"""An interrupt ends the program without a traceback, whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = (
    "import os, signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from understudy.streams.commands.entry_point import run\n"
    "os.write(1, b'ready\\n')\n"
    "run()"
)
"""A shell's background jobs ignore SIGINT, and so do the processes that they start."""


@pytest.mark.parametrize("after_s", [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.5])
def test_an_interrupt_is_no_traceback(after_s: float) -> None:
    """The delays reach from the first import into the first seconds of the run."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "demo", "--pairs", "500"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after_s)  # the moment is what is tested
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in err
    assert "panicked" not in err
    assert err in ("", "Interrupted\n", "\nInterrupted\n")


def test_the_traceback_of_a_bug_cannot_act_on_the_terminal() -> None:
    script = (
        "from understudy.streams.commands import command_group as g\n"
        "def bug(*_): raise ValueError('a\\x1b[2Jb')\n"
        "g.Program._exit_code = bug\n"
        "from understudy.streams.commands.entry_point import run\n"
        "run()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"ValueError: a\\x1b[2Jb" in done.stderr
    assert b"\x1b" not in done.stderr
