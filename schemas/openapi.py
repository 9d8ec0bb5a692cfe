"""The OpenAPI 3.1 description of the HTTP application, made from its requests and responses.

A test compares `OPERATIONS` with the routes and with what they respond.
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
The status of rollouts, the evidence behind it, and commands to change it. Every client may read, \
unless settings say otherwise; writing needs a bearer token with the scope. Errors are problem \
documents (RFC 9457). Every worker that decides serves all rollouts, and responds with 503 while \
it does not know them."""
_WAITING: Final = (
    "With `If-None-Match` and `Prefer: wait=30` the response comes as soon as it differs from what "
    "the client has, or after 30 s (60 at most) with 304."
)

STATUSES: Final[Mapping[int, str]] = {
    200: "Success",
    201: "The rollout was created",
    202: "Stored; no decision has answered it yet",
    204: "Deleted",
    304: "Unchanged",
    400: "Invalid parameter or body",
    401: "Missing or unknown token",
    403: "No tokens are configured, or this one lacks the scope",
    404: "Not found, or not yet",
    408: "The body did not arrive in time",
    409: "Not possible in the present state",
    412: "It is not, or no longer, what the client saw",
    413: "The body is too large",
    415: "Neither YAML nor JSON, or compressed",
    421: "Named by a host name that is not allowed",
    422: "Understood, but invalid",
    503: "Kafka, ClickHouse, or the state of the rollouts is unavailable",
}

Content = type[msgspec.Struct] | Schema
"""A record, or the schema of anything else."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; required in paths."""

    name: str
    where: str
    description: str
    schema: Schema

    def build(self) -> Schema:
        """The parameter in OpenAPI."""
        return {
            "name": self.name,
            "in": self.where,
            "required": self.where == "path",
            "description": self.description,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    name: str
    summary: str
    answers: Mapping[int, tuple[str, Content | None]]
    """Media type and content by status."""
    failures: tuple[int, ...]
    """Statuses with a problem document."""
    details: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Content] | None = None
    is_body_required: bool = False
    scope: str = ""
    """Of the token that it takes; empty where reading takes none unless settings say so."""

    @property
    def needs_token(self) -> bool:
        """Whether it takes a token whatever the settings."""
        return bool(self.scope)


ID: Final = Parameter("rollout_id", "path", "The id in the policy, percent-encoded.",
                      {"type": "string"})  # fmt: skip
PREFER: Final = Parameter("Prefer", "header", "`wait=SECONDS`, 60 at most (RFC 7240).",
                          {"type": "string", "examples": ["wait=30"]})  # fmt: skip
IF_NONE_MATCH: Final = Parameter("If-None-Match", "header", "The `ETag` that the client has.",
                                 {"type": "string"})  # fmt: skip
IF_MATCH: Final = Parameter(
    "If-Match", "header", "The `ETag` of the decision that the client saw; 412 for an older one, "
    "and when something changes before the command is applied.",
    {"type": "string"},
)  # fmt: skip
IF_MATCH_RECORD: Final = Parameter(
    "If-Match", "header", "The `ETag` of the rollout that the client saw; 412 if its policy or "
    "commands have changed since.", {"type": "string"},
)  # fmt: skip
IF_ABSENT: Final = Parameter(
    "If-None-Match", "header", "`*`: only if there is no such rollout; else 412.",
    {"type": "string"},
)  # fmt: skip
CONDITIONAL: Final = (IF_NONE_MATCH, PREFER)
PROBES: Final = ("/healthz", "/readyz")
ROLLOUTS: Final = "/api/v1/rollouts"
ROLLOUT: Final = f"{ROLLOUTS}/{{rollout_id}}"
AUDIT: Final = "/api/v1/audit"
FLAGGER: Final = "/api/v1/gates/flagger"
QUERY: Final = "/api/v1/query"
FORM: Final = "application/x-www-form-urlencoded"
PLAIN_TEXT: Final[Schema] = {"type": "string"}
ANY_OBJECT: Final[Schema] = {"type": "object"}


