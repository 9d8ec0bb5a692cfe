"""Compares two recorded runs as a worker compares live answers, and judges them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from understudy.analyzers.fixed_sample.judge import judge_fixed_sample
from understudy.analyzers.fixed_sample.units import UNIT_WINDOW_S, unit_times_ms
from understudy.analyzers.guardrails.slices import slice_name
from understudy.schemas.adapters.cases import Case
from understudy.schemas.event_time import from_epoch_ms, to_epoch_ms
from understudy.schemas.events import encode_event
from understudy.schemas.fixed_sample import FixedSampleFinding, FixedSampleVerdict
from understudy.schemas.measure_kinds import only_candidate, only_stable
from understudy.schemas.rollout_metrics import METRICS, RATES
from understudy.schemas.rollouts import Models, Rollout, RolloutManifest, compile_manifest
from understudy.schemas.windows import WindowRow
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_events import (
    are_documents,
    events_of_cases,
    expecting_json,
    with_one_conversation,
)
from understudy.streams.replay.answer_files import RecordedRuns, with_schemas
from understudy.streams.replay.case_rows import CaseSink
from understudy.streams.replay.replay_events import ReplayResult, replay

ROLLOUT_ID: Final = "compare"
"""Of files that are judged without a policy; nothing else sees it."""
MOST_EXAMPLES: Final = 3
"""Cases named for each guardrail: enough to look at, and to see what they share."""


@dataclass(frozen=True, slots=True)
class FileComparison:
    """What two runs came to."""

    runs: RecordedRuns
    cases: Sequence[Case]
    result: ReplayResult
    verdict: FixedSampleVerdict
    examples: Mapping[str, Sequence[Case]]
    """`guardrail/slice` of a breach to cases in which the candidate alone did harm."""
    comparisons: Sequence[Comparisons]
    """What was measured on the cases that both sides have."""
    is_json_inferred: bool
    """Whether JSON is taken for expected because stable's answers are."""


def default_policy(stable: str, candidate: str) -> Rollout:
    """The policy of files for which nobody wrote one, with the default guardrails."""
    models = Models(stable=stable or "stable", candidate=candidate or "candidate")
    return compile_manifest(RolloutManifest(rollout_id=ROLLOUT_ID, models=models))


def compare_runs(
    runs: RecordedRuns,
    rollout: Rollout,
    policy: PairingPolicy,
    *,
    infer_json: bool = True,
    take_captured: Callable[[list[CapturedPair]], None] | None = None,
) -> FileComparison:
    """Pair, measure and judge the cases of two runs.

    Where no request says what its caller parses, and `infer_json` allows it, answers of stable that
    are JSON documents tell. `take_captured` gets the pairs that the policy captures.
    """
    cases = with_one_conversation(runs.cases)
    is_json_inferred = infer_json and are_documents(cases)
    if is_json_inferred:
        cases = expecting_json(cases)
    cases, times_ms = _in_order(cases)
    events = events_of_cases(cases, rollout.rollout_id, [from_epoch_ms(ms) for ms in times_ms])
    pairing = replace(with_schemas(policy, runs), window_s=UNIT_WINDOW_S)
    sink = CaseSink()
    payloads = (encode_event(event) for event in events)
    now_ms = max(times_ms, default=0)
    result = replay(payloads, pairing, now_ms, sink, take_captured=take_captured)
    verdict = judge_fixed_sample(result.rows, rollout)
    return FileComparison(
        runs, cases, result, verdict, _examples(verdict, result.rows, cases, times_ms),
        sink.comparisons, is_json_inferred,
    )  # fmt: skip


def _in_order(cases: Sequence[Case]) -> tuple[list[Case], list[int]]:
    """The cases in the order of the times of their units, and these times."""
    times_ms = unit_times_ms(case.answers[0].conversation_id for case in cases)
    order = sorted(range(len(cases)), key=times_ms.__getitem__)
    return [cases[place] for place in order], [times_ms[place] for place in order]


def _examples(
    verdict: FixedSampleVerdict,
    rows: Sequence[WindowRow],
    cases: Sequence[Case],
    times_ms: Sequence[int],
) -> dict[str, Sequence[Case]]:
    """For each breach, the first cases in whose window the candidate alone did harm."""
    by_time: dict[int, list[Case]] = {}
    for case, time_ms in zip(cases, times_ms, strict=True):
        by_time.setdefault(time_ms, []).append(case)
    found: dict[str, Sequence[Case]] = {}
    for finding in verdict.findings:
        column = _harm_column(finding)
        if finding.status != "breach" or column is None:
            continue
        harmed = [row for row in rows if _harm_of(row, column) and _is_of(row, finding.slice)]
        starts = dict.fromkeys(to_epoch_ms(row.window_start) for row in harmed)
        named = [case for start in sorted(starts) for case in by_time[start]]
        found[f"{finding.guardrail}/{finding.slice}"] = named[:MOST_EXAMPLES]
    return found


def _harm_column(finding: FixedSampleFinding) -> str | None:
    """The count of pairs in which the candidate alone did harm; None where there is none."""
    measure = RATES.get(finding.metric)
    if measure is None or not measure.paired_among:
        return None
    is_good = METRICS[finding.metric].higher_is_better
    return (only_stable if is_good else only_candidate)(measure.joint)


def _harm_of(row: WindowRow, column: str) -> int:
    count: int = getattr(row.pair, column, 0)
    return count


def _is_of(row: WindowRow, name: str) -> bool:
    """Whether a row belongs to a slice of a guardrail."""
    language, workflow = row.language, row.workflow
    kinds = ((None, None), (language, None), (None, workflow), (language, workflow))
    return any(name == slice_name(*kind) for kind in kinds)
