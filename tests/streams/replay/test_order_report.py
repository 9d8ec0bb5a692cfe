"""What is said about the order of a recording."""

from __future__ import annotations

from understudy.streams.replay.order_report import order_json, order_text
from understudy.streams.replay.recordings import Place
from understudy.streams.replay.time_order import Disorder


def test_an_ordered_recording_is_not_mentioned() -> None:
    assert list(order_text(Disorder(lines=9), 120.0)) == []
    assert order_json(Disorder(lines=9)) == {
        "late_as_recorded": 0, "late_as_taken": 0, "first_ahead": None,
    }  # fmt: skip


def test_disorder_names_the_event_that_lies_ahead() -> None:
    disorder = Disorder(lines=2400, late_as_recorded=2276, first_ahead=Place("a.ndjson", 102))
    line, sorted_now = order_text(disorder, 120.0)
    assert sorted_now.endswith("so none is late")
    assert "2,276 of 2,400 events (95%) come after one that lies more than 120 s ahead" in line
    assert "a.ndjson:102" in line
    assert order_json(disorder)["first_ahead"] == {"file": "a.ndjson", "line": 102}


def test_what_may_not_be_sorted_is_told_with_what_to_do() -> None:
    disorder = Disorder(lines=10, late_as_recorded=9, late_as_given=3)
    _, line = order_text(disorder, 120.0)
    assert line.startswith("order: 3 events were not brought into the order")
    assert line.endswith("--as-recorded forbids it, and are late; leave it out")
