"""Complete, valid decisions, with what matters as an argument."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from understudy.schemas.decisions import Decision, decode_decision, encode_decision
from understudy.streams.alerting.decision_message import DecisionMessage
from understudy.streams.alerting.links import Links

ROLLOUT = "helpdesk <v2> & more"
AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
CREATED_AT = dt.datetime(2026, 3, 1, 9, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 3, 2, 12, 5, tzinfo=dt.UTC)
BAR = 4.6
LINKS = Links("https://understudy.example")
LINKED = "https://understudy.example/rollouts/helpdesk%20%3Cv2%3E%20%26%20more"
ACT = (
    "https://understudy.example/sign-in?then=%2Frollouts%2Fhelpdesk%2520%253Cv2%253E%2520%2526%2520"
    "more%23act"
)


def evidence(
    guardrail: str = "duration_p95", slice_name: str = "language:ja", log: float = 6.0
) -> dict[str, Any]:
    """A guardrail that alerts, in one slice."""
    return {
        "guardrail": guardrail, "metric": "duration_p95", "slice": slice_name, "action": "alert",
        "limit": "max_increase", "margin": 0.2, "relative": True, "unit": "ms", "required": False,
        "status": "breach", "units": 1840, "units_closed": 1800, "candidate": 0.09,
        "stable": 0.05, "harm": 0.04, "interval": [0.01, None], "harm_margin": 0.01,
        "weight": 0.5, "log_rollback": log, "log_promotion": 0.0, "design_effect": 1.0,
        "statistics": {"pairs": 1, "candidate_only": 1},
        "independent_units": 1840,
    }  # fmt: skip


def alert(kind: str, name: str, slice_name: str = "all") -> dict[str, str]:
    """An alert about a guardrail or a limit, with its sentence."""
    says = "is slow" if kind == "guardrail" else "is broken"
    return {"kind": kind, "name": name, "slice": slice_name, "sentence": f"{name} {says}"}


def decision(
    verdict: str = "hold",
    *,
    rollout_id: str = ROLLOUT,
    minute: int = 0,
    paused: bool = False,
    alarming: tuple[dict[str, Any], ...] = (),
    breaches: tuple[str, ...] = (),
    stage: int = 0,
    sequence: int = 0,
) -> Decision:
    """As the deciding worker would emit it."""
    at = (AT + dt.timedelta(minutes=minute)).isoformat()
    raw = {
        "rollout_id": rollout_id, "rollout_created_at": CREATED_AT.isoformat(),
        "sequence": sequence, "policy_hash": "abc", "verdict": verdict,
        "reasons": ["JSON validity in `ja` fell 9.1 points <!channel>"], "decided_at": at,
        "since": AT.isoformat(), "candidate_share": 0.0 if verdict == "rollback" else 0.05,
        "is_latched": verdict == "rollback", "is_paused": paused, "is_within_tolerance": False,
        "alerts": [*(alert("guardrail", one["guardrail"], one["slice"]) for one in alarming),
                   *(alert("data_quality", breach) for breach in breaches)],
        "missing": [],
        "stage": {
            "index": stage, "next": None, "requests": 10, "duration_s": 60.0,
            "stage": {
                "name": "canary", "mode": "canary", "share": 0.05, "min_requests": 1,
                "min_duration_s": 1.0,
            },
        },
        "quality": {
            "unmatched_share": 0.0, "late_share": 0.0, "log_sample_ratio": 0.0,
            "breaches": list(breaches),
        },
        "thresholds": {
            "false_rollback": 0.01, "false_promotion": 0.05, "log_rollback": BAR,
            "log_promotion": 3.0, "max_unmatched_share": 0.05, "max_late_share": 0.01,
        },
        "log_evidence": {"rollback": None, "pause": None, "alert": 5.3 if alarming else None},
        "evidence": list(alarming), "partitions": {"0": 41, "3": 7},
        "feedback_partitions": {"2": 5},
    }  # fmt: skip
    return decode_decision(msgspec.json.encode(raw))


def message(
    some: Decision | None = None, *, offset: int = 0, partition: int = 0
) -> DecisionMessage:
    """As read from the topic."""
    some = some or decision()
    return DecisionMessage(partition, offset, some.rollout_id, encode_decision(some), some)


def tombstone(rollout_id: str = ROLLOUT, *, offset: int = 0) -> DecisionMessage:
    """A tombstone."""
    return DecisionMessage(0, offset, rollout_id, b"", None)
