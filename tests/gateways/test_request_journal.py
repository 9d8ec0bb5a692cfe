"""What a killed process leaves behind, and who tells of it."""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.request_journal import (
    AbandonedJournal,
    RequestJournal,
    RequestOutline,
    abandoned_journals,
    outline_of,
)
from understudy.schemas.events import decode_event, encode_event

TIME = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)


def outline(pair_id: str, **fields: object) -> RequestOutline:
    made: dict[str, object] = {
        "rollout_id": "r", "pair_id": pair_id, "mode": "shadow", "sides": ("stable", "candidate"),
        "request_time": TIME, **fields,
    }  # fmt: skip
    return RequestOutline(**made)  # type: ignore[arg-type]


def killed(journal: RequestJournal) -> None:
    """What a SIGKILL does to a journal: its file is closed, and nothing else."""
    os.close(journal._file)


def told(journal: RequestJournal, pair_id: str) -> None:
    """Kafka has both sides of a request."""
    for side in ("stable", "candidate"):
        journal.end(("r", pair_id), side)  # type: ignore[arg-type]


def found(folder: Path) -> list[str]:
    journals = list(abandoned_journals(folder))
    names = [one.pair_id for journal in journals for one in journal.outlines]
    for journal in journals:
        os.close(journal._file)
    return sorted(names)


def test_requests_that_were_under_way_are_found(tmp_path: Path) -> None:
    journal = RequestJournal(tmp_path / "new")
    for name in ("a", "b", "c", "d"):
        journal.begin(outline(name, conversation_id="c", turn=2, language="de", workflow="w"))
    told(journal, "b")
    told(journal, "unknown")
    journal.begin(outline("e"))
    assert journal.open_requests == 4
    assert found(tmp_path / "new") == [], "the process lives"
    killed(journal)
    assert found(tmp_path / "new") == ["a", "c", "d", "e"]


def test_all_sides_are_dropped_by_the_gateway() -> None:
    whole = outline("a", conversation_id="c", turn=2, language="de", workflow="w")
    stable, candidate = whole.dropped()
    assert (stable.side, candidate.side) == ("stable", "candidate")
    assert outline_of(stable) == outline_of(candidate) == whole
    for event in (stable, candidate):
        assert decode_event(encode_event(event)) == event
        assert event.error is not None
        assert (event.error.type, event.error.source) == ("mirror_dropped", "gateway")
        assert event.attributes == {"mirror_dropped": "killed"}


def test_end_leaves_what_was_not_told_and_nothing_else(tmp_path: Path) -> None:
    empty, full = RequestJournal(tmp_path), RequestJournal(tmp_path)
    empty.begin(outline("a"))
    told(empty, "a")
    full.begin(outline("b"))
    empty.close()
    full.close()
    assert len(list(tmp_path.iterdir())) == 1
    assert found(tmp_path) == ["b"]


def test_abandoned_journal_is_one_process_s_until_all_is_told(tmp_path: Path) -> None:
    journal = RequestJournal(tmp_path)
    for name in ("a", "b"):
        journal.begin(outline(name))
    killed(journal)
    [first] = abandoned_journals(tmp_path)
    assert list(abandoned_journals(tmp_path)) == []
    first.mark_sent(outline("a"))
    assert [one.pair_id for one in first.unsent()] == ["b"]
    first.end(outline("a"))
    first.close()
    [second] = abandoned_journals(tmp_path)
    assert [one.pair_id for one in second.outlines] == ["b"]
    second.end(outline("b"))
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_journal_is_bounded_and_counts_what_it_misses(tmp_path: Path) -> None:
    journal = RequestJournal(tmp_path, slots=2)
    for name in ("a", "a", "b", "c"):
        journal.begin(outline(name))
    assert (journal.open_requests, journal.missed) == (2, 1)
    told(journal, "a")
    journal.begin(outline("漢" * 250, conversation_id="漢" * 250))
    assert journal.missed == 2
    journal.begin(outline("d" * 256, rollout_id="r" * 128, conversation_id="c" * 256,
                          workflow="w" * 128))  # fmt: skip
    assert (journal.open_requests, journal.missed) == (2, 2)


