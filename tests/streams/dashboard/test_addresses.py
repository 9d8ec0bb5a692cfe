"""Addresses of the dashboard's pages."""

from __future__ import annotations

import pytest

from understudy.streams.dashboard.addresses import evidence_address, rollout_address

HOST = "https://understudy.example"


@pytest.mark.parametrize("base", [HOST, f"{HOST}/"])
def test_names_are_escaped_and_the_address_is_that_of_the_page(base: str) -> None:
    assert rollout_address(base, "a/b 名") == f"{HOST}/rollouts/a%2Fb%20%E5%90%8D"
    assert rollout_address(base, "a", "traffic") == f"{HOST}/rollouts/a/traffic"
    assert evidence_address(base, "a", "error_rate", "language:ja") == (
        f"{HOST}/rollouts/a/evidence/error_rate?slice=language%3Aja"
    )


def test_where_nobody_says_where_pages_are_there_is_no_link() -> None:
    assert rollout_address("", "a") == ""
    assert evidence_address("", "a", "error_rate", "all") == ""
