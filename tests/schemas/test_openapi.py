"""The description of the HTTP API: whole, and about the routes that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import web

from understudy.schemas import openapi
from understudy.streams.http import dashboard_routes, probe_routes
from understudy.streams.http.app import API_ROUTES

DESCRIPTION = openapi.build()


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    served = {
        (route.method.lower(), route.path.replace(":[^/]+", ""))
        for routes in (probe_routes.routes, *API_ROUTES)
        if routes is not dashboard_routes.routes  # pages are for people
        for route in routes
        if isinstance(route, web.RouteDef)
    }
    described = {(operation.method, operation.path) for operation in openapi.OPERATIONS}
    assert described == served


def test_names_are_names_once() -> None:
    names = [operation.name for operation in openapi.OPERATIONS]
    assert len(set(names)) == len(names)
    assert len({(one.method, one.path) for one in openapi.OPERATIONS}) == len(names)


@pytest.mark.parametrize("operation", openapi.OPERATIONS, ids=lambda one: one.name)
def test_each_says_what_its_path_names(operation: openapi.Operation) -> None:
    named = [one.name for one in operation.parameters if one.where == "path"]
    assert re.findall(r"\{(\w+)\}", operation.path) == named
    assert operation.needs_token is {401, 403}.issubset(operation.failures)
    assert all(status >= 400 for status in operation.failures)


def test_references_lead_somewhere() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    references = {node["$ref"] for node in _nodes(DESCRIPTION) if "$ref" in node}
    assert references
    assert {name.removeprefix("#/components/schemas/") for name in references} <= schemas.keys()


@pytest.mark.parametrize("name", DESCRIPTION["components"]["schemas"])
def test_schemas_are_schemas(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(DESCRIPTION["components"]["schemas"][name])


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for inner in node.values():
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)
