"""Answers held against the description: a status, a type or a body that it does not know fails."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from understudy.schemas import openapi

DESCRIPTION = openapi.build()
_TIMEOUT_S = 70.0
"""Longer than anybody may wait for a change."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """Of a problem document."""
        assert self.headers["content-type"].startswith("application/problem+json")
        found: str = self.json["detail"]
        return found


def ask(
    base: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Answer:
    """Ask a server; fails when its answer is not described. `If_Match` stands for `If-Match`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{base}{path}", body, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as found:
            answer = Answer(found.status, _lower(found.headers), found.read())
    except urllib.error.HTTPError as error:
        answer = Answer(error.code, _lower(error.headers), error.read())
    check(method, path, answer)
    return answer


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def check(method: str, url: str, answer: Answer) -> None:
    """Fails when this answer is not described; paths and methods that are not are not looked at."""
    operation = operation_of(method, urlsplit(url).path)
    if operation is None:
        assert answer.status in (404, 405), f"{method} {url} is not described"
        return
    known = operation["responses"]
    assert str(answer.status) in known, f"{method} {url}: {answer.status} is not described"
    contents = known[str(answer.status)].get("content")
    if contents is None or method == "HEAD":
        assert answer.body == b""
        return
    media = answer.headers["content-type"].partition(";")[0]
    assert media in contents, f"{method} {url}: {media} is not described"
    if media.endswith("json"):
        _validator(json.dumps(contents[media]["schema"])).validate(answer.json)


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request would meet."""
    wanted = "get" if method == "HEAD" else method.lower()
    for template, operations in DESCRIPTION["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and wanted in operations:
            found: dict[str, Any] = operations[wanted]
            return found
    return None


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    whole = {**json.loads(schema), "components": DESCRIPTION["components"]}
    return jsonschema_rs.validator_for(whole, validate_formats=True)
