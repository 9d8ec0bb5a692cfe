"""Pairs of a file that a report shows: those whose candidate did worst, redacted and cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.dashboard.pair_filter import Chosen
from understudy.streams.pairing.capture_choices import CaptureChoices
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.ranked_pairs import RankedPair, RankedPairs

MOST_KEPT: Final = 400
"""Of a file, while it is read: 16 MB, were all texts as long as they may be."""
_MOST_OF_A_KIND: Final = 50
"""Of a mode, language, workflow and kind: as many as a report shows."""
_PURPOSE: Final = "report"


def capturing(policy: PairingPolicy) -> PairingPolicy:
    """Return a policy by which the worst pairs of any rollout are captured."""
    choices = policy.captures
    captures = CaptureChoices(choices.limits, by_default="worst", recognize=choices.recognize)
    return replace(policy, captures=captures)


class ReportPairs:
    """The worst captured pairs of a replay, of all languages, workflows and kinds alike."""

    def __init__(self) -> None:
        self._ranked = RankedPairs(_MOST_OF_A_KIND, MOST_KEPT)
        self.not_redacted = 0
        """Pairs that the replay left out, since a recognizer failed on them."""

    def take(self, captured: Iterable[CapturedPair]) -> None:
        """Take what the replay captured of some windows."""
        for pair in captured:
            place = place_of(pair.rollout_id, pair.pair_id, _PURPOSE)
            order = (-pair.severity, place, pair.pair_id)
            group = (pair.mode, pair.language, pair.workflow, pair.kind)
            if self._ranked.may_take(order, group):
                self._ranked.take(RankedPair(order, group, pair, 0))

    def worst(self, wanted: Sequence[Chosen], most: int) -> list[CapturedPair]:
        """Return so many pairs that the first choice asks for; where it finds none, the next."""
        ranked = sorted(self._ranked.first(), key=lambda one: one.order)
        for chosen in wanted:
            if found := [one.pair for one in ranked if _is_chosen(one.pair, chosen)]:
                return found[:most]
        return []


def _is_chosen(pair: CapturedPair, chosen: Chosen) -> bool:
    return (
        chosen.language in (None, pair.language)
        and chosen.workflow in (None, pair.workflow)
        and (chosen.kind is None or chosen.kind in pair.kinds)
    )
