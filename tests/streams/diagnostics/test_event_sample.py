"""What is sampled of a topic's events."""

from __future__ import annotations

from understudy.streams.diagnostics.event_sample import sampled


def test_what_is_no_event_is_not_sampled() -> None:
    assert sampled(0, 0, True, b"k", b"{", 100) is None
