"""What a comparison may cost, and the JSON Schemas that it checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from understudy.analyzers.compare.json_difference import MAX_DIFFERENCES
from understudy.analyzers.compare.json_output import JsonSchemaValidator
from understudy.analyzers.compare.json_paths import Pattern
from understudy.analyzers.compare.text import DEFAULT_MAX_INDEL_CHARACTERS


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """Limits and choices of the analyzers."""

    similarity: bool = True
    """Whether to compute text similarity, the most expensive measure."""
    max_indel_characters: int = DEFAULT_MAX_INDEL_CHARACTERS
    """Longer texts are compared by n-grams, in linear time."""
    max_json_differences: int = MAX_DIFFERENCES
    """Differences recorded per pair of documents."""
    json_ignore: tuple[Pattern, ...] = ()
    """Paths at which documents may differ, see `json_paths`."""
    json_unordered: tuple[Pattern, ...] = ()
    """Paths of arrays whose order means nothing."""
    json_schemas: Mapping[str, JsonSchemaValidator] = field(default_factory=dict)
    """Validators by `schema_id`."""
