"""Structured logs on stderr: one JSON object a line, or readable lines on a terminal."""

from __future__ import annotations

import logging
import os
import sys

import structlog


def configure_logs(level: int = logging.INFO) -> None:
    """Send all logs to stderr; colours only on a terminal and unless NO_COLOR is set."""
    terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
