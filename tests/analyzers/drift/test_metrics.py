"""What is compared stands in windows, whatever it is called."""

from __future__ import annotations

import msgspec
import numpy as np

from understudy.analyzers.drift.metrics import COLUMNS, DRIFT_METRICS
from understudy.schemas.window_measures import SideSums

METRICS = {metric.name: metric for metric in DRIFT_METRICS}


def test_all_columns_are_those_of_a_side_in_a_window() -> None:
    assert set(COLUMNS) <= {field.name for field in msgspec.structs.fields(SideSums)}
    assert {"error_rate", "json_valid_rate", "answer_length", "output_tokens", "cost_usd",
            "duration", "feedback"} <= METRICS.keys()  # fmt: skip


def test_rates_and_times_are_sums_of_values() -> None:
    columns = {name: np.array([float(n)]) for n, name in enumerate(COLUMNS)}
    errors, times = METRICS["error_rate"], METRICS["duration"]
    assert errors.sums(columns).squares is errors.sums(columns).total is columns["errors"]
    assert times.kind == "log_mean"
    assert times.sums(columns).squares is columns["duration_ms_ln_squares"]


def test_what_no_request_tells_is_not_measured() -> None:
    metric = METRICS["fallback_rate"]
    columns = {name: np.array([10.0, 10.0]) for name in metric.columns}
    columns["fallback_known"] = np.array([0.0, 3.0])
    assert metric.sums(columns).number.tolist() == [0.0, 10.0]
