"""The verdict on two recorded runs: one look at a fixed number of cases.

Rollback where a guardrail's harm is shown to lie beyond its margin, by a p-value of at most its
share of the tolerated error; promote where every required guardrail is shown to be within its
margin, each at the whole tolerated error, since all of them must be; hold else. The requests and
the duration that a live rollout waits for play no part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from understudy.analyzers.fixed_sample.findings import (
    Finding,
    Lack,
    findings,
    lacks,
    levels,
    untold_of,
)
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.fixed_sample.sentences import Sentences
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.measured import Untold
from understudy.schemas.decisions import Verdict
from understudy.schemas.fixed_sample import FixedSampleFinding, FixedSampleVerdict
from understudy.schemas.rollouts import Action, Rollout, policy_hash
from understudy.schemas.windows import WindowRow


def judge_fixed_sample(rows: Sequence[WindowRow], rollout: Rollout) -> FixedSampleVerdict:
    """Return the verdict on cases that were paired unit by unit, see `units`.

    `rows` are all closed window rows, of all units, languages and workflows. Ratings are not among
    them, so guardrails on feedback are not measured.
    """
    sample = Sample.of_rows(rows, checks_of(rollout))
    found = findings(rollout, sample)
    lacking, untold = lacks(rollout, sample, found), untold_of(sample, found)
    verdict = _verdict(found, lacking)
    sentences = Sentences(rollout, sample)
    return FixedSampleVerdict(
        rollout_id=rollout.rollout_id,
        policy_hash=policy_hash(rollout),
        verdict=verdict,
        reasons=_reasons(verdict, sentences, found, lacking, untold),
        alerts=sentences.of_breaches(_breaches(found, "alert")),
        cases=sample.cases,
        units=sample.n_units,
        lost_stable=sample.counts.lost_stable,
        lost_candidate=sample.counts.lost_candidate,
        false_rollback=rollout.false_rollback,
        false_promotion=rollout.false_promotion,
        missing=[one.name for one in lacking],
        not_measured=untold.not_measured,
        too_few=[one.name for one in untold.too_few],
        point_other_way=[one.name for one in untold.point_other_way],
        findings=[_record(one, sentences) for one in found if one.check.is_guardrail],
    )


def _verdict(found: Sequence[Finding], lacking: Sequence[Lack]) -> Verdict:
    if _breaches(found, "rollback"):
        return "rollback"
    return "hold" if lacking else "promote"


def _breaches(found: Sequence[Finding], action: Action) -> list[Finding]:
    """Return what is shown to be beyond its limit, the clearest first."""
    breaches = [one for one in found if one.check.action == action and one.is_breach]
    return sorted(breaches, key=lambda one: -one.weight)


def _reasons(
    verdict: Verdict,
    sentences: Sentences,
    found: Sequence[Finding],
    lacking: Sequence[Lack],
    untold: Untold,
) -> list[str]:
    if verdict == "rollback":
        return sentences.of_breaches(_breaches(found, "rollback"))
    if verdict == "hold":
        return sentences.of_hold(lacking)
    names = {one.name for one in untold.point_other_way}
    return sentences.of_promotion(untold, [one for one in found if one.name in names])


def _record(one: Finding, sentences: Sentences) -> FixedSampleFinding:
    check, observed = one.check, levels(one)
    low, high = one.interval
    return FixedSampleFinding(
        guardrail=check.name,
        metric=check.metric.name,
        slice=one.slice,
        action=check.action,
        limit=check.guardrail.limit,
        margin=check.value,
        relative=check.guardrail.relative,
        floor=check.guardrail.floor,
        unit="share"
        if check.metric.kind == "quantile" and not check.is_tail
        else check.metric.unit,
        required=one.is_required,
        status=one.status,
        cases=one.test.cases,
        stable=check.own_value(observed.stable),
        candidate=check.own_value(observed.candidate),
        harm=observed.harm,
        interval=(_finite(low), _finite(high)),
        harm_margin=one.test.margin,
        p_harm=one.p_harm,
        p_within=one.p_within,
        error_share=one.error_share,
        design_effect=one.test.design_effect,
        smallest_harm_found=one.smallest_harm_found,
        cases_needed=one.cases_needed,
        sentence=sentences.describe(one),
        note=one.test.note,
    )


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
