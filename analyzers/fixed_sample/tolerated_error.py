"""How the tolerated error goes over guardrails and slices that are there.

Weights are those that the policy's guardrails have in a live rollout. There each language keeps
what it got on arrival, in case more turn up; here all are known, so what is absent or too small to
test leaves its share to the others. Only numbers of cases decide that, never outcomes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.slices import ALL, MAX_ARRIVALS, slice_name
from understudy.schemas.rollouts import Action, SliceChoice

ENOUGH_IN_SLICE: Final = 300
"""Cases of a slice from which harm of a few points shows in it."""


class Cell(NamedTuple):
    """A check in a slice: its place among the checks, and the slice's name."""

    check: int
    slice: str


class Present(NamedTuple):
    """Languages and workflows of the sample, the most frequent first."""

    languages: Sequence[str]
    workflows: Sequence[str]
    rows: int
    """Rows of the sample: cases, or conversations."""

    @classmethod
    def of(cls, languages: Iterable[str], workflows: Iterable[str]) -> Present:
        """Of each case's language and workflow."""
        languages, workflows = list(languages), list(workflows)
        return cls(_most_frequent(languages), _most_frequent(workflows), len(languages))


def slice_shares(choice: SliceChoice, present: Present) -> dict[str, float]:
    """Return the share of a check that each slice has, 1 together, or nothing without slices.

    Half is for all cases together, the rest evenly for the families of slices, and in each evenly
    for its slices. A family of one slice is all cases again, so it gets nothing of its own.
    Languages and workflows with few cases show the grossest harm alone, so that their families
    leave the more of their part to all cases together, the fewer cases a slice has on average.
    """
    languages = [slice_name(language=one) for one in present.languages] * choice.each_language
    workflows = [slice_name(workflow=one) for one in present.workflows] * choice.each_workflow
    found = [one for one in (languages, workflows) if len(one) > (1 if choice.all else 0)]
    families = [(one, _worth(len(one), present.rows) if choice.all else 1.0) for one in found]
    if choice.named:
        named = [slice_name(one.language, one.workflow) for one in choice.named]
        families.append((named, 1.0))
    part = (0.5 if choice.all else 1.0) / max(1, len(families))
    shares = {ALL: 1.0 - sum(part * worth for _, worth in families)} if choice.all else {}
    for family, worth in families:
        for name in family:
            shares[name] = shares.get(name, 0.0) + part * worth / len(family)
    return shares


def _worth(n_slices: int, rows: int) -> float:
    """Return how much of its part a family of slices takes, at most all."""
    return min(1.0, rows / n_slices / ENOUGH_IN_SLICE)


def error_shares(
    checks: Sequence[Check], shares: Mapping[Cell, float], testable: Iterable[Cell]
) -> dict[Cell, float]:
    """Return the share of its action's error that each testable check in a slice has.

    `shares` are those of a check's slices. A check's own share does not depend on how many of its
    slices can be tested, only on whether any can.
    """
    cells = list(testable)
    within: dict[int, float] = {}
    for cell in cells:
        within[cell.check] = within.get(cell.check, 0.0) + shares[cell]
    of_action: dict[Action, float] = {}
    for number in within:
        check = checks[number]
        of_action[check.action] = of_action.get(check.action, 0.0) + check.weight
    return {
        cell: checks[cell.check].weight
        / of_action[checks[cell.check].action]
        * shares[cell]
        / within[cell.check]
        for cell in cells
    }


def _most_frequent(values: Iterable[str]) -> list[str]:
    counted = Counter(value for value in values if value)
    ordered = sorted(counted, key=lambda value: (-counted[value], value))
    return ordered[:MAX_ARRIVALS]
