"""The guard: another release of Faust or aiokafka fails with one clear sentence."""

from __future__ import annotations

import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from understudy.streams.deciding.faust_patches.guard import PATCHED, check_patched_attributes

ROOT: Final = Path(__file__).parents[4]


class _Declared:
    declared: int


class _Release(_Declared):
    def __init__(self) -> None:
        self.assigned = 1

    def method(self) -> None:
        """Something to override."""


def test_the_pinned_releases_have_everything() -> None:
    check_patched_attributes()
    assert sum(len(names) for _, names in PATCHED) > 30


def test_methods_declarations_and_assignments_count() -> None:
    check_patched_attributes([(_Release, ("method", "declared", "assigned"))])


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ImportError) as raised:
        check_patched_attributes([(_Release, ("method", "_gone", "_lost"))])
    assert str(raised.value) == (
        "faust-streaming 0.15.3 with aiokafka 0.14.0 has no _Release._gone, _Release._lost, which "
        "understudy patches: install the releases that understudy's package pins"
    )


def test_both_libraries_are_pinned() -> None:
    """A patch of private attributes fits the release that it was written for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name in ("aiokafka", "faust-streaming"):
        assert f"{name}=={version(name)}" in project["optional-dependencies"]["worker"]
