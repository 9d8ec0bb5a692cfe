"""How the candidate differs from stable in one measure, as sums of windows.

Each difference names the sums that an estimate and its variance follow from, in one form for all
measures, so that a view computes them once, after it has made a row of each (`ESTIMATE`). Requests
are paired in shadow and interleave, and two arms in canary and ab. Where gateways name
conversations, variances are those of dependent requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final, Literal

from understudy.schemas.measure_kinds import (
    Category,
    Distribution,
    Outcome,
    both_sides,
    only_candidate,
    only_stable,
)
from understudy.schemas.measures import FEEDBACK_POSITIVE, SIDE
from understudy.schemas.rollout_metrics import AGREEMENTS, EXCESSES, MEANS, METRICS, RATES, TIMES

SIDES: Final = ("stable", "candidate")
PAIRED_MODES: Final = "('shadow', 'interleave')"
"""Modes in which both sides answer each request."""
Kind = Literal["outcome", "mean", "ratio"]
"""What x is: 0 or 1, and shares are subtracted; a value, and means are divided; the logarithm of a
value, and geometric means are divided."""
Sums = Mapping[str, str]
"""Name of a sum to its column, or to an expression over columns."""


@dataclass(frozen=True, slots=True)
class Arm:
    """Sums over the requests of one side."""

    n: str = "0"
    total: str = "0"
    squares: str = "0"
    earlier: str = "0"
    """Of turns: how many went before."""
    turn_pairs: str = "0"
    turn_sums: str = "0"
    turn_products: str = "0"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Sums over pairs with x known on both sides: s and c."""

    n: str = "0"
    stable: str = "0"
    candidate: str = "0"
    stable_squares: str = "0"
    candidate_squares: str = "0"
    products: str = "0"
    earlier: str = "0"
    turn_pairs: str = "0"
    turn_sums: str = "0"
    """Of outcomes: of c - s."""
    turn_products: str = "0"
    """Of outcomes: of c - s; of values: of c."""
    turn_cross_products: str = "0"
    turn_stable_products: str = "0"


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of a view: what it is of, and the sums that it follows from."""

    label: str
    better: str
    kind: Kind
    stable: Arm
    candidate: Arm
    pairs: Pairs | None = None
    """None where requests are two arms in every mode."""

    def row(self) -> str:
        """The row as an expression: texts, and an array of numbers for each group of sums."""
        pairs = self.pairs or Pairs()
        is_paired = f"mode IN {PAIRED_MODES}" if self.pairs else "false"
        groups = (_array(self.stable), _array(self.candidate), _array(pairs))
        texts = f"'{self.label}', '{self.better}', '{self.kind}'"
        return f"({texts}, {is_paired}, {', '.join(groups)})"


def _array(group: Arm | Pairs) -> str:
    sums = (getattr(group, one.name) for one in fields(group))
    return f"[{', '.join('0.' if one == '0' else f'toFloat64({one})' for one in sums)}]"


ROW: Final = ("label", "better", "kind", "is_paired", "stable_arm", "candidate_arm", "pairs")
"""Parts of a row, in order."""


def _part(group: str, record: type[Arm | Pairs], name: str) -> str:
    return f"{group}[{[one.name for one in fields(record)].index(name) + 1}]"


def _arm_steps(side: str) -> dict[str, str]:
    arm = {one.name: _part(f"{side}_arm", Arm, one.name) for one in fields(Arm)}
    mean, spread = f"{side}_mean", f"{side}_spread"
    co_spread = (
        f"{arm['turn_products']} - {mean} * {arm['turn_sums']} "
        f"+ pow({mean}, 2) * {arm['turn_pairs']}"
    )
    return {
        f"{side}_n": f"nullIf({arm['n']}, 0)",
        mean: f"{arm['total']} / {side}_n",
        spread: f"greatest({arm['squares']} - pow({mean}, 2) * {side}_n, 0)",
        f"{side}_effect": f"understudy_design_effect({side}_n, {spread}, {arm['earlier']}, "
        f"{arm['turn_pairs']}, {co_spread}, {_imaginary(spread, f'{side}_n')})",
        f"{side}_variance": _variance(side, spread, mean, f"{side}_n") + f" / pow({side}_n, 2)",
    }


_FEWEST_UNITS: Final = 10
"""Of means and ratios: of fewer units neither the spread nor the derivative of a quotient, which
variances of relative changes rest on, says much. One pair with a ratio of 1/150 must prove nothing.
"""


def _variance(of: str, spread: str, mean: str, n: str) -> str:
    """Of a sum of x over n units, with four imaginary units; NULL where it is not known yet.

    So what has not come yet is not taken for what cannot come. Of outcomes an imaginary unit is 1
    away from the mean, of values the mean, of logarithms 1: in short, 100 %. Simulated with costs
    of which one in twenty is doubled and all others are equal: looked at after every unit from the
    tenth on, intervals miss in 60 % of the runs without imaginary units and in 1 % with four.
    """
    square = f"if(kind = 'mean', pow({mean}, 2), 1)"
    return (
        f"if(is_outcome OR {n} >= {_FEWEST_UNITS}, "
        f"({spread} + 4 * {of}_effect * {square}) * {of}_effect, NULL)"
    )


def _imaginary(spread: str, n: str) -> str:
    """Products of turns that hold the correlation at 1 at first, in units of x^2.

    Of outcomes 10: simulated with conversations of 20 turns that fail as a whole, intervals then
    miss in 3 % (with 4 in 5 %, with 500 pairs of turns in 55 %). Of values 500 pairs, as verdicts.
    """
    return f"if(is_outcome, 10, greatest(500 * {spread} / {n}, 1e-300))"


def _pair_steps() -> dict[str, str]:
    """Of x = c - r s, r = 1 for outcomes, else the ratio of means, so that the mean of x is 0."""
    sums = {one.name: _part("pairs", Pairs, one.name) for one in fields(Pairs)}
    co_spread = (
        f"{sums['turn_products']} - pair_r * {sums['turn_cross_products']} "
        f"+ pow(pair_r, 2) * {sums['turn_stable_products']} - pair_x * {sums['turn_sums']} "
        f"+ pow(pair_x, 2) * {sums['turn_pairs']}"
    )
    return {
        "pair_n": f"nullIf({sums['n']}, 0)",
        "pair_scale": f"if(kind = 'mean', nullIf({sums['stable']}, 0), pair_n)",
        "pair_r": f"if(kind = 'mean', {sums['candidate']} / pair_scale, 1)",
        "pair_x": f"if(kind = 'mean', 0, ({sums['candidate']} - {sums['stable']}) / pair_n)",
        "pair_spread": f"greatest({sums['candidate_squares']} - 2 * pair_r * {sums['products']} "
        f"+ pow(pair_r, 2) * {sums['stable_squares']} - pow(pair_x, 2) * pair_n, 0)",
        "pair_effect": f"understudy_design_effect(pair_n, pair_spread, {sums['earlier']}, "
        f"{sums['turn_pairs']}, {co_spread}, {_imaginary('pair_spread', 'pair_n')})",
        "pair_variance": _variance("pair", "pair_spread", f"{sums['stable']} / pair_n", "pair_n")
        + " / pow(pair_scale, 2)",
    }


def _estimate_steps() -> dict[str, str]:
    """What a view shows, and what its interval takes."""
    level = "multiIf(kind = 'ratio', exp({side}_mean), is_paired, {pair}, {side}_mean)"
    sums = {name: _part("pairs", Pairs, name) for name in ("stable", "candidate")}
    pair_change = {"outcome": "pair_x", "mean": "pair_r - 1", "ratio": "exp(pair_x) - 1"}
    arms_change = {
        "outcome": "candidate_mean - stable_mean",
        "mean": "candidate_mean / nullIf(stable_mean, 0) - 1",
        "ratio": "exp(candidate_mean - stable_mean) - 1",
    }
    arms_variance = {
        "outcome": "stable_variance + candidate_variance",
        "mean": "(candidate_variance + pow(candidate_mean / nullIf(stable_mean, 0), 2) "
        "* stable_variance) / pow(nullIf(stable_mean, 0), 2)",
        "ratio": "exp(2 * (candidate_mean - stable_mean)) * (stable_variance + candidate_variance)",
    }
    pair_variance = {
        "outcome": "pair_variance",
        "mean": "pair_variance",
        "ratio": "exp(2 * pair_x) * pair_variance",
    }
    arms_t = "1 / (stable_effect / stable_n + candidate_effect / candidate_n)"
    return {
        "is_relative": "toBool(kind != 'outcome')",
        "units": "toUInt64(ifNull(if(is_paired, pair_n, candidate_n), 0))",
        "stable": level.format(side="stable", pair=f"{sums['stable']} / pair_n"),
        "candidate": level.format(side="candidate", pair=f"{sums['candidate']} / pair_n"),
        "delta": f"if(is_paired, {_by_kind(pair_change)}, {_by_kind(arms_change)})",
        "variance": f"if(is_paired, {_by_kind(pair_variance)}, {_by_kind(arms_variance)})",
        "t": f"if(is_paired, pair_n / pair_effect, {arms_t})",
    }


def _by_kind(values: Mapping[str, str]) -> str:
    return (
        f"multiIf(kind = 'outcome', {values['outcome']}, kind = 'mean', {values['mean']}, "
        f"{values['ratio']})"
    )


ESTIMATE: Final[Mapping[str, str]] = {
    "is_outcome": "kind = 'outcome'",
    **_arm_steps("stable"),
    **_arm_steps("candidate"),
    **_pair_steps(),
    **_estimate_steps(),
}
"""Name to expression over the parts of a row and over names before it. Among them: `units`,
`stable`, `candidate`, `delta`, its `variance`, and `t`, how many independent units it rests on."""


def language_differences() -> tuple[Difference, ...]:
    """Of every metric that a guardrail can limit and whose difference windows tell."""
    return (
        *(_rate(name, one) for name, one in RATES.items()),
        *(_agreement(name, one) for name, one in AGREEMENTS.items()),
        *(_excess(name, one) for name, one in EXCESSES.items()),
        *(_mean(name, one) for name, one in MEANS.items()),
        *(_ratio(name, one) for name, one in TIMES.items() if one.logarithms),
    )


def json_failure_differences() -> tuple[Difference, ...]:
    """Of each kind of failure, and of the JSON Schema."""
    kinds = (
        _shares(state.name.lower(), *(f"{{}}_{name}" for name in (one.known, count.name)))
        for one in SIDE
        if isinstance(one, Category)
        for state, count in one.failures
    )
    schema = RATES["json_schema_valid_rate"]
    failed = f"({{0}}_{schema.among} - {{0}}_{schema.success})"
    return (*kinds, _shares("schema", f"{{}}_{schema.among}", failed))


def tool_call_differences() -> tuple[Difference, ...]:
    """Other calls, broken ones and missing ones."""
    compared, same = "tool_calls_compared", "tool_calls_match"
    stable, candidate = (
        _outcome_arm(f"{of}_{compared}", f"({of}_{compared} - {of}_{same})")
        for of in ("control", "pair")
    )
    return (
        Difference("calls_differ", "lower", "outcome", stable, candidate),
        _rate("broken", RATES["tool_call_invalid_rate"]),
        _rate("missing", RATES["tool_call_missing_rate"]),
    )


def feedback_differences() -> tuple[Difference, ...]:
    """Of the share of positive ratings."""
    return (_rate("positive", FEEDBACK_POSITIVE),)


def field_difference() -> Difference:
    """Of how often one field of JSON answers differs: against stable, and stable against itself."""
    return Difference(
        "field", "lower", "outcome",
        _outcome_arm("control_json_compared", "control_changed"),
        _outcome_arm("pair_json_compared", "changed"),
    )  # fmt: skip


def cost_difference() -> Difference:
    """Of the mean cost."""
    return _mean("cost_usd", MEANS["cost_usd"])


def times() -> tuple[Distribution, ...]:
    """Measures whose quantiles windows tell."""
    return tuple(TIMES.values())


def columns_of(differences: Iterable[Difference], known: Iterable[str]) -> list[str]:
    """The columns among those known that the differences name, in order."""
    text = " ".join(one.row() for one in differences)
    for sign in "()[],+-*/":
        text = text.replace(sign, " ")
    words = set(text.split())
    return [name for name in known if name in words]


def _outcome_arm(n: str, k: str, turns: str = "", name: str = "") -> Arm:
    return Arm(n, k, k, **(_turns(turns, name) if turns else {}))


def _turns(section: str, name: str) -> dict[str, str]:
    return {
        "earlier": f"{section}_earlier",
        "turn_pairs": f"{section}_{name}_pairs",
        "turn_sums": f"{section}_{name}_sums",
        "turn_products": f"{section}_{name}_products",
    }


def _shares(label: str, among: str, count: str) -> Difference:
    """Of a count that pairs are not counted of; the templates take a side."""
    stable, candidate = (_outcome_arm(among.format(side), count.format(side)) for side in SIDES)
    return Difference(label, "lower", "outcome", stable, candidate)


def _rate(label: str, one: Outcome | Category) -> Difference:
    """Of the share with an outcome."""
    assert one.metric is not None
    is_paired = bool(one.paired_among)
    stable, candidate = (
        _outcome_arm(
            f"{side}_{one.among}", f"{side}_{one.success}",
            f"{side}_turns" if is_paired else "", one.joint,
        )
        for side in SIDES
    )  # fmt: skip
    pairs = _outcome_pairs(one) if is_paired else None
    return Difference(label, one.metric.better, "outcome", stable, candidate, pairs)


def _outcome_pairs(one: Outcome | Category) -> Pairs:
    stable, candidate, both = (
        f"pair_{of(one.joint)}" for of in (only_stable, only_candidate, both_sides)
    )
    sides = f"({stable} + {both})", f"({candidate} + {both})"
    return Pairs(f"pair_{one.paired_among}", *sides, *sides, both, **_turns("turns", one.joint))


def _agreement(label: str, one: Outcome) -> Difference:
    """Of how often pairs agree, against how often stable agrees with its own second run."""
    control = _outcome_arm(f"control_{one.among}", f"control_{one.name}")
    pair = _outcome_arm(f"pair_{one.among}", f"pair_{one.name}", "turns", one.name)
    return Difference(label, METRICS[label].better, "outcome", control, pair)


def _excess(label: str, one: Distribution) -> Difference:
    """Of mean disagreement between 0 and 1, whose squares are at most its sum."""
    count, apart = f"{{0}}_{one.name}_count", f"({{0}}_{one.name}_count - {{0}}_{one.name}_sum)"
    stable, candidate = (
        _outcome_arm(count.format(of), apart.format(of)) for of in ("control", "pair")
    )
    return Difference(label, METRICS[label].better, "outcome", stable, candidate)


def _mean(label: str, one: Distribution) -> Difference:
    """Of a mean, as a share of stable's."""
    name = one.name
    stable, candidate = (
        Arm(*(f"{side}_{name}_{part}" for part in ("count", "sum", "squares")),
            **_turns(f"{side}_turns", name))
        for side in SIDES
    )  # fmt: skip
    of = f"pair_{name}"
    pairs = Pairs(
        n=f"{of}_count",
        stable=f"{of}_stable_sum",
        candidate=f"{of}_candidate_sum",
        stable_squares=f"{of}_stable_squares",
        candidate_squares=f"{of}_candidate_squares",
        products=f"{of}_products",
        earlier="turns_earlier",
        turn_pairs=f"turns_{name}_pairs",
        turn_products=f"turns_{name}_candidate_products",
        turn_cross_products=f"turns_{name}_cross_products",
        turn_stable_products=f"turns_{name}_stable_products",
    )
    return Difference(label, METRICS[label].better, "mean", stable, candidate, pairs)


def _ratio(label: str, one: Distribution) -> Difference:
    """Of geometric means; turns count as independent, since no sums tell how alike they are."""
    parts = ("count", "ln_sum", "ln_squares")
    stable, candidate = (Arm(*(f"{side}_{one.name}_{part}" for part in parts)) for side in SIDES)
    n, total, squares = (f"pair_{one.ratio}_{part}" for part in parts)
    pairs = Pairs(n, candidate=total, candidate_squares=squares)
    return Difference(label, "lower", "ratio", stable, candidate, pairs)
