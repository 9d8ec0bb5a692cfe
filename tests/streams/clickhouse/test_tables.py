"""Every column comes back from ClickHouse as it went in."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse import samples
from understudy.analyzers.compare.measure_arrays import ControlMeasures, PairMeasures, SideMeasures
from understudy.schemas.window_measures import EventCounts, SideSums
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.comparison_rows import comparison_columns, unmatched_columns
from understudy.streams.clickhouse.native_format import Block, Column
from understudy.streams.clickhouse.tables import (
    COMPARISONS,
    TABLES,
    UNMATCHED,
    VIEWS,
    WINDOWS,
    block,
)
from understudy.streams.clickhouse.window_rows import window_columns

ENUM_MEMBER = re.compile(r"'(\w+)' = (-?\d+)")


def insert(client: Client, some: Block) -> None:
    client.raw_insert(
        some.table,
        some.columns,
        some.payload,
        fmt="Native",
        settings={"max_partitions_per_insert_block": 0},
    )


def stored(client: Client, table: str, order: str = "offset") -> dict[str, list[Any]]:
    """The latest rows of a table, column by column; times as milliseconds."""
    result = client.query(
        f"SELECT * FROM {table} FINAL ORDER BY {order}",
        column_formats={"request_time": "int", "window_start": "int"},
    )
    columns = list(zip(*result.result_rows, strict=True)) or [()] * len(result.column_names)
    return {name: list(c) for name, c in zip(result.column_names, columns, strict=True)}


def plain(type_name: str, values: Column) -> list[Any]:
    """What ClickHouse should give back for a column of a type."""
    as_list = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if type_name.startswith("Enum8"):
        names = {int(number): name for name, number in ENUM_MEMBER.findall(type_name)}
        return [names[value] for value in as_list]
    if type_name.startswith("Nullable"):
        return [None if math.isnan(v) or ("Int" in type_name and v < 0) else v for v in as_list]
    return as_list


def expect(table: str, columns: Mapping[str, Column], got: Mapping[str, list[Any]]) -> None:
    for name, values in columns.items():
        assert got[name] == plain(TABLES[table][name], values), name


@pytest.mark.parametrize("table", TABLES | VIEWS)
def test_the_ddl_has_the_columns_and_types_that_are_declared(client: Client, table: str) -> None:
    rows = client.query(
        "SELECT name, type FROM system.columns WHERE database = currentDatabase() "
        "AND table = {table:String} AND default_kind != 'MATERIALIZED' ORDER BY position",
        parameters={"table": table},
    ).result_rows
    assert [tuple(row) for row in rows] == list((TABLES | VIEWS)[table].items())


def test_the_tables_follow_the_contracts() -> None:
    for prefix, record in (
        ("stable", SideMeasures),
        ("candidate", SideMeasures),
        ("pair", PairMeasures),
        ("control", ControlMeasures),
    ):
        for field in fields(record):
            assert f"{prefix}_{field.name}" in TABLES[COMPARISONS]
    measures = [
        f"{section}_{name}"
        for section, section_record in SECTIONS.items()
        for name in section_record.__struct_fields__
    ]
    identity = [name for name in WindowRow.__struct_fields__ if name not in SECTIONS]
    assert list(TABLES[WINDOWS]) == identity + measures


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
    control = samples.control_measures(rng, 2)
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


def test_window_rows_round_trip(client: Client) -> None:
    rng = np.random.default_rng(6)
    rows = [samples.window_row(rng, version=p + 1, partition=p) for p in range(7)]
    columns = window_columns(rows)
    insert(client, block(WINDOWS, columns))
    got = stored(client, WINDOWS, "partition")
    expect(WINDOWS, columns, got)
    assert got["stable_duration_ms_histogram"][3] == rows[3].stable.duration_ms_histogram


def test_the_highest_version_of_a_window_row_counts(client: Client) -> None:
    rng = np.random.default_rng(7)
    versions = {v: samples.window_row(rng, version=v) for v in (10, 30, 20)}
    for row in versions.values():
        insert(client, block(WINDOWS, window_columns([row])))
    got = stored(client, WINDOWS, "partition")
    assert got["version"] == [30]
    expect(WINDOWS, window_columns([versions[30]]), got)
    latest = client.query("SELECT version, stable_requests FROM windows_latest").result_rows
    assert latest == [(30, versions[30].stable.requests)]


def test_slices_add_partitions_up(client: Client) -> None:
    rng = np.random.default_rng(8)
    rows = [samples.window_row(rng, version=p + 1, partition=p) for p in range(4)]
    old = samples.window_row(rng, version=0, partition=2)
    insert(client, block(WINDOWS, window_columns([old, *rows])))
    got = stored(client, "slices", "language").items()
    for name, (value,) in ((n, v) for n, v in got if n in TABLES[WINDOWS]):
        section, _, field = name.partition("_")
        if section not in SECTIONS:
            continue
        parts = [getattr(getattr(row, section), field) for row in rows]
        if isinstance(parts[0], dict):
            keys = {key for part in parts for key in part}
            assert value == {k: sum(p.get(k, 0) for p in parts) for k in sorted(keys)}
        else:
            assert value == pytest.approx(sum(parts), rel=1e-12), name
    assert dict(got)["closed"] == [False]


def test_slices_take_feedback_with_its_events_but_not_its_account(client: Client) -> None:
    """Same slice, partition and version; only the source tells the two rows apart."""
    rng = np.random.default_rng(8)
    events = samples.window_row(rng)
    feedback = msgspec.structs.replace(samples.window_row(rng), source="feedback")
    insert(client, block(WINDOWS, window_columns([events, feedback])))
    got = stored(client, "slices", "language")
    both = events.candidate.feedback_score_count + feedback.candidate.feedback_score_count
    assert got["candidate_feedback_score_count"] == [both]
    assert got["events_late"] == [events.events.late]


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


def test_a_window_of_huge_counts_is_stored_whole(client: Client) -> None:
    row = WindowRow(
        rollout_id="",
        language="und",
        window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        window_s=10,
        partition=0,
        version=2**63 - 1,
        events=EventCounts(invalid=2**64 + 5),
        stable=SideSums(output_tokens_squares=2**100),
    )
    insert(client, block(WINDOWS, window_columns([row])))
    got = stored(client, WINDOWS, "partition")
    assert got["events_invalid"] == [2**64 - 1]
    assert got["stable_output_tokens_squares"] == [2**100]
    assert got["mode"] == [""]


def test_no_rows_make_an_empty_block() -> None:
    assert block(WINDOWS, window_columns([])).rows == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"partition": [1, 2], "offset": [1]}, r"comparisons.offset has 1 values"),
        ({"partition": [0.5]}, r"comparisons.partition \(UInt32\): whole numbers wanted"),
        ({"pair_id": [None]}, r"comparisons.pair_id \(String\)"),
        ({"pair_identical": ["yes"]}, r"comparisons.pair_identical \(Bool\)"),
    ],
)
def test_what_does_not_fit_names_the_column(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        block(COMPARISONS, columns)


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        block(COMPARISONS, {"colour": ["red"]})
