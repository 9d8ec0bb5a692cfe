"""Design effect of traffic that does not name its conversations, from blocks of several lengths.

Turns of a conversation come seconds to minutes apart, so sums over longer stretches of time vary
more than those of independent requests would. For each of several lengths, successive blocks are
compared with each other: the factor by which they differ more than their requests alone explain is
an estimate, and the largest one holds. Neighbours are compared, so a slow drift of the base rate
and a lasting regression are no variation.

Each length starts from a guess that is worth one comparison. Whether requests are related over
fifteen minutes cannot be known before some quarters of an hour have passed: that is the price of
naming nothing. What is learnt here divides later windows only.

An array (..., lengths, fields) holds the state; windows are taken in the order of their time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from understudy.analyzers.sequential.bets import FloatArray, columns

LENGTHS_MS: Final[FloatArray] = np.array([10_000.0, 60_000.0, 300_000.0, 900_000.0])
"""From seconds to a quarter of an hour: twenty turns 45 s apart take as long."""
FIRST_GUESSES: Final[FloatArray] = np.array([20.0, 10.0, 5.0, 3.5])
"""Factors before anything was seen. Short lengths are learnt in minutes, so caution is cheap there;
at the longest it costs most. Simulated at 10 requests/s, margin one point: 5 turns 45 s apart are
falsely rolled back in 0.6 % and promoted in 2.7 %; 1 → 3 % on single turns is found after 15 500
requests. With 3 at the longest 1.2 %, 3.3 % and 14 300; with 4 0.4 %, 2.1 % and 16 600."""
FEW_BAD: Final = 100.0
"""Bad outcomes of stable below which they cannot show whether failures come in conversations."""

FIELDS: Final = (
    "block", "units", "total", "spread", "spread_units", "last_units", "last_total",
    "compared", "seen", "expected",
)  # fmt: skip
"""Number of the present block and its sums so far; units and total of the block before it; how many
blocks were compared, how much they differed, and how much independent units would."""
_BLOCK, _UNITS, _TOTAL, _SPREAD, _SPREAD_UNITS, _LAST_UNITS, _LAST_TOTAL = range(7)
_COMPARED, _SEEN, _EXPECTED = range(7, 10)


def begin(shape: tuple[int, ...] = ()) -> FloatArray:
    """Return the state before any window, (*shape, lengths, fields)."""
    state = np.zeros((*shape, LENGTHS_MS.size, len(FIELDS)))
    state[..., _BLOCK] = -1.0
    return state


def after(state: FloatArray, window_start_ms: int, sums: FloatArray) -> FloatArray:
    """Return the state after a window that is not older than the one before it.

    `sums` (..., 3) are a window's units, their total, and the variance of one unit, which may be
    nan where it is too small to tell.
    """
    block = np.floor(window_start_ms / LENGTHS_MS)
    state = np.where((state[..., _BLOCK] < block)[..., None], _closed(state, block), state)
    state[..., _UNITS : _SPREAD_UNITS + 1] += _added(np.asarray(sums)[..., None, :])
    return state


def path(
    state: FloatArray, starts_ms: npt.NDArray[np.int64], sums: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the state before each of T windows, as far as `factor` reads it, and after them all.

    `starts_ms` (T,) do not fall, and `sums` are (T, ..., 3). The former is (T, ..., lengths,
    fields), zero in all other fields. Bits are those of `after`, window by window.
    """
    before = np.zeros((len(starts_ms), *state.shape))
    final = state.copy()
    added = _added(sums)
    for length, length_ms in enumerate(LENGTHS_MS):
        before[..., length, _COMPARED:], final[..., length, :] = _path_of_length(
            state[..., length, :], np.floor(starts_ms / length_ms), added
        )
    return before, final


