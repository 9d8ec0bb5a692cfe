"""Structured logs on stderr: one JSON object a line, or readable lines on a terminal.

What libraries log through `logging`, librdkafka's own lines among it, comes out in the same form.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from understudy.analyzers.guardrails.formatting import printable, visible

KAFKA_LOGGER: Final = logging.getLogger("librdkafka")
"""Where Kafka clients send their lines: `Consumer(config, logger=KAFKA_LOGGER)`."""
_OF_SEVERAL_LINES: Final = ("exception", "stack")


def configure_logs(level: int = logging.INFO) -> None:
    """Send all logs to stderr; colours only on a terminal and unless NO_COLOR is set."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [_made_visible, structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)]
        if sys.stderr.isatty()
        else [structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *renderers,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


class LogLimit:
    """A logger for events that strangers can cause: at most so many of one name in an interval.

    The first one of the next interval says how many were left out.
    """

    def __init__(
        self,
        log: Any,
        most: int = 10,
        interval_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log, self._most, self._interval_s, self._clock = log, most, interval_s, clock
        self._lock = threading.Lock()
        self._intervals: dict[str, tuple[float, int]] = {}
        """By event: when the interval began, and how often the event has happened in it."""

    def warning(self, event: str, **fields: object) -> None:
        """Log a warning, unless there were too many."""
        self._emit(self._log.warning, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log an error, unless there were too many."""
        self._emit(self._log.error, event, fields)

    def _emit(self, log: Callable[..., object], event: str, fields: dict[str, object]) -> None:
        left_out = self._left_out(event)
        if left_out is not None:
            log(event, **fields, **({"left_out": left_out} if left_out else {}))

    def _left_out(self, event: str) -> int | None:
        """How many were left out before this one; None for one that is left out itself."""
        now_s = self._clock()
        with self._lock:
            began_s, happened = self._intervals.get(event, (now_s, 0))
            if now_s - began_s >= self._interval_s:
                self._intervals[event] = (now_s, 1)
                return max(0, happened - self._most)
            self._intervals[event] = (began_s, happened + 1)
            return 0 if happened < self._most else None


def _made_visible(
    _: structlog.typing.WrappedLogger, __: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """The fields without characters that act on a terminal; tracebacks keep their lines."""
    return {
        printable(name): visible(str(value))
        if name in _OF_SEVERAL_LINES
        else _printable_value(value)
        for name, value in fields.items()
    }


def _printable_value(value: object) -> object:
    return value if isinstance(value, bool | int | float | None) else printable(str(value))
