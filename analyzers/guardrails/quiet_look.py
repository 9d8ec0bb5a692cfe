"""Whether a look can find anything: if not, its decision is the one before, and nobody need look.

Between two folds only open windows change, and most of what comes into them is good. What a window
has won is at most what its bad units would win if its good ones counted as nothing. So the evidence
after the first window that has changed is at most that before it, with the fresh wealth of all
windows since, times what their bad units would win. Where that reaches the threshold of no action,
no evidence did, and a look would only say again what it said.

A bound that holds says so for certain. Where there are many requests, even few bad ones in a
hundred are many, and the bound says nothing; then a look follows as ever.

    last = LastLook(state, evaluation)     # after each look
    last.may_differ(rollout, state)        # when messages have been applied
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from understudy.analyzers.guardrails.check_stacks import CheckStack, CheckStacks
from understudy.analyzers.guardrails.evaluate import Evaluation, is_complete, thresholds_of
from understudy.analyzers.guardrails.evidence_path import StackWindows
from understudy.analyzers.guardrails.look import ACTIONS
from understudy.analyzers.guardrails.state import RolloutState
from understudy.analyzers.sequential import StageTotals
from understudy.analyzers.sequential.bets import FloatArray, IntArray, log_sum_exp
from understudy.analyzers.sequential.restart import log_shares
from understudy.analyzers.sequential.verdict import SUSPECTED_HARM
from understudy.analyzers.sequential.weights import LOG_WORTH_NAMING
from understudy.schemas.rollouts import Action, Rollout

_ROUNDING: Final = 1e-6
"""Nats that a sum of rounded numbers may be off by, many times over."""
_MOST_ROWS: Final = 64
"""Rows of windows since the first that has changed beyond which nobody asks: where there are so
many requests the bound says nothing, and costs as much as a tenth of the look."""


class LastLook:
    """What the last look of a rollout found, and what has come since then."""

    def __init__(self, state: RolloutState, evaluation: Evaluation) -> None:
        """Right after the look."""
        self._evaluation = evaluation
        self._stage = state.status.stage
        self._totals = state.stage.totals
        self._measured_since_ms = dict(state.measured_since.start_ms)
        self._stacks = state.stacks
        self._reasons = [one for one in evaluation.missing if not one.startswith(SUSPECTED_HARM)]

    def may_differ(self, rollout: Rollout, state: RolloutState) -> bool:
        """Return whether a look might find another verdict, alert or breach than the last one."""
        return not (
            self._is_as_it_was(state)
            and self._is_held(rollout, state)
            and self._crosses_nothing(rollout, state)
        )

    def _is_as_it_was(self, state: RolloutState) -> bool:
        """Whether nothing was folded, and nothing turned up that reads windows anew."""
        others = (store for source, store in state.stores.items() if source != "events")
        return (
            state.stacks is self._stacks
            and state.status.stage == self._stage
            and not state.is_folded
            and state.measured_since.start_ms == self._measured_since_ms
            and not any(store.starts() for store in others)
        )

    def _is_held(self, rollout: Rollout, state: RolloutState) -> bool:
        """Whether the verdict stays, however little evidence there is."""
        then, status = self._evaluation, state.status
        thresholds = thresholds_of(rollout, rollout.stages[status.stage])
        totals = state.stage.totals
        if (
            then.signature(status.stage) != status.signature
            or totals.quality.breaches(thresholds) != then.statistical.breaches
            or list(state.stage.changed_models) != then.changed_models
        ):
            return False
        if status.rolled_back is not None:
            return then.verdict == "rollback"
        return then.verdict == "hold" and (
            status.paused is not None
            or is_complete(rollout, state)
            or bool(then.statistical.breaches)
            or totals.requests < thresholds.min_requests
            or totals.duration_s < thresholds.min_duration_s
            or (bool(self._reasons) and _progress(totals) == _progress(self._totals))
        )

    def _crosses_nothing(self, rollout: Rollout, state: RolloutState) -> bool:
        """Whether no action has, or can have, the evidence that it takes; or none but before."""
        if state.changed_from_ms is None:
            return True
        status = state.status
        latched = {
            "rollback": status.rolled_back is not None,
            "pause": status.paused is not None,
            "alert": False,
        }
        asked = [action for action in ACTIONS if not latched[action]]
        limit = -math.log(rollout.false_rollback) - _ROUNDING
        beyond = [one for one in asked if self._evaluation.log_evidence[one] >= limit]
        if beyond and (beyond != ["alert"] or len(self._evaluation.alerting_checks) != 1):
            return False
        reached = _reached(state, state.changed_from_ms)
        if reached is None:
            return False
        return all(
            self._alerts_as_before(state, reached, limit)
            if action in beyond
            else float(log_sum(state.stacks, action, reached.most)) < limit
            for action in asked
        )

    def _alerts_as_before(self, state: RolloutState, reached: _Reached, limit: float) -> bool:
        """Whether the one check that alerts does so still, and no other has come to matter.

        The evidence of all is at least what it was at the best prefix that is as it was. What of it
        the others cannot have is that of the check, and its weightiest slice has an even share.
        """
        stacks, (name,) = state.stacks, self._evaluation.alerting_checks
        names = [check.name for check in state.checks]
        own = stacks.in_order[names.index(name)]
        others = reached.most.copy()
        others[own] = -np.inf
        of_others = float(log_sum(stacks, "alert", others))
        of_all = float(log_sum(stacks, "alert", reached.as_before).max())
        if of_others >= limit or of_all < limit + 2.0 * _ROUNDING:
            return False
        of_check = of_all + math.log1p(-math.exp(of_others - of_all))
        at_the_top = of_check - math.log(own.stop - own.start)
        return of_others < at_the_top - LOG_WORTH_NAMING - _ROUNDING


class _Reached(NamedTuple):
    """What the evidence of all cells may be, in the order of checks."""

    most: FloatArray
    """(n_cells,) at any prefix."""
    as_before: FloatArray
    """(m, n_cells) at the prefixes that are as they were at the last look."""


def log_sum(stacks: CheckStacks, action: Action, log_evidence: FloatArray) -> FloatArray:
    """Return the log of the weighted sum of an action's evidence, (…) of (…, n_cells) logs."""
    cells, log_weights = stacks.weighted_cells(action)
    return log_sum_exp(log_evidence[..., cells] + log_weights)


