"""Design effect: how many requests of a check count like one independent request.

Turns of one conversation share their fate, so evidence that takes requests for independent grows
too fast. What each window wins is divided by a factor that was known before the window, and is
never divided again: only so does what was won stay valid at every look.

Where requests name their conversation and turn, the factor follows from the correlation of turns
and from how many there are (`sequential.conversations`). Other requests are judged by how much
blocks of time differ (`sequential.blocks`), all requests together, since small slices cannot learn
it. Sums of conversations are kept apart for pairs and for each arm: a candidate's arm may be alike
in other ways than stable's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from understudy.analyzers.guardrails.column_readers import BinaryColumns, LimitColumns
from understudy.analyzers.guardrails.sequential_tests import (
    AnyTest,
    BinaryTest,
    GradedTest,
    LimitTest,
    MeanTerms,
    MeanTest,
    NoiseTest,
)
from understudy.analyzers.guardrails.slices import ALL, MIRRORED, whole_of
from understudy.analyzers.sequential import blocks, conversations
from understudy.analyzers.sequential.bets import BoolArray, FloatArray, IntArray

PAIRED, CANDIDATE, STABLE = range(3)
"""What sums of conversations are of: pairs, the candidate's arm, stable's arm."""
PARTIES: Final = 3
LEAST_UNITS: Final = 10.0
"""Units that are compared at least: of fewer nothing can be said of how much they vary."""
TURN_FIELDS: Final = ("requests", "first", "earlier", "pairs", "sums", "products")
"""Of turns, as `conversations.FIELDS` begins."""
_REQUESTS: Final = conversations.FIELDS.index("requests")
_EARLIER: Final = conversations.FIELDS.index("earlier")


class TurnSums(NamedTuple):
    """What windows say about conversations, by slice of a check, or of several checks."""

    turns: FloatArray
    """(…, n_slices, 3, 6) by party, see `TURN_FIELDS`."""
    requests: FloatArray
    """(…, n_slices, 3) by party, whether or not they name a conversation."""

    def of_one(self) -> TurnSums:
        """Return the sums of one window as those of T = 1 windows."""
        return TurnSums(self.turns[None], self.requests[None])

    def with_none_after(self) -> TurnSums:
        """Return the sums of T windows with a window of nothing after them."""
        turns = np.concatenate([self.turns, np.zeros((1, *self.turns.shape[1:]))])
        return TurnSums(
            turns, np.concatenate([self.requests, np.zeros((1, *self.requests.shape[1:]))])
        )


class DesignEffect(msgspec.Struct, array_like=True):
    """What is known of a check by its folded windows."""

    slices: list[str]
    named: FloatArray
    """(n_slices, 3, 9) by party, see `conversations.FIELDS`."""
    requests: FloatArray
    """(n_slices, 3) by party."""
    pending: FloatArray
    """(k,) statistics of all requests together that are too few yet to be compared."""
    stable_blocks: FloatArray
    """State of `blocks` for stable's own outcomes, all requests together."""
    harm_blocks: FloatArray
    """The same for the harm."""
    stable_bad: float = 0.0
    """Bad outcomes of stable."""

    @classmethod
    def begin(cls, test: AnyTest, slices: Sequence[str]) -> DesignEffect:
        """Return what is known before anything was seen."""
        return cls(
            slices=list(slices),
            named=np.zeros((len(slices), PARTIES, len(conversations.FIELDS))),
            requests=np.zeros((len(slices), PARTIES)),
            pending=np.zeros(len(test.fields)),
            stable_blocks=blocks.begin(),
            harm_blocks=blocks.begin(),
        )

    def covering(self, slices: Sequence[str]) -> DesignEffect:
        """Return the state with these slices in this order; those that are new begin."""
        if self.slices == list(slices):
            return self
        named = np.zeros((len(slices), *self.named.shape[1:]))
        requests = np.zeros((len(slices), PARTIES))
        for place, name in enumerate(slices):
            if name in self.slices:
                named[place] = self.named[self.slices.index(name)]
                requests[place] = self.requests[self.slices.index(name)]
        return replace(self, slices=list(slices), named=named, requests=requests)


