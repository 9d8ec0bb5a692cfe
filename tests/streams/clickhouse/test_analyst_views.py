"""Views with plain names, on a rollout whose numbers are known."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.streams.clickhouse.known_data import DAYS, PARTITIONS, PRICE, ROLLOUT, N, fill, of
from understudy.schemas.clickhouse.analyst_views import ANALYST_VIEWS, DESCRIBED
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate

pytestmark = pytest.mark.slow
Rows = list[dict[str, Any]]
EACH = N * PARTITIONS * DAYS
"""Requests of a language."""


@pytest.fixture(scope="module")
def known(clickhouse_url: str) -> Iterator[Client]:
    client = connect(clickhouse_url, database="test_analyst_views")
    migrate(client)
    fill(client)
    yield client
    client.command("DROP DATABASE test_analyst_views")
    client.close()


def rows(client: Client, sql: str) -> Rows:
    return list(client.query(sql).named_results())


def approximately(n: int, delta: float, only_stable: int, only_candidate: int) -> tuple[float, ...]:
    """The interval of paired outcomes by hand."""
    spread = only_stable + only_candidate - n * delta**2
    x = 0.00878 * n
    multiplier = math.sqrt(2 * (1 + 1 / x) * math.log(math.sqrt(x + 1) / 0.05))
    half = math.sqrt(spread + 4) / n * multiplier
    return delta - half, delta + half


def test_every_view_answers_and_has_the_columns_that_it_declares(known: Client) -> None:
    for view in ANALYST_VIEWS:
        result = known.query(f"SELECT * FROM {view.name}")
        assert result.result_rows, view.name
        assert list(result.column_names) == list(view.types)
        described = known.query(f"DESCRIBE {view.name}").named_results()
        comments = {row["name"]: row["comment"] for row in described}
        assert comments == {one.name: one.comment for one in view.columns}
        assert all(comments.values()), view.name


@pytest.mark.parametrize("view", ["json_failures", "latency_quantiles", "field_changes"])
def test_what_is_asked_of_one_rollout_reads_no_other(known: Client, view: str) -> None:
    """The filter reaches the key of the roll-up, through steps that make many rows of one.

    Plans of the languages' views have the same steps, and take seconds to print.
    """
    asked = f"SELECT * FROM {view} WHERE rollout_id = 'other'"
    plan = known.query(f"EXPLAIN indexes = 1 {asked}").result_rows
    assert any("Condition:" in line and "'other'" in line for (line,) in plan)


def test_days_add_up_to_the_whole(known: Client) -> None:
    units = {"latency_quantiles": "stable_count", "cost_impact": "stable_requests",
             "field_changes": "pairs"}  # fmt: skip
    for one in DESCRIBED:
        column = units.get(one.name, "units")
        ((whole,),) = known.query(f"SELECT sum({column}) FROM {one.name}").result_rows
        ((days, found),) = known.query(
            f"SELECT uniqExact(day), sum({column}) FROM {one.name}_daily"
        ).result_rows
        assert (days, found) == (DAYS, whole), one.name


def test_language_deltas(known: Client) -> None:
    found = rows(known, "SELECT * FROM language_deltas")
    only_candidate = (45 + 10) * PARTITIONS * DAYS // 2
    only_stable = 5 * PARTITIONS * DAYS
    ja = of(found, language="ja", metric="json_valid_rate")
    delta = (only_stable - only_candidate) / EACH
    assert (ja["units"], ja["better"], ja["finding"]) == (EACH, "higher", "worse")
    assert ja["stable"] == pytest.approx(0.99)
    assert ja["delta"] == pytest.approx(delta) == pytest.approx(ja["candidate"] - ja["stable"])
    expected = approximately(EACH, delta, only_candidate, only_stable)
    assert (ja["approx_low"], ja["approx_high"]) == pytest.approx(expected)
    assert of(found, language="en", metric="json_valid_rate")["finding"] == "open"


def test_the_decisions_own_interval_stands_beside(known: Client) -> None:
    """Of the newest decision, in the mode of its stage; harm is the drop that the policy limits."""
    found = rows(known, "SELECT * FROM language_deltas")
    ja = of(found, language="ja", metric="json_valid_rate")
    assert ja["decision_status"] == "breach"
    assert (ja["decision_low"], ja["decision_harm"], ja["decision_high"]) == pytest.approx(
        (0.018, 0.022, 0.026)
    )
    assert ja["decision_low"] < -ja["delta"] + 0.01
    unlimited = of(found, language="ja", metric="error_rate")
    assert (unlimited["decision_guardrail"], unlimited["decision_harm"]) == ("", None)


def test_costs_and_durations_differ_relative_to_stable(known: Client) -> None:
    found = rows(known, "SELECT * FROM language_deltas WHERE language = 'en'")
    cost, duration = (of(found, metric=name) for name in ("cost_usd", "duration"))
    assert (cost["stable"], cost["delta"]) == pytest.approx((PRICE, 0.25))
    # Each costs a quarter more; it is the four imaginary ones that leave a doubt.
    assert cost["approx_low"] == pytest.approx(0.25, abs=1e-3)
    assert (duration["candidate"], duration["delta"]) == pytest.approx((1_500, 0.5))
    assert 0.48 < duration["approx_low"] < 0.5 < duration["approx_high"] < 0.52
    assert cost["is_relative"] is duration["is_relative"] is True
    assert (cost["finding"], duration["finding"]) == ("worse", "worse")


def test_agreement_is_held_against_stables_own_second_run(known: Client) -> None:
    found = rows(known, "SELECT * FROM language_deltas WHERE language = 'en'")
    match = of(found, metric="json_match")
    assert (match["stable"], match["candidate"]) == pytest.approx((171 / 180, 800 / 900))
    excess = of(found, metric="similarity_excess")
    assert (excess["stable"], excess["candidate"]) == pytest.approx((0.05, 0.1))


def test_latency_quantiles(known: Client) -> None:
    found = rows(known, "SELECT * FROM latency_quantiles")
    en = of(found, language="en", measure="duration_ms")
    assert en["stable_p50"] == pytest.approx(1_000, rel=0.01)
    assert en["candidate_p99"] == pytest.approx(4_500, rel=0.01)
    assert en["p95_ratio"] == pytest.approx(1.5, rel=0.02)
    assert en["approx_low"] <= en["p95_ratio"] <= en["approx_high"] < 1.6
    assert all(row["measure"] == "duration_ms" for row in found)


def test_json_failures(known: Client) -> None:
    found = rows(known, "SELECT * FROM json_failures WHERE language = 'ja'")
    fenced = of(found, failure="fenced")
    assert fenced["stable"] == 0
    assert fenced["candidate"] == pytest.approx(((45 + 10) / 2 + 5) / N)
    assert (fenced["finding"], of(found, failure="not_json")["finding"]) == ("worse", "better")


def test_tool_call_changes(known: Client) -> None:
    found = rows(known, "SELECT * FROM tool_call_changes WHERE language = 'ja'")
    differ = of(found, change="calls_differ")
    assert (differ["stable"], differ["candidate"]) == pytest.approx((0.05, 0.1))
    broken = of(found, change="broken")
    assert (broken["stable"], broken["candidate"]) == pytest.approx((0, 9 / N))


def test_cost_impact(known: Client) -> None:
    en = of(rows(known, "SELECT * FROM cost_impact"), language="en")
    assert en["stable_usd_per_1000"] == pytest.approx(1_000 * PRICE)
    assert en["delta"] == pytest.approx(0.25)
    assert en["unserved_usd"] == pytest.approx(1.25 * PRICE * EACH)


def test_field_changes(known: Client) -> None:
    found = rows(known, "SELECT * FROM field_changes WHERE language = 'ja'")
    total, ids = (of(found, field=name) for name in ("/total", "/items/*/id"))
    compared = 900 * PARTITIONS * DAYS
    assert (total["pairs"], total["changed"]) == (compared, 90 * PARTITIONS * DAYS)
    assert (total["stable"], total["candidate"]) == pytest.approx((0, 0.1))
    assert total["approx_low"] > 0
    assert (ids["stable"], ids["candidate"]) == pytest.approx((0.05, 0.02))


def test_feedback(known: Client) -> None:
    en = of(rows(known, "SELECT * FROM feedback"), language="en")
    assert (en["units"], en["finding"]) == (100 * DAYS, "worse")
    assert (en["stable"], en["candidate"]) == pytest.approx((0.8, 0.7))


def test_rollout_health(known: Client) -> None:
    health = of(rows(known, "SELECT * FROM rollout_health"), rollout_id=ROLLOUT)
    assert (health["verdict"], health["is_latched"]) == ("rollback", True)
    assert health["reason"] == "JSON validity in `ja`: rollback"
    assert health["pairs"] == 2 * EACH
    assert health["candidate_error_share"] == pytest.approx(0.005)
    assert health["unmatched_share"] == pytest.approx(4 / (2 * N + 4 + 1))
    assert health["decided_at"].replace(tzinfo=dt.UTC) > health["newest_hour"].replace(
        tzinfo=dt.UTC
    )


def test_a_rollout_without_a_decision_or_without_requests_is_there(client: Client) -> None:
    fill(client)
    client.command("TRUNCATE TABLE decisions")
    (without,) = rows(client, "SELECT * FROM rollout_health")
    assert (without["verdict"], without["since"], without["decided_at"]) == ("", None, None)
    assert rows(client, "SELECT * FROM evidence") == []
    (deltas,) = rows(client, "SELECT count() AS n, countIf(decision_guardrail = '') AS none "
                     "FROM language_deltas")  # fmt: skip
    assert deltas["n"] == deltas["none"] > 0


def test_sums_of_ones_own_take_the_functions(known: Client) -> None:
    found = known.query(
        "SELECT understudy_approx_pairs(28000, 140, 770) AS pairs, "
        "understudy_approx_arms(1000, 10, 1000, 10) AS arms, "
        "understudy_approx_pairs(nullIf(0, 0), 0, 0) AS nothing"
    ).first_row
    assert found[0] == pytest.approx(approximately(28_000, 630 / 28_000, 140, 770))
    assert found[1][0] == pytest.approx(-found[1][1])
    assert found[2] == (None, None)


ONE = {
    "rollout_id": "'r'", "language": "'ja'", "workflow": "''", "window_s": "3600",
    "window_start": "'2026-11-28 10:00:00'", "source": "'events'", "version": "1",
    "closed": "true",
}  # fmt: skip


def put_hour(client: Client, **columns: object) -> None:
    """A row of the hourly roll-up."""
    row = {**ONE, **columns}
    listed = ", ".join(map(str, row.values()))
    client.command(f"INSERT INTO rollup_1h ({', '.join(row)}) VALUES ({listed})")


def findings(client: Client, least: str = "true") -> dict[str, tuple[object, ...]]:
    sql = f"SELECT metric, finding, approx_low FROM language_deltas WHERE units > 0 AND {least}"
    return {name: tuple(found) for name, *found in client.query(sql).result_rows}


def test_one_pair_proves_nothing(client: Client) -> None:
    put_hour(
        client, mode="'shadow'", stable_requests=1, candidate_requests=1, pair_pairs=1,
        pair_cost_usd_count=1, pair_cost_usd_stable_sum="0.001", pair_cost_usd_products="0.000002",
        pair_cost_usd_candidate_sum="0.002", pair_cost_usd_stable_squares="0.000001",
        pair_cost_usd_candidate_squares="0.000004", pair_duration_ratio_count=1,
        pair_duration_ratio_ln_sum=math.log(2), pair_duration_ratio_ln_squares=math.log(2) ** 2,
    )  # fmt: skip
    found = findings(client, "delta IS NOT NULL")
    assert found["cost_usd"] == found["duration"] == ("open", None)
    assert {finding for finding, _ in found.values()} == {"open"}


def test_one_request_of_an_arm_proves_nothing(client: Client) -> None:
    put_hour(
        client, mode="'canary'", stable_requests=1000, candidate_requests=1,
        stable_cost_usd_count=1000, stable_cost_usd_sum="1.0", stable_cost_usd_squares="0.0011",
        candidate_cost_usd_count=1, candidate_cost_usd_sum="0.003",
        candidate_cost_usd_squares="0.000009",
    )  # fmt: skip
    assert findings(client, "delta IS NOT NULL")["cost_usd"] == ("open", None)


def test_of_two_decisions_with_one_number_one_counts(client: Client) -> None:
    one = {
        "guardrail": "g", "metric": "error_rate", "slice": "all", "action": "rollback",
        "limit": "max", "unit": "share", "status": "pass", "required": True, "units": 5,
        "stable": 0.1, "candidate": 0.1, "harm": 0.0, "interval": [0, 1], "harm_margin": 0.1,
        "design_effect": 1.0, "note": "",
    }  # fmt: skip
    for offset in (1, 2):
        decision = json.dumps({"evidence": [one], "offset": offset})
        client.command(
            "INSERT INTO decisions (rollout_id, rollout_created_at, sequence, decided_at, verdict, "
            "reasons, cause_offset, decision) VALUES ('r', '2026-01-01 00:00:00', 7, "
            f"'2026-01-01 00:00:01', 'hold', ['x'], {offset}, '{decision}')"
        )
    assert len(rows(client, "SELECT * FROM rollout_health")) == 1
    assert len(rows(client, "SELECT * FROM evidence")) == 1


def test_a_short_tail_bounds_no_ratio_of_percentiles(client: Client) -> None:
    """Twenty requests of stable do not tell how high its 95th percentile may be, two nothing."""
    sql = "SELECT approx_low, approx_high FROM latency_quantiles WHERE measure = 'duration_ms'"
    expected = {
        (20, 5000): (0.0, 1.0), (5000, 20): (1.0, math.inf), (2, 5000): (0.0, math.inf),
        (5000, 2): (0.0, math.inf), (20, 0): (None, None), (5000, 5000): (1.0, 1.0),
    }  # fmt: skip
    for version, ((stable, candidate), interval) in enumerate(expected.items(), 1):
        put_hour(
            client, mode="'canary'", version=version,
            stable_duration_ms_count=stable, candidate_duration_ms_count=candidate,
            stable_duration_ms_histogram=f"map(100, {stable})",
            candidate_duration_ms_histogram=f"map(100, {candidate})",
        )  # fmt: skip
        assert client.query(sql).result_rows == [interval], (stable, candidate)