def _progress(totals: StageTotals) -> tuple[int, float]:
    return totals.requests, totals.duration_s


def _reached(state: RolloutState, changed_from_ms: int) -> _Reached | None:
    """Return what the evidence may be; None where there is no bound."""
    stacks, store, known = state.stacks, state.stores["events"], state.paths.get("events")
    starts = np.array(store.starts(), dtype=np.int64)
    starts = starts[starts >= changed_from_ms]
    n_rows = sum(store.n_rows(start_ms) for start_ms in starts.tolist())
    if known is None or n_rows > _MOST_ROWS:
        return None
    first = int(np.searchsorted(known.starts_ms, changed_from_ms))
    state.sums["events"].update(store)
    batches = state.sums["events"].batches[-starts.size :]
    won = [
        _most_won(state, stack, windows, starts, batches, first)
        for stack, windows in zip(stacks.of_source["events"], known.windows, strict=True)
    ]
    if any(one is None for one in won):
        return None
    fresh = log_shares(known.n_windows[first]) + math.log(starts.size)
    after = _after(known.path[first], fresh, [one for one in won if one is not None])
    as_before = np.full((first + 1, stacks.n_cells), -np.inf)
    for source, path in state.paths.items():
        # Other sources have no open window, so their evidence is that of folds.
        as_before[:, stacks.places_in_order[source]] = path.held[: first + 1]
    most = as_before.max(axis=0)
    places = stacks.places_in_order["events"]
    most[places] = np.maximum(most[places], after)
    return _Reached(most, as_before)


def _most_won(
    state: RolloutState,
    stack: CheckStack,
    known: StackWindows,
    starts: IntArray,
    batches: FloatArray,
    first: int,
) -> FloatArray | None:
    """Return the most that windows have won together, (n_cells, n_bets); None without a bound."""
    waiting = known.waiting[first]
    if not stack.test.has_worst:
        statistics = stack.statistics(batches)
        return stack.test.most_won_of_means(statistics, waiting, known.scales[first])
    together = stack.statistics(batches.sum(axis=0)[None])[0] + waiting
    gauges = batches[..., state.layouts["events"].gauges_in_batch]
    if gauges.any():
        at_worst = stack.unresolved(gauges, starts, state.tail_thresholds)
        if (at_worst < 0.0).any():
            return None  # counts that cannot be: more bad ones than wait
        together += at_worst.sum(axis=0)
    return stack.test.most_won(together)


def _after(wealth: FloatArray, fresh: FloatArray, won: list[FloatArray]) -> FloatArray:
    """Return the most log evidence, (n,), of wealth (n, most bets), fresh wealth (n,) and wins."""
    found, end = [], 0
    for of_stack in won:
        start, end = end, end + len(of_stack)
        n_bets = of_stack.shape[-1]
        reached = np.logaddexp(wealth[start:end, :n_bets], fresh[start:end, None]) + of_stack
        found.append(log_sum_exp(reached) - math.log(n_bets))
    return np.concatenate(found)
