"""Checks: what the guardrails of a policy come down to.

A guardrail is one check; with a warn margin it is two, the second of which only alerts. A check
knows how to read a window row and by which test its evidence grows. Quantiles compared with stable
can be read only once stable's own is known: see `tail_thresholds`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from understudy.analyzers.guardrails.column_readers import (
    Reader,
    TailReader,
    agreement_limit_reader,
    agreement_reader,
    excess_reader,
    lost_limit_reader,
    lost_reader,
    mean_limit_reader,
    mean_reader,
    quality_reader,
    rate_limit_reader,
    rate_reader,
    stable_rate_reader,
    time_limit_reader,
    unmatched_reader,
)
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    GradedTest,
    LimitTest,
    MeanTest,
    NoiseTest,
)
from understudy.analyzers.sequential.tail_buckets import GAMMA, raised_bucket
from understudy.schemas.measure_kinds import Outcome
from understudy.schemas.measures import FEEDBACK
from understudy.schemas.rollout_metrics import (
    METRICS,
    QUALITY_PREFERENCE,
    QUALITY_SCORE,
    STABLE_LIMITS,
    Metric,
)
from understudy.schemas.rollouts import Action, Guardrail, Rollout, SliceChoice
from understudy.schemas.windows import Source

WARNING_SUFFIX: Final = ".warn"
STABLE_PREFIX: Final = "stable."
EVALUATOR_PREFIX: Final = "evaluator."
NOISE_MARGIN: Final = 0.05
"""By how much an evaluator may on the whole prefer one run of stable to another. Chance makes it
less; a fault, such as a second run that is cut off or a prompt that names the sides, far more."""
STABLE_SHARE: Final = 0.5
"""Of the error of alerts, for whether stable and evaluators are a measure to judge by; the rest is
the policy's."""
_OF_FEEDBACK: Final = frozenset(
    one.metric.name for one in FEEDBACK if isinstance(one, Outcome) and one.metric is not None
)
MOST_GUARDRAIL_SETS: Final = 256
"""Sets of guardrails whose checks, and layouts of what these read, are kept: most rollouts of a
worker share the default ones, and layouts are the dearest thing to make anew where rollouts are
restored. Some 100 kB each, 25 MB at most."""
_ROUNDING: Final = 1e-9
"""Buckets by which a logarithm may be off: an edge must not move by its last bit."""


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One limit under test; `weight` is its share of the error of its action.

    Policies with the same guardrails share their checks, which are therefore equal only to
    themselves: they are keys of what is made once for them.
    """

    name: str
    guardrail: Guardrail
    metric: Metric
    value: float
    action: Action
    test: AnyTest
    key: str
    """Checks with the same key read the same statistics."""
    reader: Reader | None
    """None where stable's quantile must be known first."""
    weight: float = 0.0
    of_stable: bool = False
    """Whether it is no guardrail of the policy, but holds stable's own value against a limit."""
    of_evaluator: bool = False
    """Whether it is no guardrail of the policy, but asks whether an evaluator sees a difference
    where there is none."""

    @property
    def is_tail(self) -> bool:
        """Whether it compares quantiles with stable's."""
        return self.reader is None

    @property
    def tail(self) -> TailReader:
        """The reader of a tail, which takes buckets as well."""
        return TailReader(self.metric.measure)

    @property
    def has_worst(self) -> bool:
        """Whether requests that wait for a side can be taken at their worst; a mean has none."""
        return not isinstance(self.test, MeanTest)

    @property
    def source(self) -> Source:
        """The topic whose windows have what it reads."""
        if self.metric.kind == "quality":
            return "evaluations"
        return "feedback" if self.metric.name in _OF_FEEDBACK else "events"

    @property
    def is_guardrail(self) -> bool:
        """Whether it is one of the policy."""
        return not (self.of_stable or self.of_evaluator)

    @property
    def evaluator(self) -> str:
        """Whose evaluations it reads; empty where none measures it."""
        return self.guardrail.evaluator or ""

    @property
    def stops_promotion(self) -> bool:
        """Whether promotion waits for it."""
        return self.action != "alert"

    def raised_buckets(self, stable_bucket: int) -> tuple[int, int]:
        """Return the buckets of the candidate's limit, rounded for rollback and for promotion."""
        if self.guardrail.relative:
            return (
                raised_bucket(stable_bucket, 1.0 + self.value, "rollback"),
                raised_bucket(stable_bucket, 1.0 + self.value, "promotion"),
            )
        edge = GAMMA**stable_bucket + self.value
        return bucket_above(edge), bucket_below(edge)

    def tail_limit_ms(self, stable_bucket: int) -> tuple[float, float]:
        """Return the times that stable and the candidate are held against."""
        stable_ms = GAMMA**stable_bucket
        if self.guardrail.relative:
            return stable_ms, stable_ms * (1.0 + self.value)
        return stable_ms, stable_ms + self.value

    def own_value(self, bad_share: float | None) -> float | None:
        """Return the metric's own value: tests count what is bad, JSON validity what is good."""
        if bad_share is None or not self.metric.higher_is_better:
            return bad_share
        return 1.0 - bad_share


