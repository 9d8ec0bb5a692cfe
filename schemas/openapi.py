"""The HTTP API's description, OpenAPI 3.1, made from the records it takes and answers.

`OPERATIONS` is the whole of it: a test holds it against the routes and against what they answer.
`python -m understudy.schemas.generate` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from understudy.schemas import api
from understudy.schemas.decisions import Decision
from understudy.schemas.json_parts import Schema, components
from understudy.schemas.rollouts import RolloutManifest

FILE: Final = "openapi.json"
TOKEN: Final = "token"
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
YAML: Final = "application/yaml"
TEXT: Final = "text/plain"
_REFERENCE: Final = "#/components/schemas/{name}"
_DESCRIPTION: Final = """\
How rollouts stand, why, and what to do about it. Anybody who reaches it may read; writing takes a \
bearer token. Errors are problem documents (RFC 9457). Any worker that decides answers for all \
rollouts, and with 503 while it does not know how they stand."""
_WAITING: Final = (
    "With `If-None-Match` and `Prefer: wait=30` the answer comes when there is another one to give,"
    " or after 30 s (60 at most) with 304."
)

STATUSES: Final[Mapping[int, str]] = {
    200: "As asked",
    201: "Begun",
    202: "Written, and not seen to be obeyed yet",
    204: "Done",
    304: "What the client has",
    400: "A parameter or body that says nothing",
    401: "No token, or one that nobody has",
    403: "No tokens are configured",
    404: "Not there, or not yet",
    408: "The body did not come in time",
    409: "Not as things stand",
    412: "The decision is another by now",
    413: "The body is too large",
    415: "Neither YAML nor JSON, or compressed",
    422: "Understood, and not usable",
    503: "Kafka, ClickHouse, or how rollouts stand, is not there now",
}

Content = type[msgspec.Struct] | Schema
"""A record, or a schema of what is none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; required in paths."""

    name: str
    where: str
    description: str
    schema: Schema

    def build(self) -> Schema:
        """As OpenAPI says it."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.where == "path",
            "description": self.description,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method does at one path."""

    method: str
    path: str
    name: str
    summary: str
    answers: Mapping[int, tuple[str, Content | None]]
    """By status the media type and what is in it."""
    failures: tuple[int, ...]
    """Statuses with a problem document."""
    details: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Content] | None = None
    is_body_needed: bool = False
    needs_token: bool = False


ID: Final = Parameter("rollout_id", "path", "As in the policy, percent-encoded.",
                      {"type": "string"})  # fmt: skip
PREFER: Final = Parameter("Prefer", "header", "`wait=SECONDS`, 60 at most (RFC 7240).",
                          {"type": "string", "examples": ["wait=30"]})  # fmt: skip
IF_NONE_MATCH: Final = Parameter("If-None-Match", "header", "The `ETag` that the client has.",
                                 {"type": "string"})  # fmt: skip
IF_MATCH: Final = Parameter(
    "If-Match", "header", "The `ETag` of the decision that was looked at; 412 when it is another.",
    {"type": "string"},
)  # fmt: skip
CONDITIONAL: Final = (IF_NONE_MATCH, PREFER)
ROLLOUTS: Final = "/api/v1/rollouts"
ROLLOUT: Final = f"{ROLLOUTS}/{{rollout_id}}"
FLAGGER: Final = "/api/v1/gates/flagger"
QUERY: Final = "/api/v1/query"
FORM: Final = "application/x-www-form-urlencoded"
PLAIN_TEXT: Final[Schema] = {"type": "string"}
ANY_OBJECT: Final[Schema] = {"type": "object"}


def _read(
    path: str, name: str, summary: str, record: type[msgspec.Struct], *more: Parameter,
    details: str = "",
) -> Operation:  # fmt: skip
    """Something that a client asks for again and again."""
    about_one = "{rollout_id}" in path
    return Operation(
        "get", path, name, summary, {200: (JSON, record), 304: ("", None)},
        (400, 404, 503) if about_one else (400, 503),
        details=f"{details} {_WAITING}".strip(),
        parameters=(*((ID,) if about_one else ()), *more, *CONDITIONAL),
    )  # fmt: skip


def _command(name: str, summary: str, body: type[msgspec.Struct]) -> Operation:
    return Operation(
        "post", f"{ROLLOUT}/{name}", f"{name}Rollout", summary,
        {200: (JSON, api.Asked), 202: (JSON, api.Asked)},
        (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503),
        details="200 when a decision shows that it was obeyed; 202 when none did within 10 s, or "
        "what `Prefer: wait` says. The command stands either way.",
        parameters=(ID, PREFER, IF_MATCH), body={JSON: body}, is_body_needed=body is api.Kill,
        needs_token=True,
    )  # fmt: skip


def _hook(name: str, operation: str, summary: str) -> Operation:
    """A question of Flagger's: 200 is yes, anything else no."""
    said = (TEXT, PLAIN_TEXT)
    return Operation(
        "post", f"{FLAGGER}/{name}", operation, summary,
        {200: said, 400: said, 404: said, 409: said, 503: said}, (413,),
        details="See docs/integrations.md. Takes no token, for it changes nothing.",
        parameters=(
            Parameter("rollout_id", "query", "Or `metadata.rollout_id`.", {"type": "string"}),
            Parameter("stage", "query", "Or `metadata.stage`.", {"type": "string"}),
        ),
        body={JSON: api.HookCall}, is_body_needed=True,
    )  # fmt: skip


