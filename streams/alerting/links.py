"""The link in notifications to a page about the rollout."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

PLACEHOLDER: Final = "{rollout_id}"


def link_to(external_url: str, rollout_id: str) -> str:
    """The URL with the rollout in place of `{rollout_id}`; empty when none is configured."""
    return external_url.replace(PLACEHOLDER, quote(rollout_id, safe=""))
