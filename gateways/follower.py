"""Follows what Kafka or the API says in threads of its own, and keeps the newest in memory.

Threads begin anew after a failure and after a fork. What was read stays while nothing can be read:
`allocation.in_force` knows what a decision that grows older is worth.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from understudy.gateways.after_fork import begin_after_forks

log = logging.getLogger(__name__)

_RETRY_S: Final = 1.0
"""Between attempts: soon enough for a kill within two seconds, and no flood for who is away."""
_JITTER: Final = 0.5
"""Share of the pause that is left to chance, so that all gateways do not come back at once."""
_CLOSE_S: Final = 2.0
"""How long the end of a process waits for a thread; it is a daemon, so nothing depends on it."""
_WARN_EVERY_S: Final = 60.0
"""How often a log line says that nothing can be read."""

Value = TypeVar("Value")
Follow = Callable[[threading.Event], None]
"""Follows until the event is set; may raise anything, and is then called again."""


class Follower(Generic[Value]):
    """The newest value of each rollout that is followed; its threads live in one process."""

    _what: str
    """What is read, in the words of a log line."""

    def __init__(self) -> None:
        self._is_closed = False
        self._begin()
        begin_after_forks(self)

    def _begin(self) -> None:
        """The state of a process that has read nothing."""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._values: dict[str, Value] = {}
        self._warned_at_s = -_WARN_EVERY_S

    def close(self) -> None:
        """Stop following; what was read stays as it is."""
        self._is_closed = True
        self._stop.set()
        for thread in list(self._threads.values()):
            thread.join(_CLOSE_S)

    def _run(self, name: str, follow: Follow) -> None:
        """Follow in a thread of that name, unless there is one."""
        with self._lock:
            if self._is_closed or name in self._threads:
                return
            self._threads[name] = threading.Thread(
                target=self._keep_following,
                args=(follow, self._stop),
                name=f"understudy-{self._what}-{name}",
                daemon=True,
            )
            self._threads[name].start()

    def _keep_following(self, follow: Follow, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                follow(stop)
            except Exception as error:
                self._warn(
                    f"The newest {self._what} cannot be read, what is known grows old: {error}"
                )
            stop.wait(_RETRY_S * (1.0 - _JITTER * random.random()))

    def _warn(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._warned_at_s >= _WARN_EVERY_S:
            self._warned_at_s = now_s
            log.warning(text)

    def begin_in_child(self) -> None:
        """After a fork there are no threads; the next question starts them."""
        self._begin()
