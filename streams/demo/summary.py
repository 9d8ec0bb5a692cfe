"""The last page of the demo: the verdict, what it rests on, and how to look further.

All of it comes from the decision, except what the simulator broke, which follows it.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rich.console import Console
from rich.text import Text

from understudy.analyzers.guardrails.formatting import format_count, format_value, printable
from understudy.analyzers.guardrails.slices import slice_name
from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_metrics import METRICS
from understudy.schemas.windows import WindowRow
from understudy.streams.demo.evidence_progress import weightiest_evidence
from understudy.streams.demo.gateway import AppliedRollback
from understudy.streams.demo.screen import DemoStatus, ascii_text
from understudy.streams.demo.simulator import CANDIDATE_MODEL, Regression, RegressionKind
from understudy.streams.terminal.evidence_table import STYLES, evidence_table

PROGRAM: Final = "understudy"
_MODULE: Final = "understudy.streams.commands.main"
_PLAIN_LANGUAGE: Final = re.compile(r"language:([A-Za-z0-9][A-Za-z0-9-]{0,34})")

_HOW_TO_READ: Final = (
    "rollback, promotion: evidence as a multiple of what the verdict takes. A rollback needs the "
    "sum of its column to reach 1, promotion each row of all requests."
)


def program_as_called(argv0: str, on_path: str | None) -> str:
    """How to run the program again in the same folder: by its name only where a shell finds it.

    `argv0` is how it was run, `on_path` what a shell runs for its name.
    """
    called = Path(argv0)
    if called.name != PROGRAM or not called.exists():
        return PROGRAM if on_path else f"{shlex.quote(sys.executable)} -m {_MODULE}"
    if on_path is not None and called.resolve() == Path(on_path).resolve():
        return PROGRAM
    return shlex.quote(argv0)


class MirroringGateway(Protocol):
    """What the summary asks of a gateway."""

    rollback: AppliedRollback | None

    def requests_between(self, since: dt.datetime, until: dt.datetime) -> int:
        """How many requests of that time were mirrored."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A run that has ended."""

    status: DemoStatus
    decision: Decision | None
    """The decision to roll back or promote; without one, the newest."""
    rows: Sequence[WindowRow]
    """The latest version of every window row."""
    injected: Regression | None
    """What the simulator broke."""
    gateway: MirroringGateway
    kind: RegressionKind = "json"
    """Which of the demos it was, also when nothing was broken."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Paragraphs for people, the decision behind them, and commands to copy."""

    headline: str
    paragraphs: tuple[str, ...]
    decision: Decision | None
    commands: tuple[str, ...]
    is_wrong: bool
    """Whether the verdict is the opposite of what the simulator did."""

    @property
    def text(self) -> str:
        """All of it but the table as plain text."""
        return "\n".join([self.headline, "", *self.paragraphs, "", *self.commands])

    def print(self, console: Console) -> None:
        """Paragraphs are wrapped to the console, commands stay whole to be copied."""
        style = STYLES[self.decision.verdict] if self.decision is not None else "bold"
        console.print()
        console.print(_fit(console, self.headline, style))
        for paragraph in self.paragraphs:
            console.print()
            console.print(_fit(console, paragraph))
        if self.decision is not None and not console.options.ascii_only:
            console.print()
            console.print(evidence_table(self.decision, hint=""))
            console.print(_fit(console, _HOW_TO_READ, "dim"))
        console.print()
        console.print(_fit(console, "Ask it yourself:", "bold"))
        for command in self.commands:
            console.print(_fit(console, command, "cyan"), soft_wrap=True)
        if console.is_terminal:  # where the first line may have left the screen
            console.print()
            console.print(_fit(console, self.headline, style))


def _fit(console: Console, text: str, style: str = "") -> Text:
    return Text(ascii_text(text) if console.options.ascii_only else text, style=style)


