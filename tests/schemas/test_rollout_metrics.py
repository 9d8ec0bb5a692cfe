"""What limits a metric takes, and how they are written."""

from __future__ import annotations

import pytest

from understudy.schemas.rollout_metrics import (
    AGREEMENTS,
    EXCESSES,
    MEANS,
    METRICS,
    RATES,
    RESERVED,
    TIMES,
    Kind,
    Limit,
    Quantity,
    Unit,
    parse_quantity,
    parse_share,
)


def test_names_say_what_they_are_and_none_is_reserved() -> None:
    assert not METRICS.keys() & RESERVED.keys()
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.limits, name
        assert not set(metric.limits) & metric.refused.keys(), name


@pytest.mark.parametrize("name", sorted(METRICS))
def test_what_a_metric_does_not_take_says_what_to_use(name: str) -> None:
    metric = METRICS[name]
    limits: tuple[Limit, ...] = ("max", "min", "max_increase", "max_drop")
    for limit in limits:
        assert (
            limit in metric.limits
            or "use max" in metric.refused[limit]
            or ("use min" in metric.refused[limit])
        )


def test_quantiles_name_their_measure_and_share() -> None:
    metric = METRICS["duration_p95"]
    assert (metric.measure, metric.quantile, metric.unit) == ("duration", 0.95, "ms")


@pytest.mark.parametrize(
    ("written", "share"), [("5%", 0.05), ("0.05", 0.05), (0.05, 0.05), (1, 1.0), (" 100 % ", 1.0)]
)
def test_shares(written: str | float, share: float) -> None:
    assert parse_share(written) == pytest.approx(share)


@pytest.mark.parametrize("written", ["5pp", "101%", "-1%", 1.5, "five", "", "5 percent"])
def test_what_is_no_share_is_refused(written: str | float) -> None:
    with pytest.raises(ValueError, match=r"share|quantity"):
        parse_share(written)


@pytest.mark.parametrize(
    ("name", "limit", "written", "quantity"),
    [
        ("error_rate", "max", "1%", Quantity(0.01, False)),
        ("error_rate", "max_increase", "0.5pp", Quantity(0.005, False)),
        ("duration_p95", "max", "8s", Quantity(8000.0, False)),
        ("duration_p95", "max", "2m", Quantity(120_000.0, False)),
        ("duration_p95", "max_increase", "20%", Quantity(0.2, True)),
        ("duration_p95", "max_increase", "800ms", Quantity(800.0, False)),
        ("cost_usd", "max", 0.01, Quantity(0.01, False)),
        ("cost_usd", "max_increase", "10%", Quantity(0.1, True)),
        ("cost_usd", "max_increase", "1.5x", Quantity(0.5, True)),
        ("error_rate", "max_increase", "3x", Quantity(2.0, True)),
        ("lost_rate", "max_increase", "1x", Quantity(0.0, True)),
        ("output_tokens", "max_drop", "99.9%", Quantity(0.999, True)),
    ],
)
def test_limits_in_their_units(
    name: str, limit: Limit, written: str | float, quantity: Quantity
) -> None:
    found = parse_quantity(METRICS[name], limit, written)
    assert found.value == pytest.approx(quantity.value)
    assert found.relative is quantity.relative


@pytest.mark.parametrize(
    ("name", "limit", "written", "problem"),
    [
        ("error_rate", "max", "0%", "leaves nothing to test"),
        ("error_rate", "max", "100%", "leaves nothing to test"),
        ("error_rate", "max_increase", "1%", "write percentage points"),
        ("error_rate", "max_increase", "100pp", "tolerates everything"),
        ("duration_p95", "max", 8, "needs a unit"),
        ("duration_p95", "max", "0s", "above 0"),
        ("duration_p95", "max", "-1s", "negative"),
        ("cost_usd", "max", "1 eur", "write a number in usd"),
        ("output_tokens", "max_drop", "100%", "tolerates everything"),
    ],
)
def test_what_is_no_limit_says_how_to_write_one(
    name: str, limit: Limit, written: str | float, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_quantity(METRICS[name], limit, written)


@pytest.mark.parametrize(
    ("name", "kind", "unit", "limits"),
    [
        ("error_rate", "rate", "share", ("max", "max_increase")),
        ("json_valid_rate", "rate", "share", ("min", "max_drop")),
        ("feedback", "rate", "share", ("min", "max_drop")),
        ("tool_call_match", "agreement", "share", ("min", "max_drop")),
        ("duration_p99", "quantile", "ms", ("max", "max_increase")),
        ("cost_usd", "mean", "usd", ("max", "max_increase")),
        ("output_tokens", "mean", "tokens", ("max", "min", "max_increase", "max_drop")),
        ("similarity_excess", "excess", "share", ("max",)),
        ("unmatched_share", "accounting", "share", ("max",)),
        ("lost_rate", "lost", "share", ("max", "max_increase")),
    ],
)
def test_the_kind_of_a_measure_says_what_can_be_limited(
    name: str, kind: Kind, unit: Unit, limits: tuple[Limit, ...]
) -> None:
    metric = METRICS[name]
    assert (metric.kind, metric.unit, metric.limits) == (kind, unit, limits)
    assert metric.refused.keys() == {"max", "min", "max_increase", "max_drop"} - set(limits)


def test_each_metric_is_read_from_one_measure() -> None:
    quantiles = {f"{name}_p{q}" for name in TIMES for q in (50, 95, 99)}
    of_evaluators = ["quality_preference", "quality_score"]
    others = ["lost_rate", "unmatched_share", *of_evaluators]
    named = [*RATES, *AGREEMENTS, *quantiles, *MEANS, *EXCESSES, *others]
    assert sorted(named) == sorted(METRICS)


def test_quantiles_say_which_measure_and_title_is_theirs() -> None:
    metric = METRICS["time_to_first_token_p95"]
    assert (metric.measure, metric.quantile) == ("time_to_first_token", 0.95)
    assert metric.title == "time to first token p95"
    assert TIMES[metric.measure].name == "time_to_first_token_ms"


def test_every_metric_says_what_counts_as_harm() -> None:
    assert all(metric.harm for metric in METRICS.values())
