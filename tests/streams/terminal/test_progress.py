"""Progress bars pass everything through, and show nothing where there is no terminal."""

from __future__ import annotations

import pytest

from understudy.streams.terminal.progress import counted, file_progress, step_progress


def test_items_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted(iter("abc"), [4, 1, 2], "judging")) == ["a", "b", "c"]
    with file_progress(10, "reading") as progress:
        progress(4)
    with step_progress(64, "asked") as note:
        note()
    assert capsys.readouterr() == ("", "")


def test_an_error_among_the_items_is_the_callers() -> None:
    def items() -> object:
        yield 1
        raise InterruptedError

    taken = counted(items(), [1, 1], "judging")  # type: ignore[arg-type]
    assert next(taken) == 1
    with pytest.raises(InterruptedError):
        next(taken)