def summarise(result: DemoResult, *, clickhouse_url: str, program: str = PROGRAM) -> Summary:
    """Describe a finished run; `program` is what its reader can type to run another command."""
    decision, injected = result.decision, result.injected
    paragraphs = [_coverage(result)]
    if decision is not None:
        paragraphs += ["\n".join(printable(f"– {reason}") for reason in decision.reasons[1:])]
        paragraphs += [_consequence(decision, result.gateway)]
        paragraphs += [_truth(decision, injected), *_detection(result)]
    option = " --regression quality" if result.kind == "quality" else ""
    queries = QUALITY_QUERIES if result.kind == "quality" else _queries(decision)
    commands = [_query_command(program, clickhouse_url, one) for one in queries]
    commands += [f"{program} demo{option} --print-policy"]
    return Summary(
        headline=_headline(decision),
        paragraphs=tuple(filter(None, paragraphs)),
        decision=decision,
        commands=tuple(commands),
        is_wrong=decision is not None and _is_wrong(decision, injected),
    )


def _headline(decision: Decision | None) -> str:
    if decision is None:
        return "Nothing was decided, since nothing was compared."
    return f"{decision.verdict.upper()}: {printable(next(iter(decision.reasons), ''))}"


def _coverage(result: DemoResult) -> str:
    status = result.status
    superseded = f"{status.superseded:,} superseded, " if status.superseded else ""
    return (
        f"{status.events:,} events, {status.pairs:,} pairs; {status.unmatched:,} unmatched, "
        f"{status.duplicate:,} duplicate, {superseded}{status.late:,} late, "
        f"{status.invalid:,} invalid, "
        f"{status.pending:,} pending."
    )


def _consequence(decision: Decision, gateway: MirroringGateway) -> str:
    """What the verdict did, or asks for."""
    if decision.verdict == "rollback":
        rollback = gateway.rollback
        decided = f"Decided at {decision.since:%H:%M:%S} in the log"
        if rollback is None:
            return f"{decided}; the gateway had nothing left to mirror."
        after = format_value("ms", round(1000 * rollback.after_s))
        return (
            f"{decided}. The gateway read it {after} after it was written and mirrors "
            f"nothing more to {CANDIDATE_MODEL}, until an operator resumes. In shadow mode no user "
            "had seen one of its answers."
        )
    if decision.verdict == "promote":
        following = decision.stage.next
        return (
            f"Decided at {decision.since:%H:%M:%S} in the log, in closed windows alone. The policy "
            f"leaves the next stage, {following}, to an operator."
        )
    return (
        "Neither is shown: not that the candidate breaks a limit, nor that it keeps those that "
        "promotion asks for. More requests (--pairs) would decide it."
    )


def _truth(decision: Decision, injected: Regression | None) -> str:
    """What the simulator did, and whether the verdict says so."""
    if injected is None:
        judgement = {"promote": "Right.", "rollback": "A false alarm.", "hold": "Not shown yet."}
        return f"What the simulator broke: nothing. {judgement[decision.verdict]}"
    what = "what answers say" if injected.kind == "quality" else METRICS[injected.metric].title
    truth = (
        f"What the simulator broke: {what} in {injected.language}/{injected.workflow}, "
        f"{100 * injected.rate:.0f} % of the candidate's answers from "
        f"{injected.since:%H:%M:%S} on."
    )
    return f"{truth} {_found(decision, injected)}"


def _found(decision: Decision, injected: Regression) -> str:
    if names(decision, injected):
        return "The verdict names it."
    if decision.verdict == "rollback":
        return "The verdict names something else."
    return "Not found in this run."


def names(decision: Decision, injected: Regression) -> bool:
    """Whether a rollback rests most on what was injected, by its language."""
    most = weightiest_evidence(decision)
    if decision.verdict != "rollback" or most is None or decision.since < injected.since:
        return False
    language = slice_name(injected.language)
    part = slice_name(injected.language, injected.workflow)
    return most.metric == injected.metric and most.slice in (language, part)


def _is_wrong(decision: Decision, injected: Regression | None) -> bool:
    """Holding is never wrong: too few requests show nothing."""
    if injected is None:
        return decision.verdict == "rollback"
    is_other = decision.verdict == "rollback" and not names(decision, injected)
    return is_other or decision.verdict == "promote"


