"""Which workflow runs which rollouts with which models: product code names a workflow alone.

From a file:

    default: heron-4                  # serves workflows without a route
    routes:
      - workflows: [checkout]
        rollout_id: checkout-2026-11
        models: {stable: heron-4, candidate: heron-5}
        shadow_share: 50%             # of the requests that a decision lets be mirrored
        budget_usd_per_day: 20

or from the policies in force (`KafkaPolicies`), whose `workflows` and `models` say the same. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta

from understudy.schemas.events import Identifier, Label
from understudy.schemas.rollout_metrics import parse_share
from understudy.schemas.rollouts import MAX_WORKFLOWS, Models, RolloutManifest

MAX_FILE_CHARACTERS: Final = 1_048_576
"""Thousands of routes; YAML costs 10 s of CPU time per megabyte."""
Share = float
"""Of 1; a file may say `50%`."""
Positive = Annotated[float, Meta(gt=0)]


class RouteTableError(ValueError):
    """A table that cannot be used; the message says where and what to do."""


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rollout of some workflows, and what the gateway chooses for it."""

    rollout_id: Identifier
    models: Models
    workflows: Annotated[tuple[Label, ...], Meta(max_length=MAX_WORKFLOWS)] = ()
    """Empty: all workflows that no route names."""
    shadow_share: Share = 1.0
    control_share: Share = 0.0
    max_in_flight: Annotated[int, Meta(ge=1)] | None = None
    timeout_s: Positive | None = None
    budget_usd_per_day: Annotated[float, Meta(ge=0)] | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    routes: tuple[Route, ...]
    default: str | None = None


class RouteTable:
    """The routes of all workflows; it never changes, a newer one replaces it."""

    def __init__(
        self,
        routes: Iterable[Route],
        default_model: str | None = None,
        *,
        is_complete: bool = True,
    ) -> None:
        """Raises `RouteTableError` for two routes of one rollout, or two stables of a workflow."""
        self.default_model = default_model
        """Serves workflows without a route."""
        self.is_complete = is_complete
        """Whether a workflow without a route has none; else the routes are yet to be read."""
        self._routes = tuple(routes)
        self._named: dict[str, tuple[Route, ...]] = {}
        self._others: tuple[Route, ...] = ()
        self.rollout_ids: frozenset[str] = frozenset()
        for route in self._routes:
            if route.rollout_id in self.rollout_ids:
                raise RouteTableError(f"two routes are of the rollout {route.rollout_id}")
            self.rollout_ids |= {route.rollout_id}
            for workflow in dict.fromkeys(route.workflows):
                self._named[workflow] = (*self._named.get(workflow, ()), route)
            if not route.workflows:
                self._others = (*self._others, route)
        for workflow, found in {**self._named, "all other workflows": self._others}.items():
            _check_stable(workflow, found)

    def all_routes(self) -> frozenset[Route]:
        """Return the routes of all workflows."""
        return frozenset(self._routes)

    def routes(self, workflow: str | None) -> tuple[Route, ...]:
        """Return the routes of a workflow: one a candidate, all with the same stable model."""
        return self._named.get(workflow or "", self._others)

    def stable_model(self, workflow: str | None) -> str | None:
        """Return the model that serves a workflow while no candidate does; None without one."""
        found = self.routes(workflow)
        return found[0].models.stable if found else self.default_model


def _check_stable(workflow: str, routes: tuple[Route, ...]) -> None:
    stables = sorted({route.models.stable for route in routes})
    if len(stables) > 1:
        raise RouteTableError(
            f"{workflow}: its rollouts have different stable models ({', '.join(stables)}); "
            "a request is answered by one"
        )


def read_route_table(text: str, source: str = "routes") -> RouteTable:
    """Read a table from YAML or JSON. Raises `RouteTableError`."""
    if len(text) > MAX_FILE_CHARACTERS:
        raise RouteTableError(f"{source}: more than {MAX_FILE_CHARACTERS} characters")
    try:
        file = msgspec.convert(_with_shares(yaml.safe_load(text)), _File)
        return RouteTable(file.routes, file.default)
    except (yaml.YAMLError, ValueError) as error:
        raise RouteTableError(f"{source}: {error}") from None


def _with_shares(document: Any) -> Any:
    """The document with fractions of 1 for shares such as `50%`."""
    if not isinstance(document, Mapping) or not isinstance(document.get("routes"), list):
        return document
    routes = [
        {name: parse_share(value) if name.endswith("_share") else value
         for name, value in route.items()}
        if isinstance(route, Mapping) else route
        for route in document["routes"]
    ]  # fmt: skip
    return {**document, "routes": routes}


def table_of_policies(
    manifests: Iterable[RolloutManifest], default_model: str | None = None
) -> RouteTable:
    """Return the table that policies in force make. Raises `RouteTableError`."""
    return RouteTable(
        (
            Route(
                rollout_id=manifest.rollout_id,
                models=manifest.models,
                workflows=tuple(manifest.workflows or ()),
            )
            for manifest in manifests
        ),
        default_model,
    )
