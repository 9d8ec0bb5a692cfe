"""Fields that differ, with both values."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.field_difference import (
    MAX_VALUE_CHARACTERS,
    FieldDifference,
    field_differences,
)


def test_each_difference_has_its_path_and_values() -> None:
    found = field_differences(
        '{"a": 1, "b": [1, 2], "c/d": "x", "e": null}',
        '{"a": 2, "b": [1, "2"], "c/d": "x", "f": true}',
    )
    assert found is not None
    assert {(one.path, one.kind, one.stable, one.candidate) for one in found} == {
        ("/a", "value", "1", "2"),
        ("/b/1", "type", "2", '"2"'),
        ("/e", "missing", "null", ""),
        ("/f", "extra", "", "true"),
    }


def test_keys_with_slashes_are_found() -> None:
    assert field_differences('{"a/b~c": 1}', '{"a/b~c": 2}') == [
        FieldDifference("/a~1b~0c", "value", "1", "2")
    ]


def test_equal_documents_have_none() -> None:
    assert field_differences('{"a": 1}', '{ "a":1 }') == []
    assert field_differences('{"a": 1, "b": 2}', '```json\n{"b": 2, "a": 1}\n```') == []


def test_digits_beyond_64_bits_count() -> None:
    found = field_differences('{"a": 123456789012345678901}', '{"a": 123456789012345678902}')
    assert [one.path for one in found or []] == ["/a"]


@pytest.mark.parametrize(
    ("stable", "candidate"), [("{", "{}"), ("text", "{}"), ("{}", ""), ("1", "2"), ("[" * 9999, "")]
)
def test_what_is_no_document_has_no_fields(stable: str, candidate: str) -> None:
    assert field_differences(stable, candidate) is None


def test_long_values_are_cut() -> None:
    found = field_differences('{"a": "%s"}' % ("x" * 1000), "{}")
    assert found is not None
    assert len(found[0].stable) == MAX_VALUE_CHARACTERS + 1
