"""Reasons in words: what an on-call person reads at three in the morning.

Slices and names come from whoever writes events, so what cannot be printed is replaced here.
"""

from __future__ import annotations

import math

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.evaluate import Found, Judgement, is_last_and_whole, weightiest
from understudy.analyzers.guardrails.sequential_tests import Observed
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.analyzers.guardrails.stage_progress import StageCounts
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.guardrails.statistics import AnyStatistics, LimitStatistics
from understudy.analyzers.sequential.tail import ENOUGH_UNITS, GAMMA
from understudy.schemas.rollouts import Rollout, Stage

MOST_REASONS = 5
SUSPICION = "harm is suspected"
"""How a reason to hold begins that is a suspicion."""


def reasons_for_rollback(
    checks: tuple[Check, ...], state: RolloutState, judgement: Judgement
) -> list[str]:
    """What carries the evidence for a rollback, weightiest first."""
    return _reasons(state, weightiest(judgement.found, "rollback"))


def reasons_for_pause(
    checks: tuple[Check, ...], state: RolloutState, judgement: Judgement
) -> list[str]:
    """What carries the evidence for a pause, weightiest first."""
    return _reasons(state, weightiest(judgement.found, "pause"))


def alerts(rollout: Rollout, state: RolloutState, judgement: Judgement) -> list[str]:
    """What somebody should look at although it rolls nothing back."""
    counts, stage = state.stage, rollout.stages[state.standing.stage]
    broken = [_broken(name, counts, rollout, stage) for name in judgement.promotion.breaches]
    return _reasons(state, judgement.alarming) + broken


def reasons_for_hold(rollout: Rollout, state: RolloutState, judgement: Judgement) -> list[str]:
    """What promotion lacks, in words."""
    stage, counts = rollout.stages[state.standing.stage], state.stage
    words: list[str] = []
    if state.standing.paused is not None:
        words.extend(f"paused: {reason}" for reason in state.standing.paused.reasons)
    if is_last_and_whole(stage, state.standing.stage + 1 == len(rollout.stages)):
        return [*words, "the candidate has all requests; there is no further stage"]
    for name in judgement.missing:
        words.extend(_lacking(name, rollout, stage, counts, state, judgement))
    return words


def sentence(check: Check, name: str, state: RolloutState) -> str:
    """What was seen of a check in a slice since its evidence began to grow."""
    weighing = state.slices[name][check.name]
    recent = weighing.recent().total
    counts = recent if recent else weighing.total
    seen = check.test.observed(counts)
    where, units = _where(name), f"{spaced(seen.units)} {unit_word(check, counts)}"
    if check.is_tail:
        return f"{_tail(check, name, state, seen, where)}; {units}"
    return f"{check.metric.title} {where} {_seen(check, seen)}, {_limit(check)}; {units}"


def unit_word(check: Check, counts: AnyStatistics) -> str:
    """What a check counts: pairs, or requests of the candidate."""
    if check.metric.counts:
        return check.metric.counts
    if check.metric.kind == "accounting" or isinstance(counts, LimitStatistics):
        return "requests"
    return "pairs" if counts.pairs or check.metric.kind in ("agreement", "excess") else "requests"


def waiting(check: Check, name: str, state: RolloutState) -> str:
    """Why a check has no evidence yet; empty when it has."""
    weighing = state.slices.get(name, {}).get(check.name)
    if check.is_tail and weighing is None:
        reference = state.references.get(name, check.metric.measure)
        if not reference.buckets:
            return (
                f"learning stable's {check.metric.title}: {spaced(reference.units)} of "
                f"{spaced(ENOUGH_UNITS)} requests"
            )
        return "stable's tail is known; waits for the windows after"
    if weighing is None or not weighing.total:
        return "nothing measured yet"
    if check.test.n_bets == 7 and weighing.rollback.scale.prior <= 0.0:
        what = "control sides" if check.metric.kind == "excess" else "units"
        return f"learning how much values scatter; too few {what} yet"
    if weighing.evidence.rollback.steps == 0 and weighing.rollback.waiting:
        kinds = ("agreement", "excess")
        return f"no {'control side' if check.metric.kind in kinds else 'other arm'} yet"
    return ""


def tail_times(check: Check, name: str, state: RolloutState) -> tuple[float, float] | None:
    """Milliseconds that stable and candidate are held against; None before they are known."""
    buckets = state.references.get(name, check.metric.measure).buckets
    if not buckets:
        return None
    stable = GAMMA ** buckets[str(check.metric.quantile)]
    raised = stable * (1.0 + check.value) if check.guardrail.relative else stable + check.value
    return stable, raised


def spaced(number: int) -> str:
    """1 840."""
    return f"{number:,}".replace(",", " ")


def duration(seconds: float) -> str:
    """90 s, 12 min or 3.5 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def printable(text: str) -> str:
    """Text whose control and direction characters are replaced."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def limit_text(check: Check) -> str:
    """The limit as a policy writes it: `≤ +0.5 pp`, `≤ 1 %`, `≥ 99 %`, `≤ +20 %`."""
    value, limit = check.value, check.guardrail.limit
    sign = {"max": "≤ ", "min": "≥ ", "max_increase": "≤ +", "max_drop": "≥ −"}[limit]
    if check.guardrail.relative:
        return f"{sign}{100 * value:g} %"
    if check.metric.unit == "share":
        points = limit in ("max_increase", "max_drop") or check.metric.kind == "excess"
        return f"{sign}{100 * value:g} {'pp' if points else '%'}"
    return sign + natural(check, value)