def _read(
    path: str, name: str, summary: str, record: type[msgspec.Struct], *more: Parameter,
    details: str = "",
) -> Operation:  # fmt: skip
    """A resource that clients poll."""
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
        {200: (JSON, api.CommandResult), 202: (JSON, api.CommandResult)},
        (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 503),
        details="200 once a decision says that the command was applied, 409 or 412 once one says "
        "that it was rejected; 202 when none did either within 10 s, or the time in `Prefer: "
        "wait`: the command is stored then.",
        parameters=(ID, PREFER, IF_MATCH), body={JSON: body},
        is_body_required=body is api.KillRequest,
        scope="operate",
    )  # fmt: skip


def _hook(name: str, operation: str, summary: str) -> Operation:
    """A question from Flagger: 200 is yes, anything else is no."""
    text = (TEXT, PLAIN_TEXT)
    return Operation(
        "post", f"{FLAGGER}/{name}", operation, summary,
        {200: text, 400: text, 404: text, 409: text, 503: text}, (408, 413),
        details="See docs/integrations.md. Needs no token, as it changes nothing.",
        parameters=(
            Parameter("rollout_id", "query", "Or `metadata.rollout_id`.", {"type": "string"}),
            Parameter("stage", "query", "Or `metadata.stage`.", {"type": "string"}),
        ),
        body={JSON: api.FlaggerHook}, is_body_required=True,
    )  # fmt: skip


_QUERY_PARAMETERS: Final = (
    Parameter("query", "query", "A number, `vector(1)`, or a series.", {"type": "string"}),
    Parameter("time", "query", "The present; other times are refused.", {"type": "string"}),
    Parameter("timeout", "query", "Has no effect.", {"type": "string"}),
)
_QUERY_ANSWERS: Final = {200: (JSON, ANY_OBJECT), 400: (JSON, ANY_OBJECT), 503: (JSON, ANY_OBJECT)}