class Assumption(NamedTuple):
    """What the policy says about conversations."""

    is_independent: bool
    turns_per_conversation: float | None


class EffectCells(NamedTuple):
    """Checks of one kind of test in all their slices, laid out as cells."""

    is_rate: bool
    """Whether outcomes are a yes or no."""
    is_one_sided: BoolArray
    """(n_cells,) whether the candidate's own outcomes are judged, not their difference."""
    together: IntArray
    """(m,) cells of all requests together, and of all mirrored ones."""
    of_cell: IntArray
    """(n_cells,) place in `together` of what each is a part of; -1 where it is such a whole itself,
    or where the check covers none."""

    @classmethod
    def of(cls, checks: Sequence[tuple[AnyTest, Sequence[str]]]) -> EffectCells:
        """Of tests of one kind and their slices."""
        one_sided, together, of_cell = [], list[int](), list[int]()
        for test, slices in checks:
            first = len(of_cell)
            wholes = {name: len(together) + number for number, name in enumerate(
                name for name in (ALL, MIRRORED) if name in slices)}  # fmt: skip
            together += [first + slices.index(name) for name in wholes]
            of_cell += [-1 if name in wholes else wholes.get(whole_of(name), -1) for name in slices]
            one_sided += [_is_one_sided(test)] * len(slices)
        is_rate = not any(isinstance(test, MeanTest) for test, _ in checks)
        return cls(
            is_rate,
            np.array(one_sided, dtype=np.bool_),
            np.array(together, dtype=np.int64),
            np.array(of_cell, dtype=np.int64),
        )


def known_sums(test: AnyTest | MeanTerms, statistics: FloatArray, turns: FloatArray) -> FloatArray:
    """Return sums of `conversations`, (…, 3, 9), from statistics (…, k) and turns (…, 3, 6).

    Of means, `MeanTerms` are those of each place.
    """
    return np.concatenate([turns, _moments(test, statistics)], axis=-1)


class LookSums(NamedTuple):
    """What is known at T looks by cell; arrays that are the same at all may lack that axis."""

    correlation: FloatArray
    """(T, n_cells, 3) of the outcomes of two turns, by windows before each, see `correlations`."""
    named: FloatArray
    """(T, n_cells, 3) requests that name their conversation, its own window included."""
    earlier: FloatArray
    """(T, n_cells, 3) turns of theirs that came before them, its own window included."""
    requests: FloatArray
    """(T, n_cells, 3) whether or not they name a conversation, its own window included."""
    own_requests: FloatArray
    """(T, n_cells, 3) those of its own window alone; zeros where it is a look at no window."""
    unnamed: FloatArray
    """(T, n_cells) factor of requests that name none, by windows before each; or (T, 1)."""


def design_effect_of(
    cells: EffectCells, known_then: LookSums, assumption: Assumption
) -> FloatArray:
    """Return the design effect at T looks, (T, n_cells)."""
    requests = known_then.requests
    if assumption.is_independent:
        return np.ones(requests.shape[:-1])
    if not requests[..., CANDIDATE:].any():  # all of them are pairs, as in most modes
        return _of_party(known_then, PAIRED)
    parties = _of_party(known_then, slice(None))
    paired, candidate, stable = (parties[..., party] for party in range(PARTIES))
    of_both = conversations.of_arms(
        candidate, stable, requests[..., CANDIDATE], requests[..., STABLE]
    )
    arms = np.where(cells.is_one_sided, candidate, of_both)
    result: FloatArray = np.where(_are_pairs(known_then), paired, arms)
    return result


def _are_pairs(known_then: LookSums) -> BoolArray:
    """Return whether a window's requests are pairs, (T, n_cells); without any, those so far."""
    own = known_then.own_requests
    requests = np.where(own.any(axis=-1, keepdims=True), own, known_then.requests)
    return np.asarray(requests[..., PAIRED] >= requests[..., CANDIDATE] + requests[..., STABLE])


