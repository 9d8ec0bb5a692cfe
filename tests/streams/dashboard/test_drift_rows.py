"""Both sides against their past, as the page shows them."""

from __future__ import annotations

import numpy as np

from tests.analyzers.drift.traffic import FIRST, traffic
from understudy.analyzers.drift.periods import HOURS_OF_DAY, periods_of
from understudy.analyzers.drift.side_drift import drift_of
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.dashboard.drift_rows import drift_rows


def test_sides_without_traffic_are_left_out_and_what_changed_has_rows() -> None:
    periods = periods_of("candidate", FIRST, FIRST + 15 * HOURS_OF_DAY)
    assert periods is not None
    drift = drift_of(traffic(np.random.default_rng(6), 15, longer=1.8), periods)
    assert drift_rows([SideLook("stable", 0, None)]) == []
    young, changed = drift_rows([SideLook("stable", 30, None), SideLook("candidate", 360, drift)])
    assert (young.side, young.rows, young.periods) == ("Stable", [], "")
    assert "30 hours" in young.summary
    assert changed.summary == "Changed: mean answer length."
    assert {row.metric for row in changed.rows} == {"mean answer length"}
    assert changed.rows[0].language in ("all", "en", "ja")
    assert all(row.before and row.now and row.change for row in changed.rows)
