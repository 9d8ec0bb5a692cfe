"""Which requests are evaluated: a share by hash, and a floor for each language and workflow. Pure.

A request's place between 0 and 1 is the hash of its rollout and pair, so every worker and every
restart chooses the same ones by share, and all evaluators of a policy look at the same sample as
far as their shares allow. What is chosen for a floor is told in the log of evaluations, so that a
restart or another worker goes on counting instead of beginning again. The turns of a conversation
depend on each other; each has a place of its own, so that a sample holds few turns of many
conversations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from understudy.schemas.evaluation_sampling import EvaluationSampling

_HOUR_MS: Final = 3_600_000
MAX_SLICES: Final = 10_000
"""Hours of languages and workflows that are counted of one rollout; more are hostile names, without
floor."""
_MOST_RECENT: Final = 10_000
"""Requests in each of two sets that are known as counted: a copy that a producer sends again
follows within seconds."""

SliceName = tuple[str, str]
"""Language as the gateway writes it, and workflow."""


class Chosen(NamedTuple):
    """That an evaluator is to judge a request."""

    sampling: EvaluationSampling
    probability: float
    """With which requests like it are chosen."""
    is_floor: bool
    """Chosen only because its language and workflow are rare."""
    slice_name: SliceName
    """In which it counts towards a floor."""


@dataclass(slots=True)
class _Hour:
    """Requests of a slice in an hour of event time."""

    requests: int = 0
    """Of the partitions that this worker reads."""
    chosen: dict[str, set[float]] = field(default_factory=dict)
    """Places of the requests that were chosen, by whichever worker, until a floor is reached; by
    evaluator."""


@dataclass(slots=True)
class RolloutSampler:
    """Chooses the requests of one rollout.

    To choose changes nothing. Who has checked a request, its time above all, counts it.
    """

    samplings: tuple[EvaluationSampling, ...]
    partition_share: float = 1.0
    """Share of the partitions that this worker reads: it sees about as much of the requests."""
    _hours: dict[tuple[SliceName, int], _Hour] = field(default_factory=dict)
    """By slice and hour since 1970."""
    _newest: int = 0
    """Hour; slices of two hours before it are forgotten."""
    _recent: set[float] = field(default_factory=set)
    """Places of the requests that were counted last."""
    _earlier: set[float] = field(default_factory=set)
    """Those counted before them: one set is dropped at a time."""

    def may_choose(self, place: float) -> bool:
        """Whether any request at this place is chosen; where there are floors, all may be."""
        return any(one.floor_per_hour or place < one.share for one in self.samplings)

    def choose(self, place: float, slice_name: SliceName, time_ms: int) -> tuple[Chosen, ...]:
        """Return who is to judge a request."""
        number = time_ms // _HOUR_MS
        hour = self._hours.get((slice_name, number))
        if hour is None and len(self._hours) < MAX_SLICES:
            hour = _Hour()  # kept once a request is counted
        before = self._hours.get((slice_name, number - 1))
        # As many as the hour before had are expected; in its first hour a slice is taken as it
        # comes.
        expected = 0 if hour is None else hour.requests + 1
        if before is not None:
            expected = max(expected, before.requests)
        everywhere = expected / self.partition_share
        found = [
            _choose(sampling, place, hour, everywhere, slice_name) for sampling in self.samplings
        ]
        return tuple([one for one in found if one is not None])

    def count_request(self, place: float, slice_name: SliceName, time_ms: int) -> None:
        """Count a request; one that was counted a moment ago is a copy."""
        if place in self._recent or place in self._earlier:
            return
        if len(self._recent) >= _MOST_RECENT:
            self._earlier, self._recent = self._recent, set()
        self._recent.add(place)
        hour = self._hour(slice_name, time_ms)
        if hour is not None:
            hour.requests += 1

    def count_chosen(
        self, chosen: tuple[Chosen, ...], place: float, slice_name: SliceName, time_ms: int
    ) -> None:
        """Count a request that is going to be judged."""
        for one in chosen:
            self._add_chosen(one.sampling.evaluator, place, slice_name, time_ms)

    def note_chosen(
        self, evaluator: str, place: float, slice_name: SliceName, time_ms: int
    ) -> None:
        """Note that a request has been chosen elsewhere or by an earlier process.

        What is told of hours long before the newest fills no memory; what is chosen here counts
        always, since a worker that catches up reads such hours.
        """
        if time_ms // _HOUR_MS >= self._newest - 1:
            self._add_chosen(evaluator, place, slice_name, time_ms)

    def _add_chosen(
        self, evaluator: str, place: float, slice_name: SliceName, time_ms: int
    ) -> None:
        floor = max(
            (one.floor_per_hour for one in self.samplings if one.evaluator == evaluator), default=0
        )
        hour = self._hour(slice_name, time_ms) if floor else None
        if hour is None:
            return
        places = hour.chosen.setdefault(evaluator, set())
        if len(places) < floor:
            places.add(place)

    def _hour(self, slice_name: SliceName, time_ms: int) -> _Hour | None:
        number = time_ms // _HOUR_MS
        if number > self._newest:
            self._newest = number
            for key in [key for key in self._hours if key[1] < number - 1]:
                del self._hours[key]
        hour = self._hours.get((slice_name, number))
        if hour is None and len(self._hours) < MAX_SLICES:
            hour = self._hours[slice_name, number] = _Hour()
        return hour


def _choose(
    sampling: EvaluationSampling,
    place: float,
    hour: _Hour | None,
    expected: float,
    slice_name: SliceName,
) -> Chosen | None:
    """Choose for one evaluator; `expected` is how many requests the slice has in the hour.

    What has been chosen stays so, else a request that is read again would take another's place.
    """
    share, floor = sampling.share, sampling.floor_per_hour
    chosen = hour.chosen.get(sampling.evaluator, ()) if hour is not None else ()
    is_known = place in chosen
    wanted = 0.0
    if floor and hour is not None and (is_known or len(chosen) < floor):
        wanted = min(1.0, floor / max(1.0, expected))
    probability = max(share, wanted)
    if place < probability or is_known:
        return Chosen(sampling, probability, place >= share, slice_name)
    return None
