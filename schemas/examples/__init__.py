"""Example events, valid, damaged and invalid, and example policies, for tests and documentation.

A file in `valid` is an event as it stands on the wire. A file in `invalid` says what is wrong:
`why` for people, `reason` as the decoder gives it, and the event as `payload` (JSON) or
`payload_text` (what is no JSON, or would not survive being parsed). A file in `damaged` is read in
part: it has `unreadable_fields` instead of `reason`. `json_schema` is `accepts` where a JSON Schema
cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

from understudy.schemas.events import InvalidReason


@dataclass(frozen=True, slots=True)
class ValidEvent:
    """An event that must be accepted."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class InvalidExample:
    """An event that must be refused."""

    name: str
    why: str
    reason: InvalidReason
    payload: bytes
    schema_refuses: bool
    """Whether the JSON Schema refuses it too."""


@dataclass(frozen=True, slots=True)
class DamagedExample:
    """An event that must be read as far as it can be."""

    name: str
    why: str
    unreadable_fields: tuple[str, ...]
    payload: bytes
    schema_refuses: bool
    """Whether the JSON Schema refuses it."""


class _Described(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    reason: InvalidReason | None = None
    unreadable_fields: tuple[str, ...] = ()
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    payload_text: str | None = None
    json_schema: str = "refuses"

    @property
    def bytes(self) -> bytes:
        """The event."""
        return bytes(self.payload) if self.payload_text is None else self.payload_text.encode()

    @property
    def schema_refuses(self) -> bool:
        """Whether the JSON Schema refuses it."""
        return self.json_schema == "refuses"


def valid_events() -> list[ValidEvent]:
    """All valid examples, by name."""
    return [ValidEvent(_name(file), file.read_bytes()) for file in _files("valid")]


def invalid_events() -> list[InvalidExample]:
    """All invalid examples, by name."""
    return [
        InvalidExample(_name(file), one.why, one.reason, one.bytes, one.schema_refuses)
        for file, one in _described("invalid")
        if one.reason is not None
    ]


def damaged_events() -> list[DamagedExample]:
    """All examples that are read in part, by name."""
    return [
        DamagedExample(_name(file), one.why, one.unreadable_fields, one.bytes, one.schema_refuses)
        for file, one in _described("damaged")
    ]


def policies() -> dict[str, str]:
    """All example policies, YAML by name."""
    found = _files("policies", ".yaml")
    return {file.name.removesuffix(".yaml"): file.read_text("utf-8") for file in found}


def _files(folder: str, ending: str = ".json") -> list[Traversable]:
    found = (file for file in files(__package__).joinpath(folder).iterdir())
    return sorted((f for f in found if f.name.endswith(ending)), key=lambda file: file.name)


def _name(file: Traversable) -> str:
    return file.name.removesuffix(".json")


def _described(folder: str) -> Iterator[tuple[Traversable, _Described]]:
    for file in _files(folder):
        yield file, msgspec.json.decode(file.read_bytes(), type=_Described)
