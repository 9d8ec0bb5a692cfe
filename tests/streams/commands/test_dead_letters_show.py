"""`understudy dead-letters show` on a real broker."""

from __future__ import annotations

import pytest

from tests.brokers.contract import Broker
from tests.streams.commands.dead_letter_runs import HOSTILE, run_dead_letters
from understudy.schemas.topics import Topics

pytestmark = pytest.mark.integration


def test_nothing_listed_or_shown_acts_on_a_terminal(kafka_broker: Broker, filled: Topics) -> None:
    shown = run_dead_letters(kafka_broker, filled, "show", f"{filled.events.name}/1/9")
    listed = run_dead_letters(kafka_broker, filled, "list")
    as_json = run_dead_letters(kafka_broker, filled, "list", "--json")
    assert "owned" in shown.stdout
    assert "\\x1b[31m" in shown.stdout
    for output in (shown.stdout, listed.stdout, as_json.stdout):
        assert all(line.isprintable() for line in output.split("\n"))


def test_show_raw_is_the_payload(kafka_broker: Broker, filled: Topics) -> None:
    result = run_dead_letters(kafka_broker, filled, "show", "--raw", f"{filled.events.name}/1/9")
    assert result.stdout_bytes == HOSTILE


def test_show_what_is_not_there(kafka_broker: Broker, filled: Topics) -> None:
    result = run_dead_letters(kafka_broker, filled, "show", f"{filled.events.name}/1/99")
    assert result.exit_code == 1
    assert "there is no dead letter about" in result.stderr
