"""A stop that hangs ends the process: a supervisor's kill would say nothing about why."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from understudy.streams.errors import FAILED

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S: Final = 25.0
"""A stop takes ten seconds at most where Kafka and ClickHouse answer; Kubernetes kills after 30."""


def end_process(_: BaseException | None = None) -> None:
    """End at once. Nothing is lost: what is not committed is read again, and must not be sent."""
    sys.stderr.flush()
    os._exit(FAILED)


@contextmanager
def stop_deadline(
    stop: threading.Event,
    timeout_s: float = STOP_TIMEOUT_S,
    on_timeout: Callable[[], None] = end_process,
) -> Iterator[None]:
    """Give the work inside `timeout_s` to end after `stop` is set.

    Past that the stacks of all threads go to stderr, and `on_timeout` is called.
    """
    ended = threading.Event()

    def watch() -> None:
        stop.wait()
        if not ended.wait(timeout_s):
            log.error("worker.stop_timed_out", timeout_s=timeout_s)
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
            on_timeout()

    watcher = threading.Thread(target=watch, name="understudy-stop-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        stop.set()
        watcher.join()
