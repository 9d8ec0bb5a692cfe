"""Lines are sorted by time and then by reading, in memory or through files."""

from __future__ import annotations

import random
import tempfile
from operator import attrgetter
from typing import IO, Any
from unittest.mock import Mock

import pytest

from understudy.streams.replay.line_sorter import LineSorter
from understudy.streams.replay.recordings import BEFORE_ALL_TIME, RecordedLine, RecordingError


def some_lines(count: int, seed: int = 1) -> list[RecordedLine]:
    rng = random.Random(seed)
    times = [BEFORE_ALL_TIME, *(rng.randrange(-50, 1 << 41) for _ in range(count - 1))]
    return [
        RecordedLine(rng.choice(times), rng.randbytes(rng.randrange(2000)), n % 3, n + 1, n % 7)
        for n in range(count)
    ]


@pytest.mark.parametrize("max_bytes", [1, 20_000, 10_000_000])
@pytest.mark.parametrize("count", [0, 1, 300])
def test_all_lines_come_out_in_order(count: int, max_bytes: int) -> None:
    lines, sorter = some_lines(count) if count else [], LineSorter(max_bytes)
    for line in lines:
        sorter.add(line)
    assert list(sorter.drain()) == sorted(lines, key=attrgetter("time_ms"))
    assert list(sorter.drain()) == []


def test_lines_of_many_megabytes_may_be_gigabytes_between_two_reports() -> None:
    line, sorter = RecordedLine(0, b"{}", 0, 2_000, 1 << 40), LineSorter(max_bytes=1)
    sorter.add(line)
    assert list(sorter.drain()) == [line]


def test_a_full_disk_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    sorter = LineSorter(max_bytes=1)
    with pytest.raises(RecordingError, match=r"No space left on device.*TMPDIR"):
        sorter.add(some_lines(1)[0])


def test_a_disk_that_fills_while_a_part_is_written_leaves_none_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files: list[IO[bytes]] = []
    open_file = tempfile.TemporaryFile

    def almost_full() -> Any:
        file = open_file()
        files.append(file)
        room = Mock(wraps=file)
        room.write.side_effect = OSError(28, "No space left on device")
        return room

    monkeypatch.setattr(tempfile, "TemporaryFile", almost_full)
    lines, sorter = some_lines(20), LineSorter(max_bytes=1)
    with pytest.raises(RecordingError, match="No space left on device"):
        sorter.add(lines[0])
    monkeypatch.undo()  # there is room again
    for line in lines[1:]:
        sorter.add(line)
    assert list(sorter.drain()) == sorted(lines, key=attrgetter("time_ms"))
    assert all(file.closed for file in files)


def test_what_was_given_out_in_part_leaves_no_open_file() -> None:
    sorter = LineSorter(max_bytes=1)
    for line in some_lines(5):
        sorter.add(line)
    files = list(sorter._parts)
    given = sorter.drain()
    next(given)
    given.close()  # type: ignore[attr-defined]
    assert all(file.closed for file in files)
