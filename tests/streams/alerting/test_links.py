"""Links name the rollout, whatever characters it has, and lead to where one can act."""

from __future__ import annotations

import msgspec
import pytest

from tests.streams.demo.decisions import at_multiple, decision, evidence
from understudy.streams.alerting.links import Links

HOST = "https://understudy.example"


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
    assert Links(external_url=external_url).page("a/b 名") == link


def test_a_page_of_ones_own_comes_before_the_dashboards() -> None:
    assert Links(HOST).page("a") == f"{HOST}/rollouts/a"
    assert Links(HOST, "https://ops.example").page("a") == "https://ops.example"


def test_views_lead_to_the_worst_evidence_and_through_the_form_to_act() -> None:
    made = msgspec.structs.replace(
        decision("rollback", evidence("all"), evidence("language:ja", at_multiple(4.0))),
        rollout_id="a/b",
    )
    assert Links(f"{HOST}/").views(made) == {
        "rollout": f"{HOST}/rollouts/a%2Fb",
        "evidence": f"{HOST}/rollouts/a%2Fb/evidence/json_valid_rate?slice=language%3Aja",
        "pairs": f"{HOST}/rollouts/a%2Fb/pairs?language=ja&kind=json&hours=24",
        "traffic": f"{HOST}/rollouts/a%2Fb/traffic",
        "act": f"{HOST}/sign-in?then=%2Frollouts%2Fa%252Fb%23act",
    }
    bare = Links(HOST).views(decision("hold"))
    assert "evidence" not in bare
    assert bare["pairs"].endswith("/pairs")
    assert Links("", "https://ops.example").views(made) == {}
