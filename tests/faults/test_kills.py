"""Workers that die or are stopped: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.harness import Run
from tests.faults.workload import Workload

pytestmark = [pytest.mark.faults, pytest.mark.integration]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_undisturbed(run: Callable[..., Run], protocol: str) -> None:
    calm = run(protocol=protocol)
    calm.worker()
    calm.publish(Workload(1, 600).messages)
    calm.wait_until_settled()
    calm.stop_workers()
    truth = calm.check()
    print(calm.summary(truth))
    assert all(kind in calm.summary(truth) for kind in ("late", "duplicate", "unmatched_control"))
