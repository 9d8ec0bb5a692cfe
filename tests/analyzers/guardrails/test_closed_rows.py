"""Closed rows: some of them are rows of the same kind."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.row_columns import RowColumns

ROWS = ClosedRows(
    source="events",
    start_ms=np.array([10, 10, 20]),
    window_s=np.array([10, 10, 10]),
    partition=np.array([0, 1, 0]),
    mode=Labels(np.array([0, 0, 0]), ["shadow"]),
    language=Labels(np.array([1, 0, 1]), ["en", "ja"]),
    workflow=Labels(np.array([0, 0, 0]), [""]),
    columns=RowColumns(np.array([True] * 3), {"pair_pairs": np.array([5.0, 6.0, 7.0])}),
)


def test_some_rows_keep_their_labels_and_numbers() -> None:
    assert ROWS.n == 3
    some = ROWS.part(slice(1, 3))
    assert (some.n, some.start_ms.tolist(), some.partition.tolist()) == (2, [10, 20], [1, 0])
    assert [some.language.values[code] for code in some.language.codes] == ["en", "ja"]
    assert some.columns["pair_pairs"].tolist() == [6.0, 7.0]
    assert ROWS.part(np.array([0, 2])).columns["pair_pairs"].tolist() == [5.0, 7.0]