def checks_of(rollout: Rollout) -> tuple[Check, ...]:
    """Return all checks of a policy, in its order, with their weights.

    Those of stable and of evaluators, which are no guardrails, come last.
    """
    return _all_checks(rollout.guardrails, rollout.models.free)


@lru_cache(MOST_GUARDRAIL_SETS)
def _all_checks(guardrails: tuple[Guardrail, ...], free: tuple[str, ...]) -> tuple[Check, ...]:
    checks = [check for guardrail in guardrails for check in _checks_of(guardrail, free)]
    of_stable = [*_checks_of_stable(guardrails), *_checks_of_evaluators(guardrails)]
    has_alerts = any(check.action == "alert" for check in checks)
    of_alerts = 1.0 - STABLE_SHARE if of_stable else 1.0
    return (
        *_weighted(checks, {"alert": of_alerts}),
        *_weighted(of_stable, {"alert": STABLE_SHARE if has_alerts else 1.0}),
    )


def _weighted(checks: Sequence[Check], shares: Mapping[Action, float]) -> Iterable[Check]:
    """Give checks of one action its error, or a share of it, by their metrics' weights."""
    weights = {check.action: 0.0 for check in checks}
    for check in checks:
        weights[check.action] += check.metric.weight
    for check in checks:
        share = shares.get(check.action, 1.0)
        yield replace(check, weight=share * check.metric.weight / weights[check.action])


def _checks_of_stable(guardrails: Iterable[Guardrail]) -> list[Check]:
    """Return whether stable is a measure to judge by, for each rate that the policy limits."""
    metrics = dict.fromkeys(guardrail.metric for guardrail in guardrails)
    return [_check_of_stable(METRICS[name]) for name in metrics if name in STABLE_LIMITS]


def _check_of_stable(metric: Metric) -> Check:
    bad_share = STABLE_LIMITS[metric.name]
    name = STABLE_PREFIX + metric.name
    guardrail = Guardrail(
        name=name,
        metric=metric.name,
        limit="min" if metric.higher_is_better else "max",
        value=1.0 - bad_share if metric.higher_is_better else bad_share,
        relative=False,
        floor=0.0,
        warn_value=None,
        slices=SliceChoice(all=True, each_language=False, each_workflow=False),
        action="alert",
        required="none",
    )
    return Check(
        name, guardrail, metric, guardrail.value, "alert", LimitTest(bad_share),
        name, stable_rate_reader(metric.name), of_stable=True,
    )  # fmt: skip


def _checks_of_evaluators(guardrails: Iterable[Guardrail]) -> list[Check]:
    """Return whether evaluators see no difference where there is none, for each that is named."""
    named = [one for one in guardrails if METRICS[one.metric].kind == "quality"]
    distinct = {(one.metric, one.evaluator or ""): one for one in reversed(named)}
    return [_check_of_evaluator(METRICS[metric], one) for (metric, _), one in
            sorted(distinct.items())]  # fmt: skip


def _check_of_evaluator(metric: Metric, named: Guardrail) -> Check:
    guardrail = Guardrail(
        name=f"{EVALUATOR_PREFIX}{named.evaluator}.{metric.name}",
        metric=metric.name,
        limit="max_drop",
        value=NOISE_MARGIN,
        relative=False,
        floor=0.0,
        warn_value=None,
        slices=SliceChoice(all=True, each_language=True, each_workflow=False),
        action="alert",
        required="none",
        evaluator=named.evaluator,
    )
    key, reader = _key_and_reader(guardrail, metric, NOISE_MARGIN, ())
    return Check(
        guardrail.name, guardrail, metric, NOISE_MARGIN, "alert",
        NoiseTest(NOISE_MARGIN, unit=_unit_of(metric)), key, reader, of_evaluator=True,
    )  # fmt: skip


