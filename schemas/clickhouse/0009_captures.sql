-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Captured pairs: texts of the pairs that a policy has captured, redacted.
CREATE TABLE IF NOT EXISTS captured_pairs (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    kind LowCardinality(String) COMMENT 'What is worst about the candidate\'s answer; none where nothing is',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window that the pair counts in',
    window_s UInt32 COMMENT 'Length of the window in seconds',
    partition UInt32 COMMENT 'Partition of the events topic',
    rank UInt16 COMMENT 'From 1, the worst of its slice and kind in the window and partition',
    version UInt64 COMMENT 'Offset at which the window closed; among equal keys the highest counts',
    pair_id String COMMENT 'The request; the same on all its sides',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    capture LowCardinality(String) COMMENT 'Why it is here: worst, sample or all, as the policy said',
    severity Float64 COMMENT 'From 0 to 1: 1 where the candidate failed and stable did not, at most 0.5 where they differ',
    kinds Array(LowCardinality(String)) COMMENT 'All that is worse, the worst first',
    similarity Nullable(Float64) COMMENT 'Similarity of the texts, 0 to 1; NULL unless both sides have text',
    expects LowCardinality(String) COMMENT 'What the caller parses: text, json or json_schema',
    prompt String COMMENT 'Redacted, cut; empty where the gateway did not send it' CODEC(ZSTD(3)),
    prompt_is_cut Bool COMMENT 'The prompt was longer',
    redacted Array(LowCardinality(String)) COMMENT 'What was replaced in the texts, such as email',
    has_stable Bool COMMENT 'Whether the stable side was asked',
    stable_model LowCardinality(String) COMMENT 'Stable: model that answered; empty when unknown',
    stable_output String COMMENT 'Stable: text of the answer, else the refusal; redacted, cut' CODEC(ZSTD(3)),
    stable_output_characters UInt32 COMMENT 'Stable: length of the whole text in code points; 0 without text',
    stable_is_cut Bool COMMENT 'Stable: text or tool calls are cut',
    stable_tool_calls String COMMENT 'Stable: tool calls as JSON, redacted, cut; empty without any' CODEC(ZSTD(3)),
    stable_error_type LowCardinality(String) COMMENT 'Stable: type of the error; empty without one',
    stable_finish_reason LowCardinality(String) COMMENT 'Stable: why the model stopped',
    stable_duration_ms Nullable(Float64) COMMENT 'Stable: time to the complete answer in ms; NULL when unknown',
    has_candidate Bool COMMENT 'Whether the candidate side was asked',
    candidate_model LowCardinality(String) COMMENT 'Candidate: model that answered; empty when unknown',
    candidate_output String COMMENT 'Candidate: text of the answer, else the refusal; redacted, cut' CODEC(ZSTD(3)),
    candidate_output_characters UInt32 COMMENT 'Candidate: length of the whole text in code points; 0 without text',
    candidate_is_cut Bool COMMENT 'Candidate: text or tool calls are cut',
    candidate_tool_calls String COMMENT 'Candidate: tool calls as JSON, redacted, cut; empty without any' CODEC(ZSTD(3)),
    candidate_error_type LowCardinality(String) COMMENT 'Candidate: type of the error; empty without one',
    candidate_finish_reason LowCardinality(String) COMMENT 'Candidate: why the model stopped',
    candidate_duration_ms Nullable(Float64) COMMENT 'Candidate: time to the complete answer in ms; NULL when unknown',
    loaded_at DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored; for the TTL alone, SELECT * leaves it out',
    INDEX by_pair pair_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toDate(window_start)
ORDER BY (rollout_id, mode, language, workflow, kind, window_start, window_s, partition, rank)
TTL loaded_at + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'One row for each pair captured, only of rollouts whose policy says `capture`. It holds texts: grant it apart. Read with FINAL: a replay stores rows again. Kept for 14 days after loading; to change: ALTER TABLE captured_pairs MODIFY TTL loaded_at + INTERVAL 3 DAY';

-- Worst pairs: captured pairs of which something is worse.
CREATE VIEW IF NOT EXISTS worst_pairs (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    kind LowCardinality(String) COMMENT 'What is worst about the candidate\'s answer; none where nothing is',
    severity Float64 COMMENT 'From 0 to 1: 1 where the candidate failed and stable did not, at most 0.5 where they differ',
    kinds Array(LowCardinality(String)) COMMENT 'All that is worse, the worst first',
    pair_id String COMMENT 'The request; the same on all its sides',
    prompt String COMMENT 'Redacted, cut; empty where the gateway did not send it',
    stable_output String COMMENT 'Stable: text of the answer, else the refusal; redacted, cut',
    candidate_output String COMMENT 'Candidate: text of the answer, else the refusal; redacted, cut',
    stable_tool_calls String COMMENT 'Stable: tool calls as JSON, redacted, cut; empty without any',
    candidate_tool_calls String COMMENT 'Candidate: tool calls as JSON, redacted, cut; empty without any',
    stable_error_type LowCardinality(String) COMMENT 'Stable: type of the error; empty without one',
    candidate_error_type LowCardinality(String) COMMENT 'Candidate: type of the error; empty without one',
    similarity Nullable(Float64) COMMENT 'Similarity of the texts, 0 to 1; NULL unless both sides have text',
    stable_model LowCardinality(String) COMMENT 'Stable: model that answered; empty when unknown',
    candidate_model LowCardinality(String) COMMENT 'Candidate: model that answered; empty when unknown',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window that the pair counts in',
    partition UInt32 COMMENT 'Partition of the events topic'
) AS
SELECT
    p.rollout_id AS rollout_id,
    p.request_time AS request_time,
    p.language AS language,
    p.workflow AS workflow,
    p.mode AS mode,
    p.kind AS kind,
    p.severity AS severity,
    p.kinds AS kinds,
    p.pair_id AS pair_id,
    p.prompt AS prompt,
    p.stable_output AS stable_output,
    p.candidate_output AS candidate_output,
    p.stable_tool_calls AS stable_tool_calls,
    p.candidate_tool_calls AS candidate_tool_calls,
    p.stable_error_type AS stable_error_type,
    p.candidate_error_type AS candidate_error_type,
    p.similarity AS similarity,
    p.stable_model AS stable_model,
    p.candidate_model AS candidate_model,
    p.window_start AS window_start,
    p.partition AS partition
FROM captured_pairs AS p FINAL
WHERE p.severity > 0
COMMENT 'Captured pairs whose candidate did worse; ORDER BY severity DESC LIMIT 20';
