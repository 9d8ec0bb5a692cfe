"""Links in notifications: to the dashboard's pages, or to a page of one's own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from understudy.analyzers.guardrails.evidence_figures import rollback_multiple
from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.dashboard.addresses import evidence_address, rollout_address

PLACEHOLDER: Final = "{rollout_id}"


@dataclass(frozen=True, slots=True)
class Links:
    """Where the dashboard is, and a page of one's own; either may be empty."""

    public_url: str = ""
    external_url: str = ""

    def page(self, rollout_id: str) -> str:
        """The page about a rollout: one's own before the dashboard's; empty for neither."""
        if self.external_url:
            return self.external_url.replace(PLACEHOLDER, quote(rollout_id, safe=""))
        return rollout_address(self.public_url, rollout_id)

    def evidence(self, rollout_id: str, guardrail: str, slice_: str) -> str:
        """The dashboard's page about a guardrail in a slice; empty without a dashboard."""
        return evidence_address(self.public_url, rollout_id, guardrail, slice_)

    def views(self, decision: Decision) -> dict[str, str]:
        """The dashboard's views that help now, by name, the first one first."""
        if not self.public_url:
            return {}
        rollout_id, worst = decision.rollout_id, worst_evidence(decision)
        page = rollout_address(self.public_url, rollout_id)
        act = urlencode({"then": f"/rollouts/{quote(rollout_id, safe='')}#act"})
        found = {"rollout": page}
        if worst is not None:
            found["evidence"] = self.evidence(rollout_id, worst.guardrail, worst.slice)
        return {
            **found,
            "traffic": rollout_address(self.public_url, rollout_id, "traffic"),
            "act": f"{self.public_url.rstrip('/')}/sign-in?{act}",
        }


NO_LINKS: Final = Links()


def worst_evidence(decision: Decision) -> Evidence | None:
    """Return what speaks most for a rollback: a breach before all else; None without any."""
    known = [one for one in decision.evidence if one.harm is not None]
    return max(
        known,
        key=lambda one: (one.status == "breach", rollback_multiple(one, decision)),
        default=None,
    )
