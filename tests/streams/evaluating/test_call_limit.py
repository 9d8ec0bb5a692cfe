"""Fewer calls at once where answers do not come in time, and more again where they do."""

from __future__ import annotations

from understudy.streams.evaluating.call_limit import CallLimit


def test_a_timeout_halves_and_answers_raise() -> None:
    limit = CallLimit(8)
    limit.note_timeout(begun_s=0.0, now_s=60.0)
    assert limit.now == 4
    for _ in range(3):
        limit.note_answer()
    assert limit.now == 4
    limit.note_answer()
    assert limit.now == 5
    for _ in range(1_000):
        limit.note_answer()
    assert limit.now == 8


def test_calls_that_began_together_halve_once() -> None:
    limit = CallLimit(8)
    for _ in range(8):
        limit.note_timeout(begun_s=0.0, now_s=60.0)
    assert limit.now == 4
    limit.note_timeout(begun_s=60.0, now_s=120.0)
    limit.note_timeout(begun_s=120.0, now_s=180.0)
    limit.note_timeout(begun_s=180.0, now_s=240.0)
    assert limit.now == 1
