"""The dashboard of a demo."""

from __future__ import annotations

import io
import socket
import urllib.error
import urllib.request

import msgspec
import pytest
from rich.console import Console

from tests.waiting import wait_until
from understudy.streams.demo.dashboard import demo_dashboard
from understudy.streams.settings import HttpSettings, KafkaSettings, Settings

pytestmark = pytest.mark.embedded


def answers(url: str) -> bool:
    """Whether anything listens there; without Kafka the page says that it knows no rollouts."""
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_pages_are_open_inside_the_context_at_another_port_where_the_usual_one_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        http = HttpSettings(port=port)
        kafka = KafkaSettings(bootstrap_servers="127.0.0.1:1")
        settings = msgspec.structs.replace(Settings(), http=http, kafka=kafka)
        with demo_dashboard(settings, "a/b") as dashboard:
            assert f":{port}/" not in dashboard.url
            assert dashboard.url.endswith("/rollouts/a%2Fb")
            wait_until(lambda: answers(dashboard.url), "the dashboard answers")
            said = io.StringIO()
            dashboard.announce(Console(file=said, width=80))
    assert dashboard.url in said.getvalue()
    assert dashboard.token in said.getvalue()
    assert not answers(dashboard.url)
