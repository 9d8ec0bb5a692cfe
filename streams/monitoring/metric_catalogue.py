"""Every metric that a worker exposes about itself; the documentation is checked against it."""

from __future__ import annotations

from typing import Any, Final

from understudy.streams.monitoring.deciding_metrics import DECIDING
from understudy.streams.monitoring.drift_metrics import DRIFT
from understudy.streams.monitoring.evaluating_metrics import EVALUATING
from understudy.streams.monitoring.metric_specs import MetricSpec
from understudy.streams.monitoring.pairing_metrics import PAIRING
from understudy.streams.monitoring.worker_components import WORKER

METRICS: Final[tuple[MetricSpec[Any], ...]] = (
    *PAIRING, *DECIDING, *EVALUATING, *DRIFT, *WORKER,
)  # fmt: skip
"""On Linux the usual `process_…` metrics of Prometheus's client are exposed as well."""
