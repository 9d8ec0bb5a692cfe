"""Two runs as a recording of events."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from understudy.schemas.events import Event, decode_event
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.answer_recording import AnswerRecording

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def recorded(tmp_path: Path, stable: str, candidate: str) -> AnswerRecording:
    paths = tmp_path / "s.csv", tmp_path / "c.csv"
    for path, text in zip(paths, (stable, candidate), strict=True):
        path.write_text(text)
    files = AnswerFiles(paths[:1], paths[1:], format="auto")
    return AnswerRecording(read_runs(files), files, "r", NOW)


def events(recording: AnswerRecording) -> list[Event]:
    return [decode_event(line) for line in recording]


def test_requests_without_a_time_have_that_of_the_reading(tmp_path: Path) -> None:
    recording = recorded(tmp_path, "id,answer\n1,a\n2,b\n", "id,answer\n2,b\n3,c\n")
    sides = [(one.pair_id, one.side, one.request_time) for one in events(recording)]
    assert sides == [
        ("1", "stable", NOW),
        ("2", "stable", NOW),
        ("2", "candidate", NOW),
        ("3", "candidate", NOW),
    ]
    assert all(one.rollout_id == "r" and one.mode == "shadow" for one in events(recording))
    assert [str(recording.place(n)) for n in range(4)] == [
        f"{tmp_path}/s.csv:2",
        f"{tmp_path}/s.csv:3",
        f"{tmp_path}/c.csv:2",
        f"{tmp_path}/c.csv:3",
    ]
    assert recording.disorder.lines == 4


def test_requests_go_in_the_order_of_their_times(tmp_path: Path) -> None:
    stable = "id,answer,time\n1,a,2026-03-01T00:00:09Z\n2,b,\n3,c,2026-03-01T00:00:05Z\n"
    recording = recorded(tmp_path, stable, "id,answer\n1,a\n2,b\n3,c\n")
    order = [(one.pair_id, one.request_time.second) for one in events(recording)[::2]]
    assert order == [("3", 5), ("1", 9), ("2", 9)]


def test_answers_that_are_documents_are_expected_to_be(tmp_path: Path) -> None:
    rows = "id,answer\n" + "".join(f"{n},[{n}]\n" for n in range(9))
    recording = recorded(tmp_path, rows, rows)
    assert recording.is_json_inferred
    assert all(one.request and one.request.expects == "json" for one in events(recording))
