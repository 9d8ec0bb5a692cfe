"""Every generated file is as its declaration says."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.schemas import generate
from understudy.schemas.generate import files, main, outdated


def test_the_files_are_up_to_date() -> None:
    assert outdated() == [], "run python -m understudy.schemas.generate"
    assert main(["--check"]) == 0


def test_check_fails_when_a_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = {tmp_path / path.name: text for path, text in files().items()}
    monkeypatch.setattr(generate, "files", lambda: moved)
    assert main(["--check"]) == 1
    assert "event.schema.json is out of date" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_records_are_written_before_what_follows_from_them() -> None:
    """They stand first, since JSON Schemas are made from them."""
    names = [path.name for path in files()]
    assert names[:3] == ["window_measures.py", "row_lists.py", "measure_arrays.py"]
    assert len(set(names)) == len(names)
