"""JSON Schema files made from the records, for gateways that are not written in Python.

They are written to `schemas/json`, with the description of the HTTP API. What the decoder demands
beyond types is added where JSON Schema can say it; an integer written as `1.0` is the one thing it
lets pass that the decoder refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from understudy.schemas import openapi
from understudy.schemas.decisions import Decision
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.events import PAIRED_MODES, SIDES, SINGLE_MODES, Event
from understudy.schemas.feedback import Feedback
from understudy.schemas.json_parts import Schema, components
from understudy.schemas.rollouts import RolloutManifest
from understudy.schemas.windows import WindowsMessage

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FOLDER: Final = Path(__file__).parent / "json"

_NO_SLASH: Final = "^[^/]+$"


@dataclass(frozen=True, slots=True)
class Contract:
    """One kind of message and the file that describes it."""

    name: str
    title: str
    record: type[msgspec.Struct]
    refine: Callable[[Schema], None]
    version: int = 1

    @property
    def path(self) -> Path:
        """Path of the file."""
        return FOLDER / f"{self.name}.schema.json"


def build(contract: Contract) -> Schema:
    """The JSON Schema of a record, with what the decoder checks beyond types."""
    (name,), parts = components([contract.record], "#/$defs/{name}")
    root = parts.pop(name)
    contract.refine(root)
    head = {"$schema": DIALECT, "$id": f"urn:understudy:{contract.name}:{contract.version}"}
    return {**head, **root, "title": contract.title, "$defs": parts}


def _refine_event(root: Schema) -> None:
    """Mode, side and sides fit each other; no slash in the rollout's name."""
    root["properties"]["rollout_id"]["pattern"] = _NO_SLASH
    root["properties"]["sides"]["uniqueItems"] = True
    pair = [_has("stable"), _has("candidate")]
    root["allOf"] = [
        _when("mode", PAIRED_MODES, {"minItems": 2, "maxItems": 3, "allOf": pair}),
        _when(
            "mode",
            SINGLE_MODES,
            {"minItems": 1, "maxItems": 1, "items": {"enum": ["stable", "candidate"]}},
        ),
        *(_when("side", (side,), _has(side)) for side in SIDES),
    ]


def _has(side: str) -> Schema:
    return {"contains": {"const": side}}


def _when(field: str, values: Sequence[str], sides: Schema) -> Schema:
    """A rule on `sides` for some values of another field."""
    return {
        "if": {"properties": {field: {"enum": list(values)}}, "required": [field]},
        "then": {"properties": {"sides": sides}},
    }


def _refine_evaluation(root: Schema) -> None:
    """A preference, scores or an error; scores with their range, of the answer compared."""
    root["properties"]["rollout_id"]["pattern"] = _NO_SLASH
    forms = ("preferences", "scores", "error")
    root["oneOf"] = [_present(form) for form in forms]
    together = [("scores", "score_range"), ("score_range", "scores")]
    root["allOf"] = [{"if": _present(one), "then": _present(other)} for one, other in together]


def _present(field: str) -> Schema:
    """A field that is there and says something."""
    kind = {"minItems": 1} if field == "preferences" else {"not": {"type": "null"}}
    return {"required": [field], "properties": {field: kind}}


def _as_it_is(root: Schema) -> None:
    """Add nothing: the types say everything."""


CONTRACTS: Final = (
    Contract("event", "Understudy event", Event, _refine_event),
    Contract("feedback", "Understudy feedback", Feedback, _as_it_is),
    Contract("evaluation", "Understudy evaluation", Evaluation, _refine_evaluation),
    Contract("windows", "Understudy windows message", WindowsMessage, _as_it_is, 2),
    Contract("rollout", "Understudy rollout and its policy", RolloutManifest, _as_it_is),
    Contract("decision", "Understudy decision", Decision, _as_it_is),
)


def render(contract: Contract) -> str:
    """The text of a contract's file."""
    return msgspec.json.format(msgspec.json.encode(build(contract)), indent=2).decode() + "\n"


def files() -> dict[Path, str]:
    """Every file and its text, by path."""
    contracts = {contract.path: render(contract) for contract in CONTRACTS}
    return {**contracts, FOLDER / openapi.FILE: openapi.render()}
