"""Containers of JSON are copied, whatever is in them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.argument_copies import copy_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


def containers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [value, *(one for inner in value.values() for one in containers(inner))]
    if isinstance(value, list | tuple):
        own = [value] if isinstance(value, list) else []
        return [*own, *(one for inner in value for one in containers(inner))]
    return []


@given(VALUES)
def test_a_copy_is_equal_and_shares_no_container(value: Any) -> None:
    copied = copy_of(value)
    assert copied == value
    assert not {id(one) for one in containers(value)} & {id(one) for one in containers(copied)}


def test_other_objects_are_shared() -> None:
    own = object()
    assert copy_of([own])[0] is own


def test_what_holds_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert isinstance(copy_of(endless), list)
