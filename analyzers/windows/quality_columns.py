"""From evaluations to the numbers that a window adds up: what an evaluator says of n pairs.

The difference of the two answers is counted in tenths of the scale. Preferences fall on whole
tenths; scores are rounded up or down by a hash of the pair, so that their mean stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.windows.columns import WindowColumns
from understudy.analyzers.windows.histogram import tenths
from understudy.analyzers.windows.moments import to_ticks
from understudy.schemas.evaluations import (
    MOST_ORDERS,
    Evaluation,
    evaluation_identity,
    fingerprint,
    preference_value,
    score_shares,
)
from understudy.schemas.measures import EARLIER_TICK, SHARE_TICK

_ALL_HASHES: Final = 2.0**64
_ROUNDING: Final = "rounding"
"""What the hash is for: one that chose the pair would lie below the share that is sampled."""


def quality_columns(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    """Add what one or more evaluators say of stable and candidate in n pairs."""
    into.count("quality_pairs", np.ones(len(evaluations), dtype=np.int64))
    _add_differences("quality", evaluations, into)
    _add_levels(evaluations, into)
    _add_orders(evaluations, into)
    _add_turns(evaluations, into)


def noise_columns(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    """Add what evaluators say of stable and its second run in n pairs."""
    _add_differences("noise", evaluations, into)


def _add_differences(section: str, evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    preferences = 2.0 * np.array([preference_value(one) for one in evaluations]) - 1.0
    shares = np.array([score_shares(one) for one in evaluations]).reshape(-1, 2)
    chance = np.array([_chance(one) for one in evaluations])
    for name, differences in (("preference", preferences), ("score", shares[:, 1] - shares[:, 0])):
        rows = np.flatnonzero(~np.isnan(differences))
        buckets = tenths(differences[rows], chance[rows])
        into.buckets[f"{section}_{name}_histogram"] = rows, buckets


def _chance(evaluation: Evaluation) -> float:
    """A number in [0, 1) that a pair, an evaluator and nothing else determine."""
    return fingerprint(evaluation_identity(evaluation), _ROUNDING) / _ALL_HASHES


def _add_levels(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    shares = np.nan_to_num(np.array([score_shares(one) for one in evaluations]).reshape(-1, 2))
    for side, values in zip(("stable", "candidate"), shares.T, strict=True):
        into.total(f"quality_score_{side}_sum", to_ticks(values, SHARE_TICK))


def _add_orders(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    """Count by place in which an answer was shown; without an order there is none."""
    shown = [[one for one in every.preferences if one.first] for every in evaluations]
    first = [sum(one.preferred == one.first for one in some) for some in shown]
    ties = [sum(one.preferred == "tie" for one in some) for some in shown]
    orders = [len(some) for some in shown]
    second = np.array(orders) - np.array(first) - np.array(ties)
    both = [every.preferences for every in evaluations]
    alike = [len(one) == MOST_ORDERS and one[0].preferred == one[1].preferred for one in both]
    into.count("quality_orders", np.array(orders, dtype=np.int64))
    into.count("quality_first_preferred", np.array(first, dtype=np.int64))
    into.count("quality_second_preferred", second.astype(np.int64))
    into.count("quality_both_orders", np.array([len(one) == MOST_ORDERS for one in both]))
    into.count("quality_both_orders_alike", np.array(alike))


def _add_turns(evaluations: Sequence[Evaluation], into: WindowColumns) -> None:
    """How many turns of its conversation went before a pair and were judged, as far as is known."""
    turns = [one.turn if one.conversation_id and one.turn else 0 for one in evaluations]
    shares = np.array([one.sampling_share or 1.0 for one in evaluations])
    named = np.array(turns, dtype=np.int64)
    into.count("quality_turns", named > 0)
    into.count("quality_first_turns", named == 1)
    earlier = np.maximum(named - 1, 0) * shares
    into.total("quality_earlier_turns", to_ticks(earlier, EARLIER_TICK))
