"""What a webhook gets, signed as documented."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from tests.streams.alerting.samples import (
    ACT,
    LINKED,
    LINKS,
    NOW,
    ROLLOUT,
    decision,
    message,
)
from understudy.streams.alerting.decision_message import DecisionMessage, notified_state_of
from understudy.streams.alerting.webhook import Webhook, signature

PAGE = Path(__file__).parents[3] / "docs" / "alerting.md"
WEBHOOK = Webhook("https://ops.example/hook", "s3cret", LINKS)


def test_the_webhook_gets_the_decision_as_it_stands_in_the_topic() -> None:
    promoted = message(decision("promote"))
    notification = WEBHOOK.notification(None, promoted, NOW)
    assert notification is not None
    assert json.loads(notification.body) == {
        "type": "decision",
        "id": notification.headers["X-Understudy-Delivery"],
        "rollout_id": ROLLOUT,
        "url": LINKED,
        "links": {
            "rollout": LINKED,
            "pairs": f"{LINKED}/pairs",
            "traffic": f"{LINKED}/traffic",
            "act": ACT,
        },
        "decision": json.loads(promoted.payload),
    }


def test_the_webhook_gets_a_refresh_only_instead_of_a_change_that_it_missed() -> None:
    def refreshed(verdict: str) -> DecisionMessage:
        return message(msgspec.structs.replace(decision(verdict, minute=1), is_refresh=True))

    hold = notified_state_of(message(decision()))
    assert WEBHOOK.notification(hold, message(decision(minute=1)), NOW) is not None
    assert WEBHOOK.notification(hold, refreshed("hold"), NOW) is None
    assert WEBHOOK.notification(hold, refreshed("rollback"), NOW) is not None
    assert WEBHOOK.notification(None, refreshed("hold"), NOW) is not None


def test_the_same_decision_has_the_same_id() -> None:
    def identity(some: DecisionMessage) -> str:
        notification = WEBHOOK.notification(None, some, NOW)
        assert notification is not None
        return notification.headers["X-Understudy-Delivery"]

    assert identity(message(offset=1)) == identity(message(offset=2))
    assert identity(message()) != identity(message(decision(minute=1)))


def test_the_signature_verifies_as_documented() -> None:
    """With the very function that the page shows."""
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    documented: dict[str, Any] = {}
    exec(compile(ast.parse(shown), "alerting.md", "exec"), documented)
    notification = WEBHOOK.notification(None, message(), dt.datetime.now(dt.UTC))
    assert notification is not None
    header = notification.headers["X-Understudy-Signature"]
    is_genuine = documented["is_genuine"]
    assert is_genuine("s3cret", header, notification.body)
    assert not is_genuine("other", header, notification.body)
    assert not is_genuine("s3cret", header, notification.body + b" ")
    assert not is_genuine("s3cret", signature("s3cret", 1, notification.body), notification.body)


def test_the_signature_is_hmac_of_time_and_body() -> None:
    wanted = hmac.new(b"k", b"12.{}", hashlib.sha256).hexdigest()
    assert signature("k", 12, b"{}") == f"t=12,v1={wanted}"


def test_without_a_secret_nothing_is_signed() -> None:
    notification = Webhook("https://ops.example").notification(None, message(), NOW)
    assert notification is not None
    assert "X-Understudy-Signature" not in notification.headers
    assert json.loads(notification.body)["url"] is None


def test_secrets_are_not_in_what_is_printed() -> None:
    assert "s3cret" not in repr(WEBHOOK)