@given(st.binary(max_size=3_000))
def test_damaged_file_is_read_as_far_as_it_goes(data: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        AbandonedJournal(Path("none"), os.dup(file.fileno())).leave_to_parent()


def test_a_slot_is_free_once_all_sides_that_this_process_publishes_are_told(
    tmp_path: Path,
) -> None:
    """In any order, together or apart; another process may publish the other side."""
    journal = RequestJournal(tmp_path, slots=1)
    for n in range(3):
        whole, (stable, candidate) = outline(f"whole {n}"), outline(f"whole {n}").dropped()
        journal.begin(whole)
        journal.end(whole.key, "candidate")
        assert journal.open_requests == 1
        journal.begin(outline_of(stable, ("stable",)))
        journal.end(whole.key, "stable")
        assert journal.open_requests == 0
        journal.begin(outline_of(candidate, ("candidate",)))
        journal.end(whole.key, "candidate")
        assert (journal.open_requests, journal.missed) == (0, 0)
    journal.begin(outline_of(candidate, ("candidate",)))
    journal.begin(outline_of(stable, ("stable",)))
    journal.end(outline_of(candidate).key, "candidate")
    assert journal.open_requests == 1, "both were to be published"


def test_of_a_killed_process_only_the_sides_are_dropped_that_it_would_have_published(
    tmp_path: Path,
) -> None:
    journal = RequestJournal(tmp_path)
    _, candidate = outline("a").dropped()
    journal.begin(outline_of(candidate, ("candidate",)))
    killed(journal)
    [left] = abandoned_journals(tmp_path)
    [lost] = left.outlines
    assert [(event.side, event.sides) for event in lost.dropped()] == [
        ("candidate", ("stable", "candidate"))
    ]
    left.leave_to_parent()


@pytest.mark.parametrize("failing", ["open", "flock"])
def test_a_journal_that_another_user_keeps_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    theirs, ours = RequestJournal(tmp_path / "x"), RequestJournal(tmp_path / "x")
    ours.begin(outline("ours"))
    for journal in (theirs, ours):
        killed(journal)
    opened: dict[int, Path] = {}
    really_open, really_lock = os.open, fcntl.flock

    def opening(path: Path, flags: int) -> int:
        if failing == "open" and path == theirs._path:
            raise PermissionError(13, "Permission denied")
        opened[file := really_open(path, flags)] = path
        return file

    def locking(file: int, how: int) -> None:
        if failing == "flock" and opened[file] == theirs._path:
            raise PermissionError(13, "Permission denied")
        really_lock(file, how)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(fcntl, "flock", locking)
    assert found(tmp_path / "x") == ["ours"]


def test_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        RequestJournal(tmp_path / "file")


def test_new_journals_are_not_taken_for_abandoned_ones(tmp_path: Path) -> None:
    """While processes look for abandoned journals, others begin."""
    is_over = threading.Event()
    taken: list[Path] = []

    def look() -> None:
        while not is_over.is_set():
            for journal in abandoned_journals(tmp_path):
                taken.append(journal._path)
                journal.leave_to_parent()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        journals = [RequestJournal(tmp_path, slots=1) for _ in range(300)]
    finally:
        is_over.set()
        looking.join()
    assert taken == []
    for journal in journals:
        journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_journal_writes_into_no_other_file(tmp_path: Path) -> None:
    journal = RequestJournal(tmp_path)
    journal.begin(outline("under way"))
    journal.close()
    with (tmp_path / "other").open("wb+") as other:
        other.write(b"untouched")
        other.flush()
        told(journal, "under way")
        journal.begin(outline("later"))
        assert (tmp_path / "other").read_bytes() == b"untouched"
    assert journal.missed == 1
