"""Decisions as a deciding worker writes them, with the fields that a gateway reads."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from understudy.schemas.decisions import Decision, encode_decision

DECISION: Final[dict[str, Any]] = {
    "rollout_id": "checkout", "policy_hash": "0" * 64, "verdict": "hold", "reasons": ["r"],
    "decided_at": "2026-03-04T11:59:50Z", "since": "2026-03-04T11:00:00Z",
    "candidate_share": 0.05, "is_latched": False, "is_paused": False,
    "is_within_tolerance": False, "alerts": [], "missing": [], "evidence": [],
    "stage": {
        "index": 1, "next": None, "requests": 0, "duration_s": 0,
        "stage": {"name": "5%", "mode": "canary", "share": 0.05, "min_requests": 1,
                  "min_duration_s": 0.0},
    },
    "quality": {"unmatched_share": 0, "late_share": 0, "log_sample_ratio": 0, "breaches": []},
    "thresholds": {"false_rollback": 0.01, "false_promotion": 0.05, "log_rollback": 4.6,
                   "log_promotion": 3.0, "max_unmatched_share": 0.05, "max_late_share": 0.05},
    "log_evidence": {}, "partitions": {},
}  # fmt: skip


def decision(**changes: Any) -> Decision:
    """A decision of a canary stage that gives the candidate 5 %, with changes."""
    return msgspec.convert({**DECISION, **changes}, Decision)


def decision_bytes(**changes: Any) -> bytes:
    """The same, as in its topic."""
    return encode_decision(decision(**changes))
