"""The dashboard of a demo: the service's own pages, open while it runs and after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from rich.console import Console

from understudy.streams.embedded_service import OPERATOR, free_port, new_token
from understudy.streams.http.server import http_server
from understudy.streams.monitoring.worker_components import WorkerComponents
from understudy.streams.replay.stored_trial import page_judge
from understudy.streams.settings import HttpSettings, Settings


@dataclass(frozen=True, slots=True)
class DemoDashboard:
    """Where it is, and how to act on it."""

    url: str
    token: str

    def announce(self, console: Console) -> None:
        """Say where to look, and how to act while the demo decides."""
        console.print(f"Dashboard: {self.url}", soft_wrap=True)
        console.print(
            f"To see pairs, or to kill or resume the rollout, sign in with {self.token}",
            soft_wrap=True,
        )

    def stay_open(self, console: Console) -> None:
        """Leave the pages open until Ctrl-C."""
        console.print()
        console.print(f"Dashboard: {self.url}", soft_wrap=True)
        console.print("It stays open until you press Ctrl-C.", style="dim")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


@contextmanager
def demo_dashboard(settings: Settings, rollout_id: str) -> Iterator[DemoDashboard]:
    """Serve the pages inside the context, at the usual port where it is free."""
    token = new_token()
    http = HttpSettings(
        port=free_port(settings.http.port, settings.http.host),
        tokens=f"{OPERATOR}:operate+captures:{token}",
    )
    served = msgspec.structs.replace(settings, http=http)
    judge = page_judge(served.clickhouse.url)
    with http_server(served, WorkerComponents(("api",)), with_api=True, judge=judge):
        page = f"http://{http.host}:{http.port}/rollouts/{quote(rollout_id, safe='')}"
        yield DemoDashboard(page, token)
