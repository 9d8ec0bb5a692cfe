"""What is wrong with a value of a policy, and what to write instead.

msgspec says what it expected in its own words, `expected str, got int`; people who write YAML need
to hear of text, lists and quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from understudy.schemas.rollouts import Path, RolloutManifest, nearest

TABS: Final = "YAML is not indented with tabs; write spaces"
NOT_UTF_8: Final = "the file is not UTF-8; save it as UTF-8"

_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "names with values",
    "null": "nothing",
}
"""JSON's and Python's words, and YAML's for people."""
_EXAMPLES: Final = {
    "rollout_id": "rollout_id: my-rollout",
    "models": "models: {stable: NAME, candidate: NAME}",
    "stable": "models: {stable: NAME, candidate: NAME}",
    "candidate": "models: {stable: NAME, candidate: NAME}",
    "metric": "- metric: error_rate",
}
"""What to write where a key is missing."""
_LISTS: Final = {
    "guardrails": "begin each with a dash: `- metric: error_rate`",
    "stages": "begin each with a dash: `- mode: shadow`",
    "slices": "write `[all]` or `[each language]`",
}
_WRONG_TYPE: Final = re.compile(r"expected (?P<wanted>[\w| ]+), got (?P<got>\w+)")
_OUT_OF_RANGE: Final = re.compile(r"expected (?:int|float) (?P<sign>[<>]=?) (?P<bound>\S+)")
_NO_CHOICE: Final = re.compile(r"invalid enum value '(?P<value>.*)'", re.DOTALL)
_MISSING: Final = re.compile(r"object missing required field (?P<name>\w+)")
_PERCENT: Final = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?%")
_SIGNS: Final = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


def explained(problem: str, path: Path, document: Any) -> str:
    """Say what msgspec's problem with the value at `path` means, and what to write instead."""
    name, value = _name(path), _value(document, path)
    if found := _MISSING.search(problem):
        missing = found["name"]
        example = _EXAMPLES.get(missing)
        return f"{missing} is missing" + (f"; write `{example}`" if example else "")
    if found := _NO_CHOICE.search(problem):
        return not_a_choice(found["value"], list(dict.fromkeys(_choices(_annotation(path)))))
    if found := _OUT_OF_RANGE.search(problem):
        bound = found["bound"]
        return f"{name} must be {_SIGNS[found['sign']]} {bound}{_as_share(value, float(bound))}"
    if found := _WRONG_TYPE.search(problem):
        return _wrong_type(name, value, found["wanted"].removesuffix(" | null"), found["got"])
    return problem


def not_a_list(path: Path) -> str:
    """Say that the value at `path` should be a list, and how one is written."""
    name = _name(path)
    hint = _LISTS.get(name)
    return f"{name} must be a list" + (f"; {hint}" if hint else "")


def not_a_choice(value: str, choices: list[str]) -> str:
    """Say which values there are, and which one may be meant."""
    same = [choice for choice in choices if choice == value.lower()]
    hint = f"; did you mean {same[0]}?" if same else nearest(value.lower(), choices)
    return f"{value!r} is none of {', '.join(choices)}{hint}"


def _wrong_type(name: str, value: Any, wanted: str, got: str) -> str:
    if wanted == "array":
        return not_a_list((name,))
    problem = f"{name} must be {_KINDS.get(wanted, wanted)}, not {_KINDS.get(got, got)}"
    if wanted == "str" and got in ("int", "float", "bool"):
        return f'{problem}; write it in quotes: "{_written(value)}"'
    if wanted == "object" and name in _EXAMPLES:
        return f"{problem}; write `{_EXAMPLES[name]}`"
    if wanted in ("int", "float") and isinstance(value, str):
        return f"{problem}{_as_number(value)}"
    return problem


def _as_number(text: str) -> str:
    percent = _PERCENT.fullmatch(text)
    if percent is not None:
        return f"; write {float(percent['number']) / 100:g}"
    return "; write it without quotes" if text.isdecimal() else ""


def _as_share(value: Any, bound: float) -> str:
    """What the value is instead, with a hint for a share that was written in per cent."""
    if not isinstance(value, int | float):
        return ""
    is_percent = bound < 1 <= value < 100 * bound
    hint = f"; for {value:g} % write {value / 100:g}" if is_percent else ""
    return f", not {value:g}{hint}"


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(path: Path) -> str:
    """The last key of a path; an entry of a list goes by the list's key."""
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "the policy"
    return f"an entry of {names[-1]}" if isinstance(path[-1], int) else names[-1]


def _value(document: Any, path: Path) -> Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _annotation(path: Path) -> Any:
    """The type of the value at `path`."""
    found: Any = RolloutManifest
    for step in path:
        if isinstance(step, str):
            records = [part for part in _parts(found) if _is_record(part)]
            found = get_type_hints(records[0]).get(step) if records else None
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """The plain types in an annotation such as `list[str | StageManifest] | None`."""
    if get_origin(annotation) in (Annotated, list, Union, UnionType):
        for part in get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def _is_record(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, msgspec.Struct)


def _choices(annotation: Any) -> Iterator[str]:
    for part in _parts(annotation):
        if get_origin(part) is Literal:
            yield from map(str, get_args(part))
