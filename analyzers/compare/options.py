"""What a comparison may cost and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from understudy.analyzers.compare.json_output import JsonSchemaValidator


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """Limits and choices of the analyzers."""

    similarity: bool = True
    """Whether to compute text similarity, the dearest measure."""
    max_indel_characters: int = 2048
    """Longer texts are compared by n-grams, in linear time."""
    max_json_differences: int = 32
    """Differences kept per pair of documents."""
    json_schemas: Mapping[str, JsonSchemaValidator] = field(default_factory=dict)
    """Validators by `schema_id`."""
