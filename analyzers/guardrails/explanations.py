"""The sentences of a decision: why it rolls back, pauses, holds, promotes or alerts.

They are what an on-call engineer reads at three in the morning, so each says what was measured,
where, by how much, and what the limit is:

    JSON validity in `ja` fell 2.1 points (95 % interval 1.6 to 2.5), 99 % → 96.9 %,
    limit 0.5 points; 1,840 pairs
"""

from __future__ import annotations

from typing import Final

from understudy.analyzers.guardrails.check_sentences import sentence, where
from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import (
    ANY_SLICE,
    CheckResult,
    Evaluation,
    is_complete,
    weightiest_of,
)
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_percent,
    format_time,
    printable,
)
from understudy.analyzers.guardrails.guardrail_titles import check_title
from understudy.analyzers.guardrails.measured import JudgedSlice, Untold, untold
from understudy.analyzers.guardrails.model_changes import ModelChange
from understudy.analyzers.guardrails.sequential_tests import MeanTest
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.guardrails.state import Latch, RolloutState
from understudy.analyzers.sequential.tail_buckets import ENOUGH_UNITS
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.schemas.decisions import Alert, AlertKind
from understudy.schemas.rollouts import Action, Rollout, Stage

MOST_REASONS: Final = 5
"""As many as a message on a phone shows without scrolling."""
MOST_NAMES: Final = 8
"""In a list within a sentence: a line or two; the decision has all of them."""
_SHOWN_SHARE: Final = 1e-9
"""Less is what rounding leaves."""
SUSPICION: Final = "harm is suspected"
"""How a reason to hold begins that is a suspicion."""


NO_BASELINE: Final = (
    "cannot be judged: stable's is 0, and no limit follows from a share of 0; write one that is "
    "not relative"
)


def lacks_baseline(result: CheckResult) -> bool:
    """Whether a share of stable's value is tolerated, and that is 0."""
    test = result.check.test
    return isinstance(test, MeanTest) and bool(test.lacks_baseline(result.total))


def latch_of(action: Action, state: RolloutState, evaluation: Evaluation) -> Latch:
    """Return what an action stays in force for: all that carries its evidence, weightiest first."""
    carrying = weightiest_of(evaluation.results, action, evaluation.log_threshold)
    names = list(dict.fromkeys(result.check.name for result in carrying))
    return Latch(state.status.now_ms, _sentences(state, carrying), names)


