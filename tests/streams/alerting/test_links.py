"""Links name the rollout, whatever characters it has."""

from __future__ import annotations

import pytest

from understudy.streams.alerting.links import link_to


@pytest.mark.parametrize(
    ("external_url", "link"),
    [
        ("", ""),
        ("https://ops.example/rollouts", "https://ops.example/rollouts"),
        ("https://ops.example/{rollout_id}#now", "https://ops.example/a%2Fb%20%E5%90%8D#now"),
        ("https://x/?r={rollout_id}&s={rollout_id}",
         "https://x/?r=a%2Fb%20%E5%90%8D&s=a%2Fb%20%E5%90%8D"),
    ],
)  # fmt: skip
def test_the_rollout_takes_the_placeholders_place(external_url: str, link: str) -> None:
    assert link_to(external_url, "a/b 名") == link
