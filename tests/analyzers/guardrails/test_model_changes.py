"""A side that answers with another model than when the stage began."""

from __future__ import annotations

import msgspec
import pytest

from understudy.analyzers.guardrails.model_changes import MAX_NAMES, SideModels


def seen(*windows: dict[str, int]) -> SideModels:
    models = SideModels()
    for place, window in enumerate(windows):
        models.add(window, 1_000 * place)
    return models


def test_another_model_is_a_change_with_its_share_since_then() -> None:
    before = {"heron-4": 90, "heron-4-mini": 10}
    models = seen(before, before, before, {"heron-4": 50, "heron-5": 50}, {"heron-5": 100})
    (change,) = models.changes()
    assert (change.model, change.since_ms) == ("heron-5", 3_000)
    assert change.share == pytest.approx(0.75)
    assert change.before == ["heron-4", "heron-4-mini"]


@pytest.mark.parametrize(
    "later",
    [
        pytest.param([{"heron-4": 100}], id="the same"),
        pytest.param([{"heron-4-mini": 100}], id="one it began with"),
        pytest.param([{"heron-4": 99, "fallback": 1}], id="a stray one"),
        pytest.param([{"heron-4": 9_980, "fallback": 20}], id="a hundredth of a point"),
        pytest.param([{"heron-4": 50, "": 50}], id="unknown"),
        pytest.param([{"heron-4": 50, "other": 50}], id="names beyond those of a row"),
    ],
)
def test_what_is_no_change(later: list[dict[str, int]]) -> None:
    before = {"heron-4": 190, "heron-4-mini": 10}
    assert seen(before, *later).changes() == []


def test_what_a_stage_begins_with_takes_some_requests_to_know() -> None:
    assert seen({"a": 10}, {"b": 150}, {"c": 100}, {"a": 50}).changes() == []


def test_names_without_end_take_no_room() -> None:
    windows = [{f"first-{n}": 10 for n in range(100)}]
    windows += [{f"later-{n}-{m}": 30 for m in range(100)} for n in range(5)]
    models = seen(*windows)
    assert len(models.first) <= MAX_NAMES
    assert len(models.changes()) <= MAX_NAMES


def test_it_survives_the_state() -> None:
    models = seen({"a": 300}, {"b": 300})
    decoded = msgspec.json.decode(msgspec.json.encode(models), type=SideModels)
    assert decoded.changes() == models.changes() != []
