"""The sentences of a verdict on a fixed sample: what was found, and what as many cases can show.

They are those of a live rollout, but for quantiles and for what promotion lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from understudy.analyzers.fixed_sample.findings import (
    NOTHING_MEASURED,
    UNMATCHED,
    Finding,
    Lack,
    levels,
)
from understudy.analyzers.fixed_sample.quantiles import QuantileTest
from understudy.analyzers.fixed_sample.sample import Sample
from understudy.analyzers.guardrails.check_sentences import sentence, where
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluate import ANY_SLICE, CheckResult, SliceEvidence
from understudy.analyzers.guardrails.explanations import MOST_NAMES, MOST_REASONS, SUSPICION
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_limit_value,
    format_percent,
    format_points,
    format_value,
    format_with_interval,
)
from understudy.analyzers.guardrails.guardrail_titles import check_title
from understudy.analyzers.guardrails.measured import Untold
from understudy.analyzers.guardrails.slices import ALL
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.schemas.rollouts import Rollout


class Sentences:
    """Says what was found in a sample."""

    def __init__(self, rollout: Rollout, sample: Sample) -> None:
        self._rollout, self._sample = rollout, sample
        self._state = RolloutState.begin(rollout, checks_of(rollout))
        self._titles = {check.name: check_title(check) for check in self._state.checks}
        self._state.stage.add(sample.counts, rollout.stages[0], 0, 0)

    def describe(self, one: Finding, others: Sequence[Finding] = ()) -> str:
        """Say what was observed of a check in a slice, and in which others it is likewise."""
        if isinstance(one.test, QuantileTest):
            return _quantile_sentence(one, one.test)
        results = [_result(other) for other in others]
        return sentence(_result(one), self._state, results, pairs="cases")

    def of_breaches(self, breaches: Sequence[Finding]) -> list[str]:
        """Say what is beyond its limit, one sentence a guardrail; the rest are named."""
        by_check: dict[str, list[Finding]] = {}
        for one in breaches:
            by_check.setdefault(one.check.name, []).append(one)
        groups = list(by_check.values())
        named = [check_title(first.check) for first, *_ in groups[MOST_REASONS:]]
        return [
            *(self.describe(first, others) for first, *others in groups[:MOST_REASONS]),
            *([f"likewise {', '.join(named)}"] if named else []),
        ]

    def of_promotion(self, untold: Untold, beyond: Sequence[Finding]) -> list[str]:
        """Say what has been shown, on what it rests, and what has not been shown."""
        shown = (
            "every required guardrail is shown to be within its limit by one look at "
            f"{format_count(self._sample.cases)} cases{self._of_units()}"
        )
        small = [
            f"{self._titles[one.check]} {where(one.slice)} ({format_count(one.units)})"
            for one in untold.too_few
        ]
        return [
            shown,
            *_listed("not measured", [self._titles[name] for name in untold.not_measured]),
            *_listed("too few to tell", small),
            *(
                f"points the other way, perhaps by chance: {one}"
                for one in self.of_breaches(beyond)
            ),
        ]

    def of_hold(self, lacks: Iterable[Lack]) -> list[str]:
        """Say what promotion lacks, and what it would take.

        Guardrails that are not shown to be within their limits, though the candidate looks no
        worse, share a sentence: what they lack is cases.
        """
        lacking = list(lacks)
        calm = [one.finding for one in lacking if one.finding is not None and _is_calm(one)]
        shared = calm if len(calm) > 1 else []
        return [
            *(self._lacking(one) for one in lacking if one.finding not in shared),
            *([self._too_few(shared)] if shared else []),
        ]

    def _too_few(self, calm: Sequence[Finding]) -> str:
        """Say of which guardrails there are too few cases, and how many it takes."""
        names = list(dict.fromkeys(f"{one.check.metric.title}{_in_slice(one)}" for one in calm))
        more = f" and {format_count(len(names) - MOST_NAMES)} more" if names[MOST_NAMES:] else ""
        cases = format_count(max(one.test.cases for one in calm))
        needed = [one.cases_needed for one in calm if one.cases_needed is not None]
        parts = [
            f"{cases} cases are too few to show that these are within their limits, though none "
            f"looks worse: {', '.join(names[:MOST_NAMES])}{more}",
            *_found_in_points(calm),
            *([f"models that are alike pass from about {_about(max(needed))} cases on"]
              if needed else []),
            *dict.fromkeys(one.test.note for one in calm if one.test.note),
        ]  # fmt: skip
        return "; ".join(parts)

    def _lacking(self, lack: Lack) -> str:
        one = lack.finding
        if lack.name == NOTHING_MEASURED:
            return "no required guardrail has been measured"
        if lack.name == UNMATCHED:
            counts = self._sample.counts
            return (
                f"{format_percent(counts.unmatched / self._sample.cases)} of the cases lack a "
                f"side, limit {100 * self._rollout.max_unmatched_share:g} %: "
                f"{format_count(counts.lost_candidate)} have no answer of the candidate, "
                f"{format_count(counts.lost_stable)} none of stable"
            )
        if one is None:
            title = self._titles[lack.name.removesuffix(f"/{ANY_SLICE}")]
            return f"not yet shown to be within its limit: {title}: not measured"
        if lack.name.startswith("paused/"):
            return f"paused: {self.describe(one)}"
        if lack.name.startswith(SUSPECTED_HARM):
            return f"{SUSPICION}: {self.describe(one)}"
        return f"not shown to be within its limit: {self.describe(one)}{what_it_takes(one)}"

    def _of_units(self) -> str:
        units, cases = self._sample.n_units, self._sample.cases
        return f" of {format_count(units)} conversations" if units < cases else ""


def _is_calm(lack: Lack) -> bool:
    """Whether a guardrail is not shown to be within its limit, and the candidate looks no worse."""
    one = lack.finding
    if one is None or lack.name != one.name:
        return False
    harm = levels(one).harm
    is_against_stable = one.check.guardrail.limit.startswith("max_")
    return harm is not None and harm <= (0.0 if is_against_stable else one.test.margin)


def _in_slice(one: Finding) -> str:
    return "" if one.slice == ALL else f" {where(one.slice)}"


def _found_in_points(calm: Sequence[Finding]) -> list[str]:
    """Say what harm to rates would have been found, from the clearest to the least clear."""
    found = [
        one.smallest_harm_found
        for one in calm
        if one.check.metric.unit == "share" and one.check.guardrail.limit.startswith("max_")
    ]
    known = sorted(harm for harm in found if harm is not None)
    if not known:
        return []
    least, most = (format_points(harm) for harm in (known[0], known[-1]))
    points = least if least == most else f"{least.removesuffix(' points')} to {most}"
    return [f"harm of {points} would have been found"]


def what_it_takes(one: Finding) -> str:
    """Say what as many cases could have shown, and how many show alike models to be harmless."""
    parts = []
    smallest, needed = one.smallest_harm_found, one.cases_needed
    if smallest is not None:
        parts.append(f"with as many cases {_harm(one, smallest)} can be found")
    if needed is not None and needed > one.test.cases:
        parts.append(f"models that are alike pass from about {_about(needed)} cases on")
    if one.test.note:
        parts.insert(0, one.test.note)
    return "".join(f"; {part}" for part in parts)


def _about(count: int) -> str:
    """Two digits of a number, rounded up."""
    step = 10 ** max(0, len(str(count)) - 2)
    return format_count(-(-count // step) * step)


def _harm(one: Finding, harm: float) -> str:
    """Write an amount of harm: `a fall of 4.1 points`, `a share of 3 %`."""
    check, unit = one.check, one.check.metric.unit
    if check.guardrail.limit in ("max", "min"):
        own = check.own_value(harm) if unit == "share" else abs(harm)
        return f"a value of {format_value(unit, own)}"
    is_fall = check.metric.higher_is_better or check.guardrail.limit == "max_drop"
    word = "a fall" if is_fall else "a rise"
    if check.guardrail.relative:
        return f"{word} of {format_percent(harm)}"
    amount = format_points(harm) if unit == "share" else format_value(unit, harm)
    return f"{word} of {amount}"


def _quantile_sentence(one: Finding, test: QuantileTest) -> str:
    """Say by how much a quantile rose, with its interval."""
    check, observed = one.check, levels(one)
    what = f"{check.metric.title} {where(one.slice)}"
    units = f"{format_count(test.cases)} cases"
    if observed.harm is None or observed.stable is None or observed.candidate is None:
        return f"{what} is not known: more time out than the quantile leaves; {units}"
    low, high = one.interval
    harm, verb = observed.harm, "rose" if observed.harm >= 0.0 else "fell"
    if harm < 0.0:
        harm, low, high = -harm, -high, -low
    written = format_percent if check.guardrail.relative else _ms
    limit = format_limit_value(
        check.metric, check.guardrail.limit, check.value, relative=check.guardrail.relative
    )
    return (
        f"{what} {verb} {format_with_interval(written, harm, low, high)}, "
        f"{_ms(observed.stable)} → {_ms(observed.candidate)}, limit {limit}; {units}"
    )


def _ms(value: float) -> str:
    return format_value("ms", value)


def _result(one: Finding) -> CheckResult:
    """As a live rollout's sentences take it."""
    return CheckResult(
        check=one.check,
        evidence=SliceEvidence(
            guardrail=one.check.name,
            slice=one.slice,
            weight=one.error_share,
            log_rollback=0.0,
            log_promotion=0.0,
            units=one.test.cases,
            margin=one.test.margin,
            required=one.is_required,
            interval=one.interval,
        ),
        total=one.total,
        newest=None,
        design_effect=one.test.design_effect,
        waiting=None,
    )


def _listed(what: str, names: list[str]) -> list[str]:
    """Return one sentence with the first names, and how many more there are; none of nothing."""
    if not names:
        return []
    more = len(names) - MOST_NAMES
    rest = f" and {format_count(more)} more" if more > 0 else ""
    return [f"{what}: {', '.join(names[:MOST_NAMES])}{rest}"]
