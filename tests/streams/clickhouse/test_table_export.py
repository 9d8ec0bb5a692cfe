"""Rows of a rollout in a file: which, of what types, whole or not at all."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.samples import identity, pair_measures, side_measures
from understudy.schemas.clickhouse.relations import RELATIONS
from understudy.streams.clickhouse.comparison_rows import comparison_columns
from understudy.streams.clickhouse.sink_errors import SinkBroken
from understudy.streams.clickhouse.table_export import EXPORTED, FORMATS, Export, export
from understudy.streams.clickhouse.tables import COMPARISONS, block

ROLLOUT = "helpdesk"
N = 50


@pytest.fixture
def filled(client: Client) -> Client:
    """Comparisons of two rollouts, stored twice."""
    rng = np.random.default_rng(7)
    made = comparison_columns(
        identity(rng, N),
        stable=side_measures(rng, N),
        candidate=side_measures(rng, N),
        pair=pair_measures(rng, N),
    )  # fmt: skip
    for _ in range(2):
        insert(client, block(COMPARISONS, made))
    return client


def wanted_rows(client: Client) -> int:
    sql = f"SELECT count() FROM comparisons FINAL WHERE rollout_id = '{ROLLOUT}'"
    return int(client.query(sql).result_rows[0][0])


def test_parquet_keeps_types_and_zones(filled: Client, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "some.parquet"
    rows = export(filled, Export("comparisons", ROLLOUT), file)
    table = parquet.read_table(file)
    assert 0 < rows == table.num_rows == wanted_rows(filled)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["request_time"] == "timestamp[ms, tz=UTC]"
    assert (types["stable_json_state"], types["candidate_served"]) == ("string", "bool")
    assert types["stable_duration_ms"] == "double"
    assert set(types) == set(RELATIONS["comparisons"].types)


@pytest.mark.parametrize("suffix", [".ndjson", ".jsonl", ".csv"])
def test_text_formats(filled: Client, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"some{suffix}"
    rows = export(filled, Export("comparisons", ROLLOUT), file)
    text = file.read_text("utf-8").splitlines()
    found = list(csv.DictReader(text)) if suffix == ".csv" else [json.loads(one) for one in text]
    assert len(found) == rows == wanted_rows(filled)
    assert {one["rollout_id"] for one in found} == {ROLLOUT}


def test_times_limit_the_rows(filled: Client, tmp_path: Path) -> None:
    sql = f"SELECT request_time FROM comparisons FINAL WHERE rollout_id = '{ROLLOUT}' ORDER BY 1"
    times = [row[0].replace(tzinfo=dt.UTC) for row in filled.query(sql).result_rows]
    since, until = (int(times[n].timestamp() * 1000) for n in (3, 7))
    wanted = Export("comparisons", ROLLOUT, since, until)
    assert export(filled, wanted, tmp_path / "some.csv") == 4


def test_without_rows_there_is_no_file(filled: Client, tmp_path: Path) -> None:
    assert export(filled, Export("comparisons", "unknown"), tmp_path / "some.csv") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_and_keeps_what_was_there(
    filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "some.parquet"
    file.write_text("from before")
    monkeypatch.setitem(FORMATS, ".parquet", "NoSuchFormat")  # type: ignore[index]
    with pytest.raises(SinkBroken):
        export(filled, Export("comparisons", ROLLOUT), file)
    assert [one.read_text() for one in tmp_path.iterdir()] == ["from before"]


@pytest.mark.parametrize("relation", EXPORTED)
def test_all_that_tells_rollouts_apart_can_be_exported(
    client: Client, tmp_path: Path, relation: str
) -> None:
    assert export(client, Export(relation, "none"), tmp_path / "some.parquet") == 0
    wanted = Export(relation, "none", 0)
    if wanted.time_column is None:
        with pytest.raises(ValueError, match="no time"):
            export(client, wanted, tmp_path / "some.parquet")
    else:
        assert export(client, wanted, tmp_path / "some.parquet") == 0
