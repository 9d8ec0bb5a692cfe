"""Partitions are paused before Faust does anything with them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP

from understudy.streams.deciding.faust_patches.pause_until_recovered import PauseUntilRecovered


def test_what_is_assigned_is_paused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[tuple[str, set[TP]]] = []
    assigned = {TP("understudy.windows", 0)}

    async def on_assigned(_: Any, partitions: set[TP], generation_id: int = 0) -> None:
        happened.append(("recover", partitions))

    class App(PauseUntilRecovered):
        """An app whose consumer only notes what it is asked."""

        def __init__(self) -> None:
            """Without Faust's own."""

        consumer: Any = SimpleNamespace(
            pause_partitions=lambda tps: happened.append(("pause", tps))
        )

    monkeypatch.setattr(faust.App, "_on_partitions_assigned", on_assigned)
    asyncio.run(App()._on_partitions_assigned(assigned))
    assert happened == [("pause", assigned), ("recover", assigned)]
