"""What is kept of a row, and how rows add up by slice."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from tests.analyzers.guardrails.world import World, key_of
from understudy.analyzers.guardrails.checks import Check, checks_of
from understudy.analyzers.guardrails.closed_rows import ClosedRows, Labels
from understudy.analyzers.guardrails.row_columns import PLACES, RowColumns
from understudy.analyzers.guardrails.row_layout import RowLayout, layouts_of, tail_buckets
from understudy.analyzers.guardrails.slice_table import SliceTable
from understudy.analyzers.guardrails.slices import Arrivals
from understudy.analyzers.guardrails.tail_thresholds import TailThreshold
from understudy.analyzers.guardrails.turn_readers import read_products
from understudy.analyzers.guardrails.window_store import RowKey
from understudy.schemas.manifests import read_policy
from understudy.schemas.windows import WindowRow

CHECKS = [
    check
    for check in checks_of(
        policy(
            "{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}, "
            "{metric: duration_p95, max_increase: 20%, slices: [all, each language]}"
        )
    )
    if not check.of_stable
]
ERRORS, _, P95 = CHECKS
LAYOUT = RowLayout(CHECKS)
ARRIVALS = Arrivals(["en", "ja"], ["chat"])
TABLE = SliceTable(CHECKS, ARRIVALS)
(MESSAGE,) = World(requests=300).messages(1, 1)
ROWS = {key_of(row): row for row in MESSAGE.rows}


def known(*names: str) -> dict[str, dict[str, TailThreshold]]:
    threshold = TailThreshold()
    threshold.learn(MESSAGE.rows[0].stable.duration_ms_histogram | {400: 500}, 0)
    return {name: {"duration": threshold} for name in names}


def read(
    layout: RowLayout,
    rows: dict[RowKey, WindowRow],
    table: SliceTable,
    thresholds: dict[str, dict[str, TailThreshold]],
) -> np.ndarray:
    columns = RowColumns.of_rows(list(rows.values()), layout.names)
    return layout.read(list(rows), columns, table, thresholds)


def batch(thresholds: dict[str, dict[str, TailThreshold]]) -> np.ndarray:
    vectors = read(LAYOUT, ROWS, TABLE, thresholds)
    return LAYOUT.batch(vectors, list(ROWS), TABLE)


def test_a_check_and_its_warning_share_their_statistics() -> None:
    n_fields = len(ERRORS.test.fields)
    assert LAYOUT.counts.start == n_fields
    assert LAYOUT.part(ERRORS.key) == slice(0, n_fields)


def test_a_message_of_rows_that_are_all_known_is_read() -> None:
    """Or of rows that count invalid events alone, which have no mode."""
    assert read(LAYOUT, {}, TABLE, {}).shape == (0, LAYOUT.width)
    assert read(LAYOUT, {}, TABLE, known("all requests")).shape == (0, LAYOUT.width)


def test_rows_add_up_to_their_slices() -> None:
    sums = batch({})
    pairs = sums[:, ERRORS.test.fields.index("pairs")]
    assert pairs.tolist() == [600.0, 300.0, 300.0]
    assert LAYOUT.batch(np.zeros((0, LAYOUT.width)), [], TABLE).shape == sums.shape


def test_a_tail_is_read_where_its_threshold_is_known() -> None:
    units = P95.test.fields.index("candidate_units")
    assert not batch({})[:, LAYOUT.part(P95.key)].any()
    sums = batch(known("all", "language:ja"))[:, LAYOUT.part(P95.key)]
    assert sums[:, units].tolist() == [600.0, 0.0, 300.0]


def test_a_row_may_not_hold_less_than_before() -> None:
    before = read(LAYOUT, ROWS, TABLE, {})[:2].copy()
    assert not LAYOUT.shrank(before, before)
    less = before.copy()
    less[1, 0] -= 1.0
    assert LAYOUT.shrank(before, less)
    assert before.shape == (2, LAYOUT.width)


def test_the_gauges_of_unresolved_requests_are_kept_apart() -> None:
    wanted = {"unresolved_awaiting_stable", "unresolved_awaiting_candidate"} & PLACES.keys()
    assert wanted <= set(LAYOUT.gauges)
    assert set(LAYOUT.gauges) <= LAYOUT.names
    assert LAYOUT.batch_width == LAYOUT.gauges_in_batch.start + len(LAYOUT.gauges)


def test_closed_rows_in_columns_add_up_to_the_same_bits() -> None:
    """Three windows, the second without one of the languages."""
    rows = [row for message in World(requests=300).messages(5, 3) for row in message.rows]
    del rows[3]
    thresholds = known("all", "language:ja")
    keys = [key_of(row) for row in rows]
    starts = [key.start_ms for key in keys]
    steps = np.unique(starts, return_inverse=True)[1]
    places = np.array([TABLE.places_of(key.language, key.workflow) for key in keys])

    def buckets(check: Check, of_rows: np.ndarray) -> np.ndarray:
        names = [None if place < 0 else TABLE.names[place] for place in of_rows]
        found = zip(names, starts, strict=True)
        return np.array([tail_buckets(check, thresholds, *one) for one in found])

    closed = ClosedRows(
        source="events",
        start_ms=np.array(starts),
        window_s=np.full(len(rows), 10),
        partition=np.zeros(len(rows), dtype=np.int64),
        mode=Labels(np.zeros(len(rows), dtype=np.int64), ["shadow"]),
        language=Labels(np.arange(len(rows)), [row.language for row in rows]),
        workflow=Labels(np.zeros(len(rows), dtype=np.int64), ["chat"]),
        columns=RowColumns.of_rows(rows, LAYOUT.names),
    )
    vectors = LAYOUT.read_closed(closed, places, buckets)
    batches = LAYOUT.closed_batches(vectors, steps, places, (3, len(TABLE.names)))
    for step in range(3):
        of_window = {
            key: row for key, row, at in zip(keys, rows, steps.tolist(), strict=True) if at == step
        }
        one = LAYOUT.batch(read(LAYOUT, of_window, TABLE, thresholds), list(of_window), TABLE)
        assert batches[step].tobytes() == one.tobytes()


@pytest.mark.parametrize("mode", ["shadow", "canary", "ab", "interleave"])
def test_rows_are_read_as_their_readers_read_them(mode: str) -> None:
    """Most statistics are gathered at once; that changes no bit."""
    rollout = read_policy(
        "rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\nstages: [shadow, 5%]\n"
    )
    checks = [check for check in checks_of(rollout) if check.source == "events"]
    layout, table = RowLayout(checks), SliceTable(checks, Arrivals())
    rows = [
        row
        for mode_of_row in dict.fromkeys((mode, "shadow"))
        for message in World(mode=mode_of_row).messages(3, 2)
        for row in message.rows
    ]
    keyed = {key_of(row): row for row in rows}
    vectors = read(layout, keyed, table, {})
    columns = RowColumns.of_rows(list(keyed.values()), layout.names)
    for check in checks:
        if check.reader is not None:
            found = vectors[:, layout.part(check.key)]
            assert np.array_equal(found, check.reader.read(columns)), check.name
        turns = layout.turn_sums(check, vectors[:, None, : layout.batch_width], np.array([0]))
        products = read_products(check, columns).reshape(-1, 3, 3)
        assert np.array_equal(turns.turns[:, 0, :, 3:], products), check.name


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_counts_that_cannot_be_are_refused(mode: str) -> None:
    (message,) = World(mode=mode).messages(1, 1)
    row = message.rows[0]
    errors = {"error_only_candidate": row.pair.model_pairs + 1}
    impossible = msgspec.structs.replace(
        row,
        pair=msgspec.structs.replace(row.pair, **errors),
        candidate=msgspec.structs.replace(row.candidate, errors=row.candidate.model_requests + 1),
    )
    with pytest.raises(ValueError, match="more bad units than units"):
        read(LAYOUT, {key_of(row): impossible}, TABLE, {})


def test_rollouts_with_the_same_guardrails_share_what_reads_their_rows() -> None:
    guardrail = "{metric: error_rate, max_increase: %s}"
    one, other, stricter = (
        checks_of(msgspec.structs.replace(policy(guardrail % margin), rollout_id=name))
        for name, margin in (("one", "1pp"), ("other", "1pp"), ("other", "0.5pp"))
    )
    assert layouts_of(one) is layouts_of(other)
    assert layouts_of(stricter) is not layouts_of(one)
