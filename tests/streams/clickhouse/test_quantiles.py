"""Quantiles in SQL are those of the analyzers, and within 1 % of the sample's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse import samples
from tests.streams.clickhouse.window_columns import window_columns
from understudy.analyzers.windows.histogram import bucket_value, log_bucket, quantile
from understudy.schemas.window_measures import SideSums
from understudy.streams.clickhouse.tables import WINDOWS, block

QUANTILES = (0.0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def histogram(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[int, int]:
    buckets, counts = np.unique(log_bucket(values), return_counts=True)
    return dict(zip(buckets.tolist(), counts.tolist(), strict=True))


def in_sql(client: Client, buckets: dict[int, int], q: float) -> float:
    pairs = ", ".join(f"{bucket}::Int32, {count}::UInt64" for bucket, count in buckets.items())
    sql = f"SELECT understudy_quantile(map({pairs})::Map(Int32, UInt64), {q})"
    return float(client.query(sql).result_rows[0][0])


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000])
def test_quantiles_agree_with_the_analyzers_and_numpy(client: Client, n: int) -> None:
    values = np.random.default_rng(n).lognormal(6, 1.5, n)
    buckets = histogram(values)
    shuffled = dict(sorted(buckets.items(), key=lambda item: item[0] % 7))
    for q in QUANTILES:
        got = in_sql(client, shuffled, q)
        assert got == pytest.approx(quantile(buckets, q), rel=1e-12)
        exact = np.quantile(values, q, method="inverted_cdf")
        assert got == pytest.approx(exact, rel=0.01 + 1e-9)


def test_no_counts_have_no_quantile(client: Client) -> None:
    assert math.isnan(in_sql(client, {}, 0.5))
    assert math.isnan(in_sql(client, {7: 0}, 0.5))


@pytest.mark.parametrize("bucket", [-691, -1, 0, 1, 460, 1015])
def test_the_value_of_a_bucket(client: Client, bucket: int) -> None:
    got = client.query(f"SELECT understudy_bucket_value({bucket})").result_rows[0][0]
    assert got == pytest.approx(bucket_value(bucket), rel=1e-12)


def test_a_quantile_over_windows_and_partitions(client: Client) -> None:
    rng = np.random.default_rng(5)
    parts = [rng.lognormal(6, 1, size) for size in (400, 1, 900)]
    rows = [samples.window_row(rng, version=p, partition=p) for p in range(len(parts))]
    for row, values in zip(rows, parts, strict=True):
        row.stable = SideSums(duration_ms_histogram=histogram(values))
    raw = block(WINDOWS, window_columns(rows))
    client.raw_insert(raw.table, raw.columns, raw.payload, fmt="Native")
    (p50, p99) = client.query(
        "SELECT understudy_quantile(sumMap(stable_duration_ms_histogram), 0.5), "
        "understudy_quantile(sumMap(stable_duration_ms_histogram), 0.99) FROM slices"
    ).result_rows[0]
    whole = np.concatenate(parts)
    assert p50 == pytest.approx(np.quantile(whole, 0.5, method="inverted_cdf"), rel=0.0101)
    assert p99 == pytest.approx(np.quantile(whole, 0.99, method="inverted_cdf"), rel=0.0101)
