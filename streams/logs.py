"""Structured logs on stderr: one JSON object a line, or readable lines on a terminal.

What libraries log through `logging`, librdkafka's own lines among it, comes out in the same form.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

import structlog

KAFKA_LOGGER: Final = logging.getLogger("librdkafka")
"""Where Kafka clients send their lines: `Consumer(config, logger=KAFKA_LOGGER)`."""


def configure_logs(level: int = logging.INFO) -> None:
    """Send all logs to stderr; colours only on a terminal and unless NO_COLOR is set."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
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
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
