"""Links in notifications: to the dashboard's pages, or to a page of one's own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.dashboard.addresses import evidence_address, rollout_address, rollout_path
from understudy.streams.dashboard.evidence_rows import worst_evidence
from understudy.streams.dashboard.pair_filter import pairs_query

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
        act = urlencode({"then": f"{rollout_path(rollout_id)}#act"})
        found = {"rollout": page}
        if worst is not None:
            found["evidence"] = self.evidence(rollout_id, worst.guardrail, worst.slice)
        return {
            **found,
            "pairs": self._pairs(rollout_id, worst),
            "traffic": rollout_address(self.public_url, rollout_id, "traffic"),
            "act": f"{self.public_url.rstrip('/')}/sign-in?{act}",
        }

    def _pairs(self, rollout_id: str, worst: Evidence | None) -> str:
        """Pairs that show what the worst evidence found, of the last day; else all."""
        page = rollout_address(self.public_url, rollout_id, "pairs")
        if worst is None:
            return page
        return f"{page}?{pairs_query(worst)}"


NO_LINKS: Final = Links()