def own_value(check: Check, bad_share: float | None) -> float | None:
    """A metric's own value: rules count what is bad, JSON validity is about what is good."""
    if bad_share is None or not check.metric.higher_is_better:
        return bad_share
    return 1.0 - bad_share


def natural(check: Check, value: float | None) -> str:
    """A value of a check's metric with its unit."""
    return natural_value(check.metric.unit, value)


def natural_value(unit: str, value: float | None) -> str:
    """A value with its unit: `1.2 %`, `8.15 s`, `$0.0012`, `311`."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit == "ms":
        return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"
    return f"${value:.3g}" if unit == "usd" else f"{value:.4g}"


def _reasons(state: RolloutState, found: list[Found]) -> list[str]:
    return [sentence(f.check, f.finding.slice, state) for f in found[:MOST_REASONS]]


def _where(name: str) -> str:
    if name == ALL:
        return "over all requests"
    language, workflow = name.startswith("language:"), "workflow:" in name
    title = printable(slice_title(name))
    if language and not workflow:
        return f"in `{title}`"
    return f"in workflow `{title.removeprefix('workflow ')}`" if not language else f"in `{title}`"


def _seen(check: Check, seen: Observed) -> str:
    """`fell 2.1 points`, `rose 15 %`, `is 2.3 %`."""
    if check.metric.kind == "quantile":
        return (
            f"is over {natural(check, check.value)} in {_percent(seen.candidate)} of the requests"
        )
    if check.guardrail.limit in ("max", "min"):
        value = seen.harm if check.metric.kind == "excess" else seen.candidate
        if check.metric.kind == "excess":
            return f"is {_points(value)}"
        return f"is {natural(check, own_value(check, value))}"
    if seen.harm is None:
        return "cannot be told"
    worse_is_lower = check.metric.higher_is_better or check.guardrail.limit == "max_drop"
    verb = "fell" if (seen.harm >= 0.0) == worse_is_lower else "rose"
    change = abs(seen.harm)
    if check.guardrail.relative:
        return f"{verb} {100 * change:.3g} %"
    return f"{verb} {_points(change) if check.metric.unit == 'share' else natural(check, change)}"


def _points(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2g} points"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"


def _limit(check: Check) -> str:
    value = check.value
    if check.metric.kind == "quantile":
        return f"limit {100 * check.test.margin:.3g} %"
    if check.guardrail.relative:
        return f"limit {100 * value:g} %"
    if check.metric.unit == "share":
        points = check.guardrail.limit in ("max_increase", "max_drop")
        return f"limit {100 * value:g}{'' if points or check.metric.kind == 'excess' else ' %'}"
    return f"limit {natural(check, value)}"


def _tail(check: Check, name: str, state: RolloutState, seen: Observed, where: str) -> str:
    times = tail_times(check, name, state)
    if times is None or seen.candidate is None or seen.stable is None:
        return f"{check.metric.title} {where} cannot be told"
    stable_ms, raised_ms = times
    return (
        f"{check.metric.title} {where} beyond {limit_text(check)[2:]}: "
        f"{100 * seen.candidate:.3g} % of the candidate's took over {natural(check, raised_ms)}, "
        f"{100 * seen.stable:.3g} % of stable's over {natural(check, stable_ms)}"
    )


def _lacking(
    name: str,
    rollout: Rollout,
    stage: Stage,
    counts: StageCounts,
    state: RolloutState,
    judgement: Judgement,
) -> list[str]:
    """What `Verdict.missing` names, in words."""
    progress = counts.progress
    if name == "requests":
        return [
            f"{spaced(progress.requests)} of {spaced(stage.min_requests)} requests in closed "
            f"windows of stage {printable(stage.name)}"
        ]
    if name == "duration":
        return [
            f"{duration(progress.duration_s)} of {duration(stage.min_duration_s)} in closed "
            f"windows of stage {printable(stage.name)}"
        ]
    if name == "suspected_harm":
        suspects = weightiest(judgement.found, "rollback")
        return [f"{SUSPICION}: {reason}" for reason in _reasons(state, suspects)[:1]]
    if name == "guardrails":
        return ["no required guardrail has been measured yet"]
    if name in judgement.promotion.breaches:
        return [_broken(name, counts, rollout, stage)]
    return [_unproven(found, state) for found in judgement.found
            if f"{found.check.name}/{found.finding.slice}" == name]  # fmt: skip


def _unproven(found: Found, state: RolloutState) -> str:
    check, name = found.check, found.finding.slice
    reason = waiting(check, name, state) or sentence(check, name, state)
    title = "" if check.metric.title in reason else f"{check.metric.title} {_where(name)}: "
    return f"not yet shown to be within its limit: {title}{reason}"


def _broken(name: str, counts: StageCounts, rollout: Rollout, stage: Stage) -> str:
    quality = counts.quality
    if name == "unmatched_share":
        return (
            f"{100 * quality.unmatched_share:.3g} % of the requests lack a side, "
            f"limit {100 * rollout.max_unmatched_share:g} %"
        )
    if name == "late_share":
        return (
            f"{100 * quality.late_share:.3g} % of the events come late, "
            f"limit {100 * rollout.max_late_share:g} %"
        )
    share = counts.alone_candidate / counts.alone if counts.alone else 0.0
    return (
        f"the candidate has {100 * share:.3g} % of the requests, planned are "
        f"{100 * stage.share:g} %"
    )