OPERATIONS: Final = (
    _read(ROLLOUTS, "listRollouts", "Summaries of all rollouts", api.RolloutList),
    _read(ROLLOUT, "getRollout", "A rollout with its policy and commands", api.RolloutDetail),
    Operation(
        "put", ROLLOUT, "applyPolicy", "Apply a policy",
        {200: (JSON, api.ApplyResult), 201: (JSON, api.ApplyResult)},
        (400, 401, 403, 408, 409, 412, 413, 415, 422, 503),
        details="Creates a rollout or changes one that runs, as `understudy rollout apply` does. "
        "An invalid policy is 422, with `line` and `column`.",
        parameters=(ID, Parameter("dry_run", "query", "Only report what would change.",
                                  {"type": "boolean", "default": False}),
                    IF_MATCH_RECORD, IF_ABSENT),
        body={YAML: RolloutManifest, JSON: RolloutManifest}, is_body_required=True,
        scope="admin",
    ),
    Operation(
        "delete", ROLLOUT, "deleteRollout", "Delete a rollout, its evidence and its decision",
        {204: ("", None)}, (400, 401, 403, 404, 409, 412, 503),
        parameters=(ID, IF_MATCH_RECORD), scope="admin",
    ),
    _read(f"{ROLLOUT}/status", "getStatus", "The summary of a rollout", api.RolloutStatus),
    _read(
        f"{ROLLOUT}/decision", "getDecision", "The newest decision", Decision,
        details="Byte for byte as in the topic. 404 before the first decision; `Prefer: wait` "
        "waits for it.",
    ),
    _read(
        f"{ROLLOUT}/evidence", "getEvidence", "The evidence of the newest decision",
        api.EvidenceList,
        Parameter("guardrail", "query", "Only this guardrail.", {"type": "string"}),
        Parameter("slice", "query", "Only this slice: `all`, `language:ja`, …", {"type": "string"}),
    ),
    Operation(
        "get", f"{ROLLOUT}/answer-quality", "getAnswerQuality",
        "What evaluators said of the answers, from ClickHouse",
        {200: (JSON, api.AnswerQualityList)}, (400, 404, 503),
        details="Of the pairs requested in so many hours before the newest window, by evaluator "
        "and language, with noise, bias and price. Verdicts rest on the evidence instead.",
        parameters=(
            ID,
            Parameter("hours", "query", "How far to look back.",
                      {"type": "integer", "minimum": 1, "maximum": 744, "default": 24}),
        ),
    ),
    Operation(
        "get", f"{ROLLOUT}/history", "getHistory", "Earlier decisions, from ClickHouse",
        {200: (JSON, api.HistoryPage)}, (400, 503),
        details="Also of deleted rollouts; an empty page for a rollout that never existed.",
        parameters=(
            ID,
            Parameter("before", "query", "A time, or `next_before` of the previous page.",
                      {"type": "string", "examples": ["2026-03-02T09:15:30Z"]}),
            Parameter("limit", "query", "Maximum number of decisions.",
                      {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
        ),
    ),
    _command("kill", "Roll back now, whatever the evidence", api.KillRequest),
    _command("resume", "End a rollback or a pause", api.CommandRequest),
    _command("promote", "Move to the next stage, whatever the evidence", api.CommandRequest),
    Operation(
        "get", AUDIT, "readAudit", "Who changed which rollout, when, and from where",
        {200: (JSON, api.AuditPage)}, (400, 401, 403, 503), scope="admin",
        details="The newest first, deleted rollouts included.",
        parameters=(
            Parameter("rollout_id", "query", "Only this rollout.", {"type": "string"}),
            Parameter("limit", "query", "Maximum number of records.",
                      {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}),
        ),
    ),
    Operation("get", "/api/v1/openapi.json", "getDescription", "This description",
              {200: (JSON, ANY_OBJECT)}, (400,)),
    Operation("get", "/metrics", "getMetrics", "All metrics, for Prometheus",
              {200: (TEXT, PLAIN_TEXT)}, ()),
    Operation("get", "/healthz", "getHealth", "Whether the worker is alive and makes progress",
              {200: (JSON, api.ProbeResult), 503: (JSON, api.ProbeResult)}, ()),
    Operation("get", "/readyz", "getReadiness", "Whether the worker takes part",
              {200: (JSON, api.ProbeResult), 503: (JSON, api.ProbeResult)}, ()),
    Operation(
        "get", "/api/v1/gates/argo/{rollout_id}", "askArgo", "A gate for Argo Rollouts",
        {200: (JSON, api.ArgoMeasurement)}, (400,),
        details="For a `web` metric: 200 whatever the verdict. A stage that the policy does not "
        "have is 400, which Argo counts as an error. See docs/integrations.md.",
        parameters=(ID, Parameter("stage", "query", "The last stage unless named.",
                                  {"type": "string"})),
    ),
    _hook("confirm-rollout", "confirmRollout", "May the canary start?"),
    _hook("confirm-traffic-increase", "confirmTrafficIncrease", "May it get more requests?"),
    _hook("confirm-promotion", "confirmPromotion", "May the canary replace the primary?"),
    _hook("rollback", "confirmRollback", "Must the canary be rolled back?"),
    Operation("get", QUERY, "query", "An instant query, as of Prometheus", _QUERY_ANSWERS, (),
              parameters=_QUERY_PARAMETERS),
    Operation("post", QUERY, "queryByForm", "An instant query in a form", _QUERY_ANSWERS,
              (408, 413), parameters=_QUERY_PARAMETERS, body={FORM: ANY_OBJECT}),
)  # fmt: skip


def build() -> Schema:
    """The description as a document."""
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
        built["requestBody"] = {"required": operation.is_body_required, "content": content}
    built["security"] = _security(operation)
    built["responses"] = {
        str(status): _response(status, media, content)
        for status, (media, content) in sorted(_all_answers(operation).items())
    }
    return built


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """The token's scope; reading takes one where settings say so, and probes never do."""
    if operation.scope:
        return [{TOKEN: [operation.scope]}]
    return [] if operation.path in PROBES else [{}, {TOKEN: ["read"]}]


def _all_answers(operation: Operation) -> dict[int, tuple[str, Content | None]]:
    everywhere = () if operation.path in PROBES else (401, 403, 421)
    failures = dict.fromkeys((*operation.failures, *everywhere), (PROBLEM, api.ProblemDocument))
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