def _detection(result: DemoResult) -> list[str]:
    """How long a true rollback took, in event time, requests and broken answers."""
    decision, injected = result.decision, result.injected
    if decision is None or injected is None or not names(decision, injected):
        return []
    took_s = (decision.since - injected.since).total_seconds()
    requests = result.gateway.requests_between(injected.since, decision.since)
    took = f"That took {took_s:.0f} s of the log and {format_count(requests)} requests"
    if injected.kind == "quality":
        return [f"{took}. No other guardrail could have found it: only a judge reads answers."]
    broken, answers = _broken_answers(result.rows, injected, decision.since)
    return [
        f"{took}, "
        f"{format_count(answers)} of which came there and asked for JSON; "
        f"{format_count(broken)} of the candidate's answers to these were broken."
    ]


def _broken_answers(
    rows: Sequence[WindowRow], injected: Regression, until: dt.datetime
) -> tuple[int, int]:
    """The candidate's broken JSON answers and all of them, in the windows of that time."""
    where = (injected.language, injected.workflow)
    there = [
        row
        for row in rows
        if (row.language, row.workflow) == where
        and row.window_start + dt.timedelta(seconds=row.window_s) > injected.since
        and row.window_start < until
    ]
    answers = sum(row.candidate.json_expected for row in there)
    return answers - sum(row.candidate.json_valid for row in there), answers


_JSON_VALID: Final = ", ".join(
    f"round(100 * sum({side}_json_valid) / sum({side}_json_expected), 1) AS {side}"
    for side in ("stable", "candidate")
)
_DECISIONS: Final = (
    "SELECT decided_at, verdict, reasons[1] AS reason FROM decisions FINAL WHERE NOT is_refresh "
    "ORDER BY rollout_created_at, sequence"
)
_ACCOUNT: Final = (
    "SELECT sum(events) AS events, sum(paired) AS paired, sum(unmatched) AS unmatched, "
    "sum(duplicate) AS duplicate, sum(superseded) AS superseded, sum(late) AS late, "
    "sum(invalid) AS invalid FROM accounting"
)


_PREFERRED: Final = (
    "SELECT language, workflow, pairs, round(100 * candidate_preferred, 1) AS preferred, cost_usd "
    "FROM answer_quality WHERE pairs > 0 ORDER BY preferred LIMIT 5"
)
_LOST: Final = (
    "SELECT request_time, pair_id, language, preferred, shown_first, cost_usd FROM evaluations "
    "FINAL WHERE compared = 'candidate' AND preference = 0 ORDER BY request_time DESC LIMIT 5"
)
QUALITY_QUERIES: Final = (_DECISIONS, _PREFERRED, _LOST, _ACCOUNT)


def _query_command(program: str, clickhouse_url: str, sql: str) -> str:
    return f'{program} query --clickhouse {shlex.quote(clickhouse_url)} "{sql}"'


def _queries(decision: Decision | None) -> list[str]:
    """Decisions, workflows of the accused language, its course, and where all events ended."""
    where = _where(decision)
    return [
        _DECISIONS,
        f"SELECT language, workflow, sum(pair_pairs) AS pairs, {_JSON_VALID} FROM slices{where} "
        f"GROUP BY language, workflow HAVING sum(stable_json_expected) > 0 "
        f"ORDER BY candidate - stable LIMIT 10",
        f"SELECT toStartOfMinute(window_start) AS minute, {_JSON_VALID} FROM slices{where} "
        f"GROUP BY minute ORDER BY minute",
        _ACCOUNT,
    ]


def _where(decision: Decision | None) -> str:
    """A filter for the language that the verdict accuses; left out unless it is a plain word."""
    most = weightiest_evidence(decision) if decision is not None else None
    if decision is None or decision.verdict != "rollback" or most is None:
        return ""
    found = _PLAIN_LANGUAGE.fullmatch(most.slice)
    return f" WHERE language = '{found[1]}'" if found else ""