def named_and_earlier(turns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how many requests name their conversation, and their earlier turns, (…) of (…, 3+)."""
    return turns[..., _REQUESTS], turns[..., _EARLIER]


def correlations(cells: EffectCells, named: FloatArray) -> FloatArray:
    """Return the correlation of two turns' outcomes by party, of sums (…, n_cells, 3, 9).

    Of a slice it is believed, before it was seen, what all requests together have shown. Without
    any turn it is 1.
    """
    prior = np.ones(named.shape[:-1])
    if not named[..., : len(TURN_FIELDS)].any():
        return prior
    if cells.together.size:
        shown = conversations.correlation(named[..., cells.together, :, :], yes_or_no=cells.is_rate)
        has_prior = (cells.of_cell >= 0)[:, None]
        prior = np.where(has_prior, shown[..., cells.of_cell, :], prior)
    return conversations.correlation(named, prior, yes_or_no=cells.is_rate)


def unnamed_factors(
    stable_blocks: FloatArray,
    harm_blocks: FloatArray,
    stable_bad: FloatArray,
    assumption: Assumption,
) -> FloatArray:
    """Return the factor of requests that name no conversation, (…), of states of `blocks`."""
    declared = assumption.turns_per_conversation
    harm, stable = blocks.factor(harm_blocks, declared), blocks.factor(stable_blocks, declared)
    is_compared = stable_blocks[..., blocks.FIELDS.index("compared")].any(axis=-1)
    result: FloatArray = np.where(is_compared, blocks.combined(stable, harm, stable_bad), harm)
    return result


def together_of(slices: Sequence[str], statistics: FloatArray) -> FloatArray:
    """Return the statistics (..., k) of all requests; where they are no slice, of all slices."""
    wholes = [place for place, name in enumerate(slices) if name in (ALL, MIRRORED)]
    if len(wholes) == 1:
        return statistics[..., wholes[0], :]
    if wholes:
        of_both: FloatArray = statistics[..., wholes, :].sum(axis=-2)
        return of_both
    together: FloatArray = statistics.sum(axis=-2)
    return together


def _of_party(known_then: LookSums, party: int | slice) -> FloatArray:
    """Return the design effect of pairs or an arm, (T, n_cells), or of all, (T, n_cells, 3)."""
    requests = known_then.requests[..., party]
    unnamed = known_then.unnamed if isinstance(party, int) else known_then.unnamed[..., None]
    factor = np.broadcast_to(unnamed, requests.shape)
    if not known_then.named.any():
        return factor
    named_requests = known_then.named[..., party]
    named = conversations.of_correlation(
        known_then.correlation[..., party], named_requests, known_then.earlier[..., party]
    )
    share = named_requests / np.maximum(requests, 1.0)
    return conversations.mixed(share, named, factor)


def _is_one_sided(test: AnyTest) -> bool:
    """Whether the candidate's own outcomes are judged, not their difference from stable's."""
    return isinstance(test, LimitTest) or (isinstance(test, MeanTest) and test.factor == 0.0)


def _moments(test: AnyTest | MeanTerms, statistics: FloatArray) -> FloatArray:
    """Return units, total and squares of the outcomes judged, (…, 3, 3) by party."""
    if isinstance(test, MeanTest | MeanTerms):
        terms = test.terms if isinstance(test, MeanTest) else test
        of_parties = [np.stack(one, axis=-1) for one in terms.moments(statistics)]
        return np.stack(of_parties, axis=-2)
    none = np.zeros(statistics.shape[:-1])
    if isinstance(test, GradedTest | NoiseTest):
        nobody = np.stack([none, none, none], axis=-1)
        return np.stack([np.stack(test.moments(statistics), axis=-1), nobody, nobody], axis=-2)
    parts = tuple(statistics[..., place] for place in range(statistics.shape[-1]))
    if isinstance(test, BinaryTest):
        b = BinaryColumns(*parts)
        paired = (
            b.pairs,
            b.candidate_only_rollback - b.stable_only_rollback,
            b.candidate_only_rollback + b.stable_only_rollback,
        )
        candidate = b.candidate_units, b.candidate_bad_rollback, b.candidate_bad_rollback
        stable = b.stable_units, b.stable_bad_rollback, b.stable_bad_rollback
    else:
        one = LimitColumns(*parts)
        paired = candidate = one.units, one.bad_rollback, one.bad_rollback
        stable = none, none, none
    return np.stack([np.stack(one, axis=-1) for one in (paired, candidate, stable)], axis=-2)
