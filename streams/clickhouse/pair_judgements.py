"""What evaluators said of single pairs, with their explanations where these are kept."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.schemas.event_time import from_epoch_ms
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_OF_A_PAIR: Final = 20
"""As many evaluators as a policy may name."""
_SAME_REQUEST_MS: Final = 60_000
"""How far request times of one pair lie apart at most, with room to spare: sides may differ by
seconds, and an id that is used again after a pause is a new pair."""


@dataclass(frozen=True, slots=True)
class PairJudgement:
    """One evaluation of a pair."""

    pair_id: str
    request_time_ms: int
    evaluator: str
    """`name@version`."""
    compared: str
    """`candidate`, or `control`: stable's own second run."""
    evaluation_time_ms: int
    preference: float | None
    """1 where the answer compared is preferred to stable's, 0 where stable's is; None without."""
    preferred: Sequence[str]
    """By order."""
    shown_first: Sequence[str]
    stable_score: float | None
    compared_score: float | None
    lowest_score: float | None
    highest_score: float | None
    error: str
    """Why there is no judgement; empty where there is."""
    explanation: str
    """Redacted; empty where none is kept."""
    is_cut: bool

    @property
    def evaluation_time(self) -> dt.datetime:
        """When it was judged, UTC."""
        return from_epoch_ms(self.evaluation_time_ms)


_KEY: Final = ("rollout_id", "pair_id", "evaluator", "compared", "partition", "offset")
_WHERE: Final = (
    "FINAL WHERE rollout_id = {rollout_id:String} AND pair_id IN {pair_ids:Array(String)}\n"
    "  AND request_time BETWEEN {since:DateTime64(3, 'UTC')} AND {until:DateTime64(3, 'UTC')}"
)
_QUERY: Final = (
    "SELECT e.pair_id, toUnixTimestamp64Milli(e.request_time), e.evaluator, e.compared,\n"
    "  toUnixTimestamp64Milli(e.evaluation_time), e.preference, e.preferred, e.shown_first,\n"
    "  e.stable_score, e.compared_score, e.lowest_score, e.highest_score, e.error,\n"
    "  x.explanation, x.is_cut\n"
    f"FROM (SELECT * FROM evaluations {_WHERE}) AS e\n"
    f"LEFT ANY JOIN (SELECT * FROM explanations {_WHERE}) AS x\n"
    f"  ON {' AND '.join(f'x.{name} = e.{name}' for name in _KEY)}\n"
    "ORDER BY e.evaluator, e.compared, e.evaluation_time, e.partition, e.offset\n"
    f"LIMIT {MAX_OF_A_PAIR} BY e.pair_id, e.request_time"
)

Said = Mapping[tuple[str, int], Sequence[PairJudgement]]
"""What was said, by the `pair_id` and `request_time_ms` of a captured pair."""


def said_of(pair: CapturedPair, said: Said) -> Sequence[PairJudgement]:
    """Return what was said of one pair."""
    return said.get((pair.pair_id, pair.request_time_ms), ())


def read_judgements(connection: ReadConnection, pairs: Sequence[CapturedPair]) -> Said:
    """Return what was said of pairs of one rollout. Raises as `worst_pairs` does."""
    if not pairs:
        return {}
    times_ms = [pair.request_time_ms for pair in pairs]
    parameters = {
        "rollout_id": pairs[0].rollout_id,
        "pair_ids": [pair.pair_id for pair in pairs],
        "since": from_epoch_ms(min(times_ms) - _SAME_REQUEST_MS),
        "until": from_epoch_ms(max(times_ms) + _SAME_REQUEST_MS),
    }
    captured: dict[str, list[CapturedPair]] = defaultdict(list)
    for pair in pairs:
        captured[pair.pair_id].append(pair)
    said: dict[tuple[str, int], list[PairJudgement]] = defaultdict(list)
    for row in connection.rows(_QUERY, parameters):
        one = PairJudgement(*row)
        for pair in captured[one.pair_id]:
            if abs(one.request_time_ms - pair.request_time_ms) <= _SAME_REQUEST_MS:
                said[pair.pair_id, pair.request_time_ms].append(one)
    return said
