"""The model that comes in a wheel, without a network."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from understudy.analyzers.evaluators.embeddings import cosines
from understudy.streams.evaluating import static_embeddings
from understudy.streams.evaluating.static_embeddings import load_embeddings


def test_without_the_package_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_embeddings, "_PACKAGE", "not_installed_anywhere")
    assert load_embeddings() is None


@pytest.mark.slow
def test_it_tells_what_a_text_is_about_and_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The test's network is closed; an empty home has no cache of the hub."""
    pytest.importorskip("wordllama", reason="needs the extra embeddings")
    monkeypatch.setenv("HOME", str(tmp_path))
    handlers = list(logging.getLogger().handlers)
    embed = load_embeddings()
    assert embed is not None
    prompt = "How do I bake bread with sourdough?"
    good = "Mix flour, water and the starter, let the dough rise, and bake the loaf in a hot oven."
    other = "The central bank raised its interest rate to fight inflation."
    near, far = cosines(embed, prompt, good, other)
    assert near is not None
    assert far is not None
    assert near > far + 0.1
    assert list(tmp_path.rglob("*")) == []
    assert logging.getLogger().handlers == handlers
