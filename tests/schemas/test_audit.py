"""Audit records are read as they were written."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from understudy.schemas.audit import AuditRecord, decode_audit_record, encode_audit_record

RECORD = AuditRecord(
    at=dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC), rollout_id="checkout", action="kill",
    by="anna", via="http", address="10.0.0.5", reason="tone", command_number=3,
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    assert decode_audit_record(encode_audit_record(RECORD)) == RECORD


@pytest.mark.parametrize(
    "payload", [b"", b"{}", encode_audit_record(RECORD).replace(b'"kill"', b'"burn"')]
)
def test_what_is_no_record(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_audit_record(payload)