def reasons_for_rollback(latch: Latch, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what led to the rollback in force, and what is beyond its limit since then."""
    further = [
        result
        for result in weightiest_of(evaluation.results, "rollback", evaluation.log_threshold)
        if result.evidence.weighted >= evaluation.log_threshold
        and result.check.name not in latch.checks
    ]
    return [*latch.reasons, *(f"by now also: {one}" for one in _sentences(state, further))]


def reasons_for_promotion(
    rollout: Rollout, state: RolloutState, evaluation: Evaluation
) -> list[str]:
    """Return what has been shown, on what it rests, and what has not been shown."""
    stage, counts = rollout.stages[state.status.stage], state.stage
    shown = (
        f"every required guardrail is shown to be within its limit after "
        f"{format_count(counts.requests)} requests in stage {printable(stage.name)}"
    )
    if counts.judged_share < 1.0:
        shown += (
            f", which is {format_percent(counts.judged_share)} of them: {_without_sides(state)}"
        )
    without = untold_of(state, evaluation)
    results = {f"{one.check.name}/{one.evidence.slice}": one for one in evaluation.results}
    beyond = [results[one.name] for one in without.point_other_way]
    titles = {check.name: check_title(check) for check in state.checks}
    return [
        shown,
        *_listed("not measured", [titles[name] for name in without.not_measured]),
        *_without_baseline(evaluation),
        *_listed("too few to tell", [_small(results[one.name]) for one in without.too_few]),
        *(f"points the other way, perhaps by chance: {one}" for one in _sentences(state, beyond)),
    ]


def _without_baseline(evaluation: Evaluation) -> list[str]:
    """Name the checks that cannot be judged as stable's value is 0."""
    return [
        f"{check_title(one.check)} {NO_BASELINE}"
        for one in evaluation.results
        if one.evidence.slice == ALL and one.check.stops_promotion and lacks_baseline(one)
    ]


def untold_of(state: RolloutState, evaluation: Evaluation) -> Untold:
    """Return what a promotion now would not rest on, of the guardrails that could stop one."""
    checks = [check for check in state.checks if check.stops_promotion]
    return untold(
        [check.name for check in checks],
        [
            _judged(result, evaluation.log_promotion)
            for result in evaluation.results
            if result.check.stops_promotion
        ],
    )


def _judged(result: CheckResult, log_threshold: float) -> JudgedSlice:
    check, evidence = result.check, result.evidence
    harm = check.test.observed(result.total).harm
    return JudgedSlice(
        check.name,
        evidence.slice,
        evidence.units,
        is_required=evidence.required,
        is_shown=evidence.log_promotion >= log_threshold,
        is_beyond=harm is not None and harm > check.test.margin,
    )


def _small(result: CheckResult) -> str:
    check, units = result.check, format_count(result.evidence.units)
    return f"{check.metric.title} {where(result.evidence.slice)} ({units})"


def _listed(what: str, names: list[str]) -> list[str]:
    """Return one sentence with the first names, and how many more there are; none of nothing."""
    if not names:
        return []
    more = len(names) - MOST_NAMES
    rest = f" and {format_count(more)} more" if more > 0 else ""
    return [f"{what}: {', '.join(names[:MOST_NAMES])}{rest}"]


def _without_sides(state: RolloutState) -> str:
    """Say which sides are missing, and how many events came late."""
    counts, quality = state.stage, state.stage.quality
    others = quality.unmatched_share - counts.lost_candidate_share - counts.lost_stable_share
    parts = {
        "of the candidate's sides never came": counts.lost_candidate_share,
        "of stable's sides never came": counts.lost_stable_share,
        "lack a side for another reason": max(0.0, others),
        "of the events came late": quality.late_share,
    }
    return ", ".join(
        f"{format_percent(share)} {what}" for what, share in parts.items() if share >= _SHOWN_SHARE
    )


def reasons_for_hold(rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Return what promotion lacks."""
    reasons: list[str] = []
    if state.status.paused is not None:
        reasons.extend(f"paused: {reason}" for reason in state.status.paused.reasons)
    if is_complete(rollout, state):
        return [*reasons, "the candidate has all requests; there is no further stage"]
    for name in evaluation.missing:
        reasons.extend(_lacking(name, rollout, state, evaluation))
    return reasons


def alerts(rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[Alert]:
    """Return what an engineer should look at although it rolls nothing back."""
    guardrails = [
        Alert(
            kind=_alert_kind(result.check),
            name=_alert_name(result.check),
            slice=result.evidence.slice,
            sentence=sentence(result, state, []),
        )
        for result in evaluation.alerting
    ]
    quality = [
        Alert(kind="data_quality", name=name, sentence=_broken(name, rollout, state))
        for name in evaluation.statistical.breaches
    ]
    models = [
        Alert(kind="model", name=side, sentence=_another_model(side, changes))
        for side, changes in state.stage.changed_models.items()
    ]
    return [*guardrails, *quality, *models]


def _alert_kind(check: Check) -> AlertKind:
    if check.of_evaluator:
        return "evaluator"
    return "stable" if check.of_stable else "guardrail"


def _alert_name(check: Check) -> str:
    """Of the guardrail, of the metric that stable is bad in, or of the evaluator."""
    if check.of_evaluator:
        return check.evaluator
    return check.metric.name if check.of_stable else check.name


def _another_model(side: str, changes: list[ModelChange]) -> str:
    """Say which models answer since when, and which did before."""
    since = [
        f"{printable(one.model)} since {format_time(one.since_ms)} "
        f"({format_percent(one.share)} of the answers)"
        for one in changes
    ]
    before = ", ".join(printable(name) for name in changes[0].before[:MOST_NAMES])
    return (
        f"another model answers for {side}: {', '.join(since[:MOST_NAMES])}, when the stage began "
        f"{before}; what was measured before is about that one"
    )


def waiting(result: CheckResult, state: RolloutState) -> str:
    """Return why a check has no evidence yet; empty when it has."""
    check = result.check
    needs_control = check.metric.kind in ("agreement", "excess")
    if lacks_baseline(result):
        return NO_BASELINE
    match result.waiting:
        case "reference":
            threshold = state.tail_threshold(result.evidence.slice, check.metric.measure)
            return (
                f"learning stable's quantile: {format_count(threshold.units)} of "
                f"{format_count(ENOUGH_UNITS)} requests"
            )
        case "windows":
            return "stable's quantile is known; waiting for later windows to compare"
        case "measurement":
            return "nothing measured yet"
        case "scale":
            units = "control sides" if needs_control else "requests"
            return f"learning how much values vary; too few {units} yet"
        case "other_arm":
            return f"no {'control side' if needs_control else 'request on the other arm'} yet"
        case None:
            return ""


def _sentences(state: RolloutState, results: list[CheckResult]) -> list[str]:
    """Return a sentence for each check, the first few in full; the rest are named."""
    by_check: dict[str, list[CheckResult]] = {}
    for result in results:
        by_check.setdefault(result.check.name, []).append(result)
    groups = list(by_check.values())
    sentences = [sentence(first, state, others) for first, *others in groups[:MOST_REASONS]]
    named = [check_title(first.check) for first, *_ in groups[MOST_REASONS:]]
    return [*sentences, f"likewise {', '.join(named)}"] if named else sentences


def _lacking(name: str, rollout: Rollout, state: RolloutState, evaluation: Evaluation) -> list[str]:
    """Say what one entry of `Evaluation.missing` means."""
    stage = rollout.stages[state.status.stage]
    if name in ("requests", "duration"):
        return [f"{_so_far(name, stage, state)} in closed windows of stage {printable(stage.name)}"]
    if name == SUSPECTED_HARM:
        suspects = weightiest_of(evaluation.results, "rollback")
        return [f"{SUSPICION}: {one}" for one in _sentences(state, suspects)]
    if name.startswith(f"{SUSPECTED_HARM}/"):
        named = _named(name.removeprefix(f"{SUSPECTED_HARM}/"), evaluation)
        return [f"{SUSPICION}: {sentence(result, state, [])}" for result in named]
    if name == "guardrails":
        return ["no required guardrail has been measured yet"]
    if name in evaluation.statistical.breaches:
        return [_broken(name, rollout, state)]
    guardrail, _, slice_name = name.rpartition("/")
    if slice_name == ANY_SLICE:
        title = next(check_title(check) for check in state.checks if check.name == guardrail)
        return [f"not yet shown to be within its limit: {title}: none of its slices has turned up "
                "yet"]  # fmt: skip
    return [_unproven(result, state) for result in _named(name, evaluation)]


def _named(name: str, evaluation: Evaluation) -> list[CheckResult]:
    """Return the results of one check in one slice, by `check/slice`."""
    return [
        result
        for result in evaluation.results
        if f"{result.check.name}/{result.evidence.slice}" == name
    ]


def _so_far(name: str, stage: Stage, state: RolloutState) -> str:
    totals = state.stage.totals
    if name == "requests":
        return f"{format_count(totals.requests)} of {format_count(stage.min_requests)} requests"
    return f"{format_duration(totals.duration_s)} of {format_duration(stage.min_duration_s)}"


def _unproven(result: CheckResult, state: RolloutState) -> str:
    check, name = result.check, result.evidence.slice
    reason = waiting(result, state) or sentence(result, state, [])
    title = "" if check.metric.title in reason else f"{check.metric.title} {where(name)}: "
    return f"not yet shown to be within its limit: {title}{reason}"


def _broken(name: str, rollout: Rollout, state: RolloutState) -> str:
    """Say which limit of data quality is broken."""
    counts, quality = state.stage, state.stage.quality
    if name == "unmatched_share":
        return (
            f"{format_percent(quality.unmatched_share)} of the requests lack a side, "
            f"limit {100 * rollout.max_unmatched_share:g} %: {_without_sides(state)}"
        )
    if name == "late_share":
        return (
            f"{format_percent(quality.late_share)} of the events arrive late, "
            f"limit {100 * rollout.max_late_share:g} %; they lie behind newer events of their "
            "partition and are not measured, see `understudy doctor`"
        )
    share = counts.single_candidate / counts.single if counts.single else 0.0
    planned = rollout.stages[state.status.stage].share
    return (
        f"the candidate gets {format_percent(share)} of the requests instead of the planned "
        f"{100 * planned:g} %"
    )
