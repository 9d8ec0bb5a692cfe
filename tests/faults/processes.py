"""Workers as processes of their own, to be killed.

`Worker` forks from a server process that has imported everything, so one starts in milliseconds;
`CommandWorker` is `understudy worker` as an operator starts it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, Protocol

from tests import waiting

ROOT: Final = Path(__file__).parents[2]
EXIT_S: Final = 60.0
"""Twice what Kubernetes grants: a worker that takes longer hangs."""
GRACE_S: Final = 30.0
"""What Kubernetes grants a container between SIGTERM and SIGKILL, unless told otherwise."""
FEW_ROWS: Final = 5
"""Of deciding's table: windows here are small, and some shall be parts of their snapshot."""
_LOG_TAIL: Final = 6000
"""Characters of a worker's log that a failure shows: its last hundred lines or so."""
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.faults.processes", "understudy.streams.worker", "understudy.streams.deciding.runner"]
)

Environment = Mapping[str, str]
Role = Literal["pairing", "deciding", "evaluating", "all"]


class Killable(Protocol):
    """A running worker."""

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""

    @property
    def log(self) -> str:
        """What it wrote to stderr."""

    def kill(self) -> None:
        """SIGKILL."""

    def terminate(self) -> None:
        """SIGTERM."""


class Worker:
    """`run_worker` in a forked process, with settings from an environment."""

    def __init__(self, environment: Environment, log: Path, role: Role = "pairing") -> None:
        self._log = log
        self._process = _CONTEXT.Process(target=_run, args=(dict(environment), str(log), role))
        self._process.daemon = True
        self._process.start()

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    def terminate(self) -> None:
        self._process.terminate()

    def pause(self) -> None:
        """SIGSTOP: it hangs, and its membership runs out."""
        os.kill(self._process.pid or 0, signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        os.kill(self._process.pid or 0, signal.SIGCONT)


def _run(environment: dict[str, str], log: str, role: Role) -> None:
    from understudy.streams.deciding import snapshots
    from understudy.streams.errors import CommandError
    from understudy.streams.settings import load_settings
    from understudy.streams.worker import run_worker

    snapshots.FEW_ROWS = FEW_ROWS  # type: ignore[misc]
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    try:
        run_worker(load_settings(None, environment), role)
    except CommandError as error:
        print(f"Error: {error.message}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)


class CommandWorker:
    """`understudy worker`, as a command."""

    def __init__(
        self,
        environment: Environment,
        log: Path,
        role: Role = "pairing",
        *,
        script: str | None = None,
    ) -> None:
        self._log = log
        started = ["-c", script] if script else ["-m", "understudy.streams.commands.main"]
        ours = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, *started, "worker", "--role", role],
                cwd=log.parent,
                env={**ours, **environment},
                stdout=stderr,
                stderr=stderr,
            )

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        self._process.terminate()

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def stop(worker: Killable, within_s: float = EXIT_S) -> float:
    """SIGTERM and wait; seconds that it took. Fails unless it ends with 0.

    One that has not logged anything yet may not have got as far as minding the signal.
    """
    started = time.monotonic()
    expected = (0,) if worker.log else (0, -signal.SIGTERM)
    worker.terminate()
    wait_until(lambda: worker.exit_code is not None, "the worker ends", within_s, worker)
    assert worker.exit_code in expected, f"exit code {worker.exit_code}\n{worker.log[-4000:]}"
    return time.monotonic() - started


def wait_until(
    done: Callable[[], bool],
    what: str,
    within_s: float = waiting.DEADLINE_S,
    worker: Killable | None = None,
) -> None:
    """Wait until something is so; fails with the worker's log when it does not come."""
    waiting.wait_until(
        done, what, within_s, details=lambda: worker.log[-_LOG_TAIL:] if worker else ""
    )


def wait_until_logged(worker: Killable, event: str) -> None:
    """Wait until a worker has logged an event."""
    wait_until(lambda: f'"{event}"' in worker.log, f"{event} is logged", worker=worker)


def partitions_of(worker: Killable) -> set[int]:
    """The partitions that a worker has, by its log."""
    owned: set[int] = set()
    for line in worker.log.splitlines():
        if '"partitions.assigned"' in line:
            owned.update(json.loads(line)["partitions"])
        elif '"partitions.revoked"' in line or '"partitions.lost"' in line:
            owned.difference_update(json.loads(line)["partitions"])
    return owned
