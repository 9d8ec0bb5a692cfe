from __future__ import annotations

import msgspec
import pytest

from understudy.schemas.fixed_sample import (
    FixedSampleFinding,
    FixedSampleVerdict,
    decode_fixed_sample,
    encode_fixed_sample,
)

FINDING = FixedSampleFinding(
    guardrail="error_rate", metric="error_rate", slice="all", action="rollback",
    limit="max_increase", margin=0.01, relative=False, unit="share", required=True, status="open",
    cases=200, stable=0.01, candidate=0.02, harm=0.01, interval=(None, 0.03), harm_margin=0.01,
    p_harm=0.4, p_within=0.6, error_share=0.1, sentence="error rate rose",
)  # fmt: skip
VERDICT = FixedSampleVerdict(
    rollout_id="r", policy_hash="0" * 64, verdict="hold", reasons=["few"], cases=200, units=40,
    false_rollback=0.01, false_promotion=0.05, findings=[FINDING],
)  # fmt: skip


def test_it_survives_encoding() -> None:
    assert decode_fixed_sample(encode_fixed_sample(VERDICT)) == VERDICT


def test_counts_are_not_negative() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_fixed_sample(encode_fixed_sample(msgspec.structs.replace(VERDICT, cases=-1)))
