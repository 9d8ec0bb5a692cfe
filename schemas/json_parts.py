"""JSON Schemas of records, with what the decoder checks beyond types. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

Schema = dict[str, Any]

_ZONE: Final = r"([Zz]|[+-]\d{2}:?\d{2})$"
_WHOLE_NUMBER: Final = r"^-?\d+$"


def components(
    records: Sequence[type[msgspec.Struct]], ref_template: str
) -> tuple[list[str], dict[str, Schema]]:
    """The records' names, and the schemas of all that they are made of, by name."""
    references, parts = msgspec.json.schema_components(records, ref_template=ref_template)
    for node in _nodes(parts):
        _refine_node(node)
    names = [reference["$ref"].rpartition("/")[2] for reference in references]
    return names, dict(sorted(parts.items()))


def _nodes(node: Any) -> Iterator[Schema]:
    """All objects within, the outer ones first."""
    if isinstance(node, dict):
        yield node
        for inner in list(node.values()):
            yield from _nodes(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)


def _refine_node(node: Schema) -> None:
    if node.get("required") == []:
        del node["required"]
    if node.get("format") == "date-time":
        node["pattern"] = _ZONE
    if node.get("additionalProperties") == {"type": "integer"}:
        node["propertyNames"] = {"pattern": _WHOLE_NUMBER}