def _checks_of(guardrail: Guardrail, free: Collection[str]) -> Iterable[Check]:
    yield _check(guardrail, guardrail.name, guardrail.value, guardrail.action, free)
    if guardrail.warn_value is not None:
        name = guardrail.name + WARNING_SUFFIX
        yield _check(guardrail, name, guardrail.warn_value, "alert", free)


def _check(
    guardrail: Guardrail, name: str, value: float, action: Action, free: Collection[str]
) -> Check:
    metric = METRICS[guardrail.metric]
    key, reader = _key_and_reader(guardrail, metric, value, free)
    test = _test(guardrail, metric, value)
    return Check(name, guardrail, metric, value, action, test, key, reader)


def _key_and_reader(
    guardrail: Guardrail, metric: Metric, value: float, free: Collection[str]
) -> tuple[str, Reader | None]:
    """Return how a row is read; checks that read alike share the key."""
    on_candidate = guardrail.limit in ("max", "min")
    if metric.kind == "quantile":
        if not on_candidate:
            kind = "x" if guardrail.relative else "+"
            return f"{metric.name}{kind}{value!r}", None
        reader = time_limit_reader(metric.measure, bucket_above(value), bucket_below(value))
        return f"{metric.measure}>{value!r}", reader
    suffix = ".candidate" if on_candidate and metric.kind in ("rate", "agreement", "mean") else ""
    if metric.kind == "rate":
        read = rate_limit_reader if suffix else rate_reader
        return metric.name + suffix, read(metric.name)
    if metric.kind == "agreement":
        read = agreement_limit_reader if suffix else agreement_reader
        return metric.name + suffix, read(metric.name)
    if metric.kind == "mean":
        own = mean_limit_reader if suffix else mean_reader
        return metric.name + suffix, own(metric.name, free)
    if metric.kind == "lost":
        if on_candidate:
            return f"{metric.name}.candidate", lost_limit_reader()
        return metric.name, lost_reader()
    if metric.kind == "excess":
        return metric.name, excess_reader(metric.name)
    if metric.kind == "quality":
        evaluator = guardrail.evaluator or ""
        return f"{metric.name} by {evaluator}", quality_reader(metric.name, evaluator)
    return metric.name, unmatched_reader()


def _test(guardrail: Guardrail, metric: Metric, value: float) -> AnyTest:
    limit = guardrail.limit
    if metric.kind == "excess":
        return MeanTest(shift=value)
    if metric.kind == "mean":
        return _mean_test(guardrail, value)
    if metric.kind == "quality":
        is_scored = metric.name == QUALITY_SCORE.name
        return GradedTest(value, unit=_unit_of(metric), is_scored=is_scored)
    if metric.kind == "quantile":
        return LimitTest(1.0 - metric.quantile) if limit == "max" else BinaryTest(0.0)
    if limit in ("max", "min"):
        return LimitTest(value if limit == "max" else 1.0 - value)
    if guardrail.relative:
        return BinaryTest(guardrail.floor, ratio=1.0 + value)
    return BinaryTest(value)


def _unit_of(metric: Metric) -> float:
    """What a difference of the whole scale is in the unit of limits.

    An answer that is always preferred has 100 % of the preferences, half more than stable's equal.
    """
    return 0.5 if metric.name == QUALITY_PREFERENCE.name else 1.0


def _mean_test(guardrail: Guardrail, value: float) -> MeanTest:
    sign = -1.0 if guardrail.limit in ("min", "max_drop") else 1.0
    if guardrail.limit in ("max", "min"):
        return MeanTest(sign=sign, factor=0.0, shift=value)
    if guardrail.relative:
        return MeanTest(sign=sign, factor=1.0 + sign * value, relative=True)
    return MeanTest(sign=sign, shift=sign * value)


def bucket_above(edge: float) -> int:
    """Return the lowest bucket whose upper edge is at least `edge`: rounded for rollback."""
    return math.ceil(math.log(edge) / math.log(GAMMA) - _ROUNDING)


def bucket_below(edge: float) -> int:
    """Return the highest bucket whose upper edge is at most `edge`: rounded for promotion."""
    return math.floor(math.log(edge) / math.log(GAMMA) + _ROUNDING)
