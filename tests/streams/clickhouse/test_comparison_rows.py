"""Comparisons and unmatched sides come back from ClickHouse as they went in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.round_trip import expect, insert, plain, stored
from understudy.streams.clickhouse.comparison_rows import comparison_columns, unmatched_columns
from understudy.streams.clickhouse.tables import (
    COMPARISONS,
    UNMATCHED,
    block,
)


def test_pairs_round_trip(client: Client) -> None:
    rng = np.random.default_rng(1)
    columns = comparison_columns(
        samples.identity(rng, 400),
        stable=samples.side_measures(rng, 400),
        candidate=samples.side_measures(rng, 400),
        pair=samples.pair_measures(rng, 400),
    )
    insert(client, block(COMPARISONS, columns))
    got = stored(client, COMPARISONS)
    expect(COMPARISONS, columns, got)
    assert got["has_stable"] == got["has_candidate"] == [True] * 400
    assert got["has_control"] == [False] * 400


def test_controls_stand_beside_their_pairs(client: Client) -> None:
    rng = np.random.default_rng(2)
    rows = np.array([1, 4])
    fields = [[], ["/total", "/名"]]
    control = replace(samples.control_measures(rng, 2), json_changed_fields=fields)
    columns = comparison_columns(
        samples.identity(rng, 6),
        stable=samples.side_measures(rng, 6),
        candidate=samples.side_measures(rng, 6),
        pair=samples.pair_measures(rng, 6),
        control=control,
        control_rows=rows,
    )
    insert(client, block(COMPARISONS, columns))
    got = stored(client, COMPARISONS)
    assert got["has_control"] == [False, True, False, False, True, False]
    assert [got["control_identical"][i] for i in rows] == control.identical.tolist()
    assert [got["control_similarity"][i] for i in rows] == plain(
        "Nullable(Float64)", control.similarity
    )
    assert [got["control_similarity"][i] for i in (0, 2, 3, 5)] == [None] * 4
    assert got["control_json_changed_fields"] == [[], [], [], [], ["/total", "/名"], []]
    with pytest.raises(ValueError, match="2 control measures for 1 rows"):
        comparison_columns(samples.identity(rng, 6), control=control, control_rows=np.array([1]))


def test_a_single_side_leaves_the_other_at_its_defaults(client: Client) -> None:
    rng = np.random.default_rng(3)
    identity = samples.identity(rng, 5)
    columns = comparison_columns(identity, candidate=samples.side_measures(rng, 5))
    insert(client, block(COMPARISONS, columns))
    got = stored(client, COMPARISONS)
    expect(COMPARISONS, columns, got)
    assert got["has_stable"] == [False] * 5
    assert got["stable_duration_ms"] == got["stable_output_tokens"] == [None] * 5
    assert got["stable_language_match"] == got["stable_json_schema_valid"] == ["unchecked"] * 5
    assert got["pair_similarity"] == [None] * 5


def test_comparisons_read_twice_are_there_once(client: Client) -> None:
    for _ in range(3):
        rng = np.random.default_rng(4)
        identity = samples.identity(rng, 50)
        columns = comparison_columns(identity, stable=samples.side_measures(rng, 50))
        insert(client, block(COMPARISONS, columns))
    assert client.query("SELECT count() FROM comparisons").result_rows == [(150,)]
    expect(COMPARISONS, columns, stored(client, COMPARISONS))


def test_unmatched_sides_round_trip_once(client: Client) -> None:
    columns = unmatched_columns(samples.unmatched_sides(np.random.default_rng(5), 60))
    insert(client, block(UNMATCHED, columns))
    insert(client, block(UNMATCHED, columns))
    got = stored(client, UNMATCHED)
    sides = samples.unmatched_sides(np.random.default_rng(5), 60)
    expect(UNMATCHED, columns, got)
    assert got["side"] == sides.side
    assert got["reason"] == sides.reason


def test_an_unknown_reason_is_refused() -> None:
    sides = samples.unmatched_sides(np.random.default_rng(5), 1)
    with pytest.raises(ValueError, match=r"\['whim'\] not among"):
        unmatched_columns(replace(sides, reason=["whim"]))


def test_what_no_measure_reaches_is_cut_to_the_type(client: Client) -> None:
    """A hostile gateway may send any number; it must not stop the loading."""
    rng = np.random.default_rng(9)
    identity = replace(
        samples.identity(rng, 2),
        pair_id=["half a \ud83d character", "x" * 300],
        request_time_ms=np.array([-(2**62), 2**62]),
    )
    side = replace(
        samples.side_measures(rng, 2),
        error_status=np.array([-5, 10**12]),
        attempts=np.array([70_000, 1]),
        duration_ms=np.array([np.inf, -np.inf]),
    )
    insert(client, block(COMPARISONS, comparison_columns(identity, stable=side)))
    got = stored(client, COMPARISONS)
    assert got["stable_error_status"] == [0, 65_535]
    assert got["stable_attempts"] == [65_535, 1]
    assert got["pair_id"] == ["half a ? character", "x" * 300]
