"""A decision on a terminal: what is shown, in which words, and nothing that acts."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console, RenderableType

from tests.streams.demo.decisions import (
    PROMOTED,
    ROLLED_BACK,
    SUSPICIOUS,
    at_multiple,
    decision,
    evidence,
)
from understudy.schemas.decisions import Alert
from understudy.streams.terminal.evidence_table import (
    evidence_table,
    show_decision,
    timeline,
)


def printed(what: RenderableType, width: int = 200) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width, color_system=None).print(what)
    return screen.getvalue()


def test_the_verdict_comes_first_with_its_stage_and_reasons() -> None:
    first, *rest = printed(show_decision(ROLLED_BACK)).splitlines()
    assert first == (
        "ROLLBACK  checkout-assistant-2026-11, stage shadow: 4,000 requests in closed windows, "
        "3 min"
    )
    assert rest[0] == "since 2026-11-03 12:10:00 UTC"
    assert rest[1] == f"  {ROLLED_BACK.reasons[0]}"


def test_requests_that_share_their_fate_are_said_to_count_for_less() -> None:
    clustered = evidence("all")
    clustered = msgspec.structs.replace(clustered, design_effect=4.6, independent_units=400)
    text = printed(show_decision(decision("hold", clustered)))
    assert (
        "requests share their fate: of JSON validity, 1,840 count like 400 independent ones "
        "(design effect 4.6)" in text
    )
    assert "share their fate" not in printed(show_decision(decision("hold", evidence("all"))))


def test_a_multiple_of_stables_rate_and_both_levels() -> None:
    row = msgspec.structs.replace(
        evidence("all", metric="error_rate"),
        margin=2.0, relative=True, floor=0.001, stable=0.0001, candidate=0.005, harm=0.0047,
    )  # fmt: skip
    text = printed(evidence_table(decision("hold", row)))
    assert "≤ 3x + 0.1 pp" in text
    assert "0.01 % → 0.5 %" in text
    assert "+0.47 pp" in text


def test_a_slice_without_a_finding_is_only_counted() -> None:
    text = printed(evidence_table(SUSPICIOUS))
    assert "zh-Hans" in text
    assert "1 more slices without a finding; --all shows them" in text
    assert not any(line.split()[1:2] == ["en"] for line in text.splitlines())


def test_evidence_is_a_multiple_of_what_a_verdict_needs() -> None:
    row = evidence("language:ja", at_multiple(0.3))
    some = decision("hold", row)
    (line,) = [line for line in printed(evidence_table(some)).splitlines() if "ja" in line]
    assert "0.3" in line.split()


def test_columns_leave_by_importance_and_are_named() -> None:
    for width, last in ((200, "status"), (120, "status"), (80, "promotion")):
        head, *_ = printed(evidence_table(PROMOTED), width).splitlines()
        assert head.split()[-1] == last
    text = printed(evidence_table(PROMOTED), 80)
    assert "95 % interval" not in text.splitlines()[0]
    assert "no room for" in text
    assert "harm" in text.splitlines()[0]


def test_nothing_that_others_wrote_acts_on_the_terminal() -> None:
    hostile = decision(
        "rollback",
        evidence("language:\x1b[2J", at_multiple(3.0)),
        reasons=("killed by \x1b]0;owned\x07: why",),
    )
    hostile = msgspec.structs.replace(
        hostile,
        alerts=[Alert(kind="guardrail", name="x", sentence="\u202ealert")],
        rollout_id="\x9b1m",
    )
    for what in (show_decision(hostile), timeline([hostile])):
        assert not set("\x1b\x07\x9b\u202e") & set(printed(what))
    assert r"killed by \x1b]0;owned\x07: why" in printed(show_decision(hostile))


def test_the_timeline_counts_from_the_first_decision() -> None:
    later = msgspec.structs.replace(
        ROLLED_BACK, decided_at=ROLLED_BACK.decided_at.replace(minute=13)
    )
    lines = [line.split() for line in printed(timeline([SUSPICIOUS, later])).splitlines()]
    starts = [line[:5] for line in lines if line[:1] == ["2026-11-03"]]
    assert starts == [
        ["2026-11-03", "12:10:00", "0", "s", "hold"],
        ["2026-11-03", "12:13:00", "3", "min", "rollback"],
    ]
