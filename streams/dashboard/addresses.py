"""Addresses of the dashboard's pages, for links from elsewhere. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

View = Literal["", "traffic", "pairs", "history", "policy"]
"""A page about a rollout; the empty one is its overview."""


def rollout_path(rollout_id: str) -> str:
    """Return the path of a rollout's overview; those of its other pages begin with it."""
    return f"/rollouts/{quote(rollout_id, safe='')}"


def rollout_address(public_url: str, rollout_id: str, view: View = "") -> str:
    """Return the address of a page about a rollout; empty where nobody says where pages are."""
    if not public_url:
        return ""
    end = f"/{view}" if view else ""
    return f"{public_url.rstrip('/')}{rollout_path(rollout_id)}{end}"


def evidence_address(public_url: str, rollout_id: str, guardrail: str, slice_: str) -> str:
    """Return the address of the page about a guardrail in a slice; empty likewise."""
    page = rollout_address(public_url, rollout_id)
    named = f"/evidence/{quote(guardrail, safe='')}?slice={quote(slice_, safe='')}"
    return page + named if page else ""
