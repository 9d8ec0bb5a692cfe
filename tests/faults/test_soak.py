"""A few seeds of the soak; many more run by hand, see `docs/reliability.md`."""

from __future__ import annotations

import pytest

from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import ClickHouseServer
from tests.faults.soak import Soak, WholePathSoak, soak

pytestmark = [pytest.mark.faults, pytest.mark.integration, pytest.mark.slow]

SEEDS = (1, 2)


def test_everything_at_random(own_broker: Broker, own_clickhouse: ClickHouseServer) -> None:
    for seed in SEEDS:
        for kind in (Soak, WholePathSoak):
            result = soak(seed, own_broker, own_clickhouse, kind)
            assert not result.failure, f"{kind.__name__}, seed {seed}:\n{result.failure}"
