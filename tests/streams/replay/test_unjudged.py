"""What could not be judged, and for lack of what."""

from __future__ import annotations

from pathlib import Path

from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.file_comparison import compare_runs, default_policy
from understudy.streams.replay.unjudged import unjudged


def sentences(tmp_path: Path, head: str, stable: str, candidate: str) -> list[str]:
    files = tmp_path / "s.csv", tmp_path / "c.csv"
    for file, row in zip(files, (stable, candidate), strict=True):
        file.write_text(f"{head}\n" + "\n".join(f"{n},{row}" for n in range(20)))
    rollout = default_policy("", "")
    runs = read_runs(AnswerFiles(files[:1], files[1:]))
    compared = compare_runs(runs, rollout, PairingPolicy())
    return list(unjudged(compared.cases, rollout, compared.verdict))


def test_fields_that_no_file_has_are_named(tmp_path: Path) -> None:
    said = sentences(tmp_path, "id,answer", "so", "so")
    assert "no durations in these files: duration p95, duration p99 cannot be judged" in said
    assert "no prices in these files: mean cost cannot be judged" in said
    assert any(one.startswith("no requests for JSON in these files") for one in said)


def test_a_side_that_lacks_them_is_named(tmp_path: Path) -> None:
    said = sentences(tmp_path, "id,answer,duration_ms", "so,100", "so,")
    assert any(one.startswith("no durations in candidate's files") for one in said)


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    said = sentences(tmp_path, "id,answer,duration_ms,cost_usd", "so,100,0.1", "so,110,0.1")
    assert not any("durations" in one or "prices" in one for one in said)
