"""Logs are lines of JSON on stderr, whoever writes them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import structlog

from understudy.streams.logs import LogLimit

WRITES = """
import logging, sys, structlog
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
configure_logs()
structlog.get_logger("ours").info("worker.started", topic="名")
structlog.get_logger("ours").debug("not.shown")
KAFKA_LOGGER.warning("broker %s is away", 1)
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("worker.failed")
print("a result")
"""


def test_every_line_is_an_object_with_time_and_level() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", WRITES],
        capture_output=True, encoding="utf-8", check=True, env=environment,
    )  # fmt: skip
    assert done.stdout == "a result\n"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(one["level"], one["event"]) for one in lines] == [
        ("info", "worker.started"),
        ("warning", "broker 1 is away"),
        ("error", "worker.failed"),
    ]
    assert lines[0]["topic"] == "名"
    assert all(one["timestamp"].endswith("Z") for one in lines)
    assert "ZeroDivisionError" in lines[2]["exception"]


HOSTILE_LOGS = """
import logging, structlog
from understudy.streams.logs import configure_logs
configure_logs()
bad = "a\\x1b[2J\\x9b1m\\u202e\\nforged"
structlog.get_logger("ours").warning(bad, **{"key\\x1b": bad, "many": [bad], "number": 7})
logging.getLogger("theirs").warning(bad)
try:
    raise ValueError(bad)
except ValueError:
    structlog.get_logger("ours").exception("worker.failed")
"""


def test_on_a_terminal_no_field_acts() -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, "-c", HOSTILE_LOGS], stderr=slave, check=True, env=environment)
    os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as screen:
        shown = screen.read(1_000_000).decode()
    assert all(line.isprintable() for line in shown.replace("\r\n", "\n").split("\n"))
    assert r"a\x1b[2J\x9b1m\u202e\x0aforged" in shown
    assert "Traceback" in shown
    assert "number=7" in shown


def test_tests_can_capture_what_a_configured_process_logs() -> None:
    """Loggers are not cached: one that was used before would keep writing to stderr."""
    captures = """
import structlog
from understudy.streams.logs import configure_logs
configure_logs()
log = structlog.get_logger("ours")
log.info("to.stderr")
with structlog.testing.capture_logs() as logs:
    log.info("captured")
assert [one["event"] for one in logs] == ["captured"]
"""
    done = subprocess.run([sys.executable, "-c", captures], capture_output=True, check=True)
    assert b"captured" not in done.stderr


def test_what_strangers_can_cause_is_logged_so_often_and_then_counted() -> None:
    now_s = 0.0
    limited = LogLimit(structlog.get_logger("ours"), most=2, interval_s=60.0, clock=lambda: now_s)
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            limited.warning("http.unauthorized", remote="a")
        limited.error("http.request_failed")
        now_s = 60.0
        for _ in range(2):
            limited.warning("http.unauthorized", remote="b")
    assert [(one["event"], one.get("remote"), one.get("left_out")) for one in logs] == [
        ("http.unauthorized", "a", None),
        ("http.unauthorized", "a", None),
        ("http.request_failed", None, None),
        ("http.unauthorized", "b", 3),
        ("http.unauthorized", "b", None),
    ]
