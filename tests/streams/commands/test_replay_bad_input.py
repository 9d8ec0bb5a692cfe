"""Bad input through `understudy replay`: every event in exactly one counted place."""

from __future__ import annotations

import gzip
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.integration.bad_input import CASES, Case, event, pair
from understudy.streams.commands.main import main
from understudy.streams.replay.recordings import zstd


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def replay(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def report_of(file: Path) -> dict[str, Any]:
    run = replay("--json", file)
    document: dict[str, Any] = json.loads(run.stdout)
    events = document["events"]
    assert run.exit_code == int(0 < events["read"] == events["invalid"]), run.stderr
    return document


def places(document: dict[str, Any]) -> dict[str, int]:
    """Where the events ended; pairs and what is not zero."""
    counts = {
        "pairs": document["pairs"],
        **{f"unmatched_{side}": n for side, n in document["unmatched"].items()},
        **{f"single_{side}": n for side, n in document["single"].items()},
        **{name: n for name, n in document["events"].items() if name != "read"},
    }
    return {name: count for name, count in counts.items() if count}


def written(folder: Path, *lines: bytes) -> Path:
    file = folder / "events.ndjson"
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return file


LINES = [case for case in CASES if case.name != "UTF-16"]
"""A file is UTF-16 from its first byte to its last, line ends included; see test_recordings."""


@pytest.mark.parametrize("case", LINES, ids=lambda case: case.name)
def test_each_event_ends_in_one_place(case: Case, tmp_path: Path) -> None:
    file = written(tmp_path, *case.lines)
    document = report_of(file)
    assert document["events"]["read"] == len(case.lines)
    expected = case.places if case.in_a_file is None else case.in_a_file
    assert places(document) == {name: n for name, n in expected.items() if n}
    result = replay(file)
    if case.in_a_file is not None and "invalid" not in case.in_a_file:
        assert "invalid" not in result.stderr
        return
    reasons = re.findall(r"^invalid: (\d+) (\w+)$", result.stderr, re.MULTILINE)
    assert reasons == [(str(case.reasons.count(r)), r) for r in sorted(set(case.reasons))]
    if case.candidate:
        whole = document["rollouts"][0]["slices"][0]["candidate"]
        assert {name: whole[name] for name in case.candidate} == case.candidate


def test_good_events_among_bad_ones_are_not_harmed(tmp_path: Path) -> None:
    bad = [
        case.lines[0] for case in CASES if case.places == {"invalid": 1} and case.in_a_file is None
    ]
    lines = [line for n, one in enumerate(bad) for line in (*pair(f"good-{n}"), one)]
    random.Random(1).shuffle(lines)
    document = report_of(written(tmp_path, *lines))
    assert places(document) == {"pairs": len(bad), "invalid": len(bad)}


def test_an_empty_file_is_a_report_of_nothing(tmp_path: Path) -> None:
    empty = {
        "events": {"read": 0, "invalid": 0, "duplicate": 0, "superseded": 0, "late": 0},
        "unreadable_fields": {"stable": {}, "candidate": {}},
        "pairs": 0,
        "unmatched": {"stable": 0, "candidate": 0},
        "single": {"stable": 0, "candidate": 0},
        "rollouts": [],
        "invalid": [],
        "order": {"late_as_recorded": 0, "late_as_taken": 0, "first_ahead": None},
    }
    assert report_of(written(tmp_path)) == empty
    assert report_of(written(tmp_path, b"", b"  ", b"\t\r")) == empty
    assert replay(written(tmp_path)).exit_code == 0


def test_empty_lines_and_other_line_ends_are_no_events(tmp_path: Path) -> None:
    stable, candidate = pair("x")
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n\r\n" + stable + b"\r\n\n  \n" + candidate)
    document = report_of(file)
    assert document["events"]["read"] == 2
    assert document["pairs"] == 1


def _compressed(name: str) -> bytes:
    plain = b"".join(event(f"p{n}") + b"\n" for n in range(200))
    return gzip.compress(plain) if name.endswith(".gz") else zstd.compress(plain)


@pytest.mark.parametrize("name", ["events.ndjson.gz", "events.ndjson.zst"])
@pytest.mark.parametrize("damage", ["truncated", "garbled", "empty"])
def test_a_damaged_file_fails_and_is_named(name: str, damage: str, tmp_path: Path) -> None:
    whole = _compressed(name)
    middle = len(whole) // 2
    content = {
        "truncated": whole[:middle],
        "garbled": whole[:middle] + bytes(64) + whole[middle + 64 :],
        "empty": b"",
    }[damage]
    file = tmp_path / name
    file.write_bytes(content)
    run = replay("--json", file)
    if damage == "empty":
        assert run.exit_code == 0
        assert json.loads(run.stdout)["events"]["read"] == 0
        return
    assert run.exit_code == 1, run.stdout
    assert run.stdout == ""
    assert name in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("name", ["missing.ndjson", "."])
def test_a_file_that_is_not_there_is_wrong_usage(name: str) -> None:
    run = replay(name)
    assert run.exit_code == 2
    assert name in run.stderr
    assert run.stdout == ""


def test_binary_garbage_is_counted_line_by_line(tmp_path: Path) -> None:
    garbage = random.Random(5).randbytes(200_000)
    file = tmp_path / "garbage"
    file.write_bytes(garbage)
    document = report_of(file)
    lines = sum(1 for line in garbage.split(b"\n") if line.strip())
    assert document["events"] == {
        "read": lines,
        "invalid": lines,
        "duplicate": 0,
        "superseded": 0,
        "late": 0,
    }


def test_the_first_event_of_each_kind_is_named(tmp_path: Path) -> None:
    wrong = event("x", pair_id=7)
    file = written(tmp_path, *pair("a"), wrong, wrong, event("y", sides="stable"))
    invalid = report_of(file)["invalid"]
    assert [(one["line"], one["where"], one["count"]) for one in invalid] == [
        (3, "$.pair_id", 2), (5, "$.sides", 1),
    ]  # fmt: skip
    assert {one["file"] for one in invalid} == {str(file)}
    said = replay(file).stderr
    assert f"{file}:3 at $.pair_id: Expected `str`, got `int`" in said


def test_fields_that_cannot_be_read_are_named_with_their_side(tmp_path: Path) -> None:
    file = written(
        tmp_path, *pair("a", usage={"cost_usd": -0.1}), *pair("b", timing=[]), *pair("c")
    )
    assert report_of(file)["unreadable_fields"] == {
        "stable": {},
        "candidate": {"timing": 1, "usage.cost_usd": 1},
    }
    said = replay(file).stdout
    assert "timing of 1 candidate sides" in said.replace("\n", " ")


def test_a_recording_of_which_nothing_can_be_used_fails(tmp_path: Path) -> None:
    run = replay("--json", written(tmp_path, b"{", event("x", pair_id=7)))
    assert run.exit_code == 1
    assert json.loads(run.stdout)["events"]["invalid"] == 2
    assert "none of the events could be used" in run.stderr


def test_stdin_is_read() -> None:
    run = CliRunner().invoke(main, ["replay", "--json", "-"], input=b"\n".join(pair("x")) + b"\n{")
    document = json.loads(run.stdout)
    assert document["pairs"] == 1
    assert (document["invalid"][0]["file"], document["invalid"][0]["line"]) == ("<stdin>", 3)
