"""Folders for chDB that are used again, or kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from understudy.streams.clickhouse.data_folder import data_folder
from understudy.streams.errors import CommandError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_two_of_a_purpose_do_not_share_a_folder() -> None:
    with data_folder(None, "demo") as first:
        (first / "data").mkdir()
        busy = pytest.raises(CommandError, match="another `understudy demo` is running")
        with busy, data_folder(None, "demo"):
            pass
        with data_folder(None, "up") as other:
            assert other != first
        assert list(first.iterdir()) == [first / "data"]
    with data_folder(None, "demo") as again:
        assert again == first
        assert list(again.iterdir()) == []


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), data_folder(None, "demo"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_to_keep_is_a_new_one(tmp_path: Path) -> None:
    with data_folder(tmp_path, "demo") as kept:
        (kept / "data").mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    with pytest.raises(CommandError, match="not empty"), data_folder(tmp_path, "demo"):
        pass