def _path_of_length(
    state: FloatArray, blocks: FloatArray, added: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return (T, ..., 3) of what was compared before each window, and the (..., fields) at last.

    `blocks` (T,) are numbers of blocks, `added` (T, ..., 4) what windows add to theirs.
    """
    if not len(blocks):
        return np.zeros((0, *state.shape[:-1], 3)), state
    present = float(np.max(state[..., _BLOCK], initial=-1.0))
    if np.any(state[..., _BLOCK] != present):
        raise ValueError("these states have not taken the same windows")
    run = np.cumsum(np.diff(blocks, prepend=present) > 0.0)
    sums = np.zeros((int(run[-1]) + 1, *state.shape[:-1], 4))
    sums[0] = state[..., _UNITS : _SPREAD_UNITS + 1]
    np.add.at(sums, run, added)
    compared = np.zeros((len(sums), *state.shape[:-1], 3))
    compared[0] = state[..., _COMPARED:]
    last = np.concatenate([state[None, ..., _LAST_UNITS : _LAST_TOTAL + 1], sums[:-1, ..., :2]])
    last = _last_with_units(last)
    compared[1:] = _comparison(sums[:-1], last[:-1])
    compared = np.cumsum(compared, axis=0)
    final = np.concatenate([np.zeros_like(state[..., :1]), sums[-1], last[-1], compared[-1]], -1)
    final[..., _BLOCK] = max(present, float(blocks[-1]))
    return compared[np.concatenate([[0], run[:-1]])], final


def _last_with_units(sums: FloatArray) -> FloatArray:
    """Return at each place of the first axis the (..., 2) units and total of the last with any."""
    places = np.arange(len(sums)).reshape(-1, *[1] * (sums.ndim - 2))
    found = np.maximum.accumulate(np.where(sums[..., 0] > 0.0, places, 0), axis=0)
    return np.take_along_axis(sums, found[..., None], axis=0)


def _added(sums: FloatArray) -> FloatArray:
    """Return units, total, spread and units that have a spread, (..., 4), of windows' sums."""
    units, total, variance = columns(np.asarray(sums))
    tells = (units > 1.0) & np.isfinite(variance)
    return np.stack(
        [
            units,
            np.where(units > 0.0, total, 0.0),
            np.where(tells, units * variance, 0.0),
            np.where(tells, units, 0.0),
        ],
        axis=-1,
    )


def _closed(state: FloatArray, block: FloatArray) -> FloatArray:
    """Compare the present block, now complete, with the one before it, and begin another."""
    state = state.copy()
    sums, last = state[..., _UNITS : _SPREAD_UNITS + 1], state[..., _LAST_UNITS : _LAST_TOTAL + 1]
    state[..., _COMPARED:] += _comparison(sums, last)
    last[:] = np.where(sums[..., :1] > 0.0, sums[..., :2], last)
    sums[:] = 0.0
    state[..., _BLOCK] = block
    return state


def _comparison(sums: FloatArray, last: FloatArray) -> FloatArray:
    """Return how many blocks were compared, how they differed, and how one expects them to.

    (..., 4) sums of a block and (..., 2) units and total of the one before it, to (..., 3).
    """
    units, total, spread, spread_units = columns(sums)
    last_units, last_total = last[..., 0], last[..., 1]
    comparable = (units > 0.0) & (last_units > 0.0)
    n, m = np.maximum(units, 1e-9), np.maximum(last_units, 1e-9)
    differed = (total / n - last_total / m) ** 2 / (1.0 / n + 1.0 / m)
    # A block too small to have a variance differs as one expects of it: nothing is learnt.
    variance = np.where(spread_units > 0.0, spread / np.maximum(spread_units, 1.0), differed)
    parts = comparable.astype(np.float64), differed, variance
    return np.stack([np.where(comparable, part, 0.0) for part in parts], axis=-1)


def factor(state: FloatArray, turns_per_conversation: float | None = None) -> FloatArray:
    """Return what divides the evidence of later windows, (*shape), at least 1.

    `turns_per_conversation`, where a policy declares it, is the first guess at every length and is
    learnt downwards only. Blocks that never varied count as if they varied as expected: a service
    without a single failure must not be doubted for ever.

    Source: the Pearson estimate of quasi-likelihood (McCullagh and Nelder, 1989, chapter 4) on
    successive differences (von Neumann, 1941), shrunk towards the first guess.
    """
    declared = turns_per_conversation
    guesses = FIRST_GUESSES if declared is None else np.full(LENGTHS_MS.size, declared)
    compared, seen, expected = state[..., _COMPARED], state[..., _SEEN], state[..., _EXPECTED]
    ratio = np.where(expected > 0.0, seen / np.where(expected > 0.0, expected, 1.0), 1.0)
    largest = np.max((guesses + compared * ratio) / (1.0 + compared), axis=-1)
    if declared is not None:
        largest = np.minimum(largest, declared)
    result: FloatArray = np.maximum(1.0, largest)
    return result


def combined(stable: FloatArray, harm: FloatArray, stable_bad: FloatArray) -> FloatArray:
    """Return the factor that stable's own outcomes and those of the harm allow together, (...).

    A fault of the candidate that comes in bursts makes the harm vary, not stable; an incident on
    both sides makes stable vary, not their difference. Conversations that share their fate make
    both vary, so the smaller factor holds. Below `FEW_BAD` bad outcomes of stable it cannot tell:
    there the larger one does. Where the two cannot be told apart, pass the same factor twice.
    """
    result: FloatArray = np.where(
        stable_bad < FEW_BAD, np.maximum(stable, harm), np.minimum(stable, harm)
    )
    return result