_QUERY_PARAMETERS: Final = (
    Parameter("query", "query", "A number, `vector(1)`, or a series.", {"type": "string"}),
    Parameter("time", "query", "The present, where it is given.", {"type": "string"}),
    Parameter("timeout", "query", "Without effect.", {"type": "string"}),
)
_QUERY_ANSWERS: Final = {200: (JSON, ANY_OBJECT), 400: (JSON, ANY_OBJECT), 503: (JSON, ANY_OBJECT)}

OPERATIONS: Final = (
    _read(ROLLOUTS, "listRollouts", "All rollouts in short", api.RolloutList),
    _read(ROLLOUT, "getRollout", "A rollout with its policy and commands", api.RolloutDetail),
    Operation(
        "put", ROLLOUT, "applyPolicy", "Put a policy in force",
        {200: (JSON, api.Applied), 201: (JSON, api.Applied)},
        (400, 401, 403, 408, 409, 413, 415, 422, 503),
        details="Begins a rollout or changes one under way, as `understudy rollout apply` does. A "
        "policy that cannot be used is 422, with `line` and `column`.",
        parameters=(ID, Parameter("dry_run", "query", "Say what would change, and write nothing.",
                                  {"type": "boolean", "default": False})),
        body={YAML: RolloutManifest, JSON: RolloutManifest}, is_body_needed=True, needs_token=True,
    ),
    Operation(
        "delete", ROLLOUT, "deleteRollout", "Forget a rollout, its evidence and its decision",
        {204: ("", None)}, (400, 401, 403, 404, 503), parameters=(ID,), needs_token=True,
    ),
    _read(f"{ROLLOUT}/status", "getStatus", "A rollout in short", api.RolloutStatus),
    _read(
        f"{ROLLOUT}/decision", "getDecision", "The newest decision", Decision,
        details="Byte for byte as it stands in the topic. 404 before the first one; `Prefer: wait` "
        "waits for it.",
    ),
    _read(
        f"{ROLLOUT}/evidence", "getEvidence", "What the newest decision rests on", api.EvidenceList,
        Parameter("guardrail", "query", "Of one guardrail.", {"type": "string"}),
        Parameter("slice", "query", "Of one slice: `all`, `language:ja`, …", {"type": "string"}),
    ),
    Operation(
        "get", f"{ROLLOUT}/history", "getHistory", "Earlier decisions, out of ClickHouse",
        {200: (JSON, api.HistoryPage)}, (400, 503),
        details="Of rollouts that were deleted, too; nothing for one that never was.",
        parameters=(
            ID,
            Parameter("before", "query", "A time, or `next_before` of the page before.",
                      {"type": "string", "examples": ["2026-03-02T09:15:30Z"]}),
            Parameter("limit", "query", "How many at most.",
                      {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
        ),
    ),
    _command("kill", "Roll back now, whatever the evidence", api.Kill),
    _command("resume", "Take back a rollback or a pause", api.Ask),
    _command("promote", "Move to the next stage, whatever the evidence", api.Ask),
    Operation("get", "/api/v1/openapi.json", "getDescription", "This description",
              {200: (JSON, ANY_OBJECT)}, (400,)),
    Operation("get", "/metrics", "getMetrics", "All rollouts as Prometheus series",
              {200: (TEXT, PLAIN_TEXT)}, (503,)),
    Operation("get", "/readyz", "getReadiness", "Whether this worker can answer now",
              {200: (JSON, ANY_OBJECT)}, (503,)),
    Operation(
        "get", "/api/v1/gates/argo/{rollout_id}", "askArgo", "A gate for Argo Rollouts",
        {200: (JSON, api.Measured)}, (),
        details="The `web` metric: 200 whatever the answer. See docs/integrations.md.",
        parameters=(ID, Parameter("stage", "query", "The last one unless named.",
                                  {"type": "string"})),
    ),
    _hook("confirm-rollout", "confirmRollout", "May the canary start?"),
    _hook("confirm-traffic-increase", "confirmTrafficIncrease", "May it get more requests?"),
    _hook("confirm-promotion", "confirmPromotion", "May it take the primary's place?"),
    _hook("rollback", "confirmRollback", "Must it go?"),
    Operation("get", QUERY, "query", "An instant query, as of a Prometheus", _QUERY_ANSWERS, (),
              parameters=_QUERY_PARAMETERS),
    Operation("post", QUERY, "queryByForm", "The same by a form", _QUERY_ANSWERS, (413,),
              parameters=_QUERY_PARAMETERS, body={FORM: ANY_OBJECT}),
)  # fmt: skip


def build() -> Schema:
    """The whole description."""
    _, schemas = components(_records(), _REFERENCE)
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Understudy", "version": "1", "description": _DESCRIPTION,
                 "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {TOKEN: {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def render() -> str:
    """The text of the file."""
    return msgspec.json.format(msgspec.json.encode(build()), indent=2).decode() + "\n"


def _records() -> list[type[msgspec.Struct]]:
    found: dict[type[msgspec.Struct], None] = {api.ProblemDocument: None}
    for operation in OPERATIONS:
        contents = [content for _, content in operation.answers.values()]
        for content in (*contents, *(operation.body or {}).values()):
            if isinstance(content, type):
                found[content] = None
    return list(found)


def _operation(operation: Operation) -> Schema:
    built: Schema = {"operationId": operation.name, "summary": operation.summary}
    if operation.details:
        built["description"] = operation.details
    if operation.parameters:
        built["parameters"] = [parameter.build() for parameter in operation.parameters]
    if operation.body is not None:
        content = {media: {"schema": _schema(what)} for media, what in operation.body.items()}
        built["requestBody"] = {"required": operation.is_body_needed, "content": content}
    built["security"] = [{TOKEN: []}] if operation.needs_token else []
    built["responses"] = {
        str(status): _response(status, media, content)
        for status, (media, content) in sorted(_all_answers(operation).items())
    }
    return built


def _all_answers(operation: Operation) -> dict[int, tuple[str, Content | None]]:
    failures = dict.fromkeys(operation.failures, (PROBLEM, api.ProblemDocument))
    return {**operation.answers, **failures}


def _response(status: int, media: str, content: Content | None) -> Schema:
    built: Schema = {"description": STATUSES[status]}
    if content is not None:
        built["content"] = {media: {"schema": _schema(content)}}
    return built


def _schema(content: Content) -> dict[str, Any]:
    if isinstance(content, type):
        return {"$ref": _REFERENCE.format(name=content.__name__)}
    return content
