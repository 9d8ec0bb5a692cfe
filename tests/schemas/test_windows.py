"""Messages of windows: what one says that has no rows."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.analyzers.guardrails.world import replaced
from understudy.schemas.windows import WindowRow, WindowsMessage, windows_message

AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def test_a_message_that_says_nothing_of_any_window_asks_for_a_look() -> None:
    nothing = windows_message([], rollout_id="helpdesk", partition=0, version=0)
    assert nothing.asks_for_look
    assert msgspec.json.decode(msgspec.json.encode(nothing), type=WindowsMessage).asks_for_look
    row = WindowRow(
        rollout_id="helpdesk", language="en", window_start=AT, window_s=10, partition=0, version=1
    )
    assert not replaced(nothing, rows=[row]).asks_for_look
    assert not msgspec.structs.replace(nothing, watermark=AT).asks_for_look
