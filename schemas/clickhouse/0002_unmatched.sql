-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Unmatched: sides whose partner never came, or that came too late.
CREATE TABLE IF NOT EXISTS unmatched (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    pair_id String COMMENT 'The request; the same on all its sides',
    side Enum8('stable' = 1, 'candidate' = 2, 'control' = 3) COMMENT 'The side that is left',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    window_start DateTime64(3, 'UTC') COMMENT 'Start of the window that counts the side: of the watermark for late ones, else of the request',
    reason Enum8('timeout' = 1, 'late' = 2, 'memory' = 3) COMMENT 'timeout: its partner never came; late: read after the join timeout; memory: given up to bound memory',
    partition UInt32 COMMENT 'Partition of the events topic',
    offset UInt64 COMMENT 'Offset of the record',
    model LowCardinality(String) COMMENT 'Model that answered; empty when unknown',
    error Bool COMMENT 'Gave no answer',
    error_type LowCardinality(String) COMMENT 'Type of the error; empty without one',
    duration_ms Nullable(Float64) COMMENT 'Time to the complete answer in ms; NULL when unknown',
    loaded_at DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored; for the TTL alone, SELECT * leaves it out',
    INDEX by_pair pair_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(request_time)
ORDER BY (rollout_id, mode, language, workflow, request_time, pair_id, side, partition, offset)
TTL loaded_at + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'One row for each side that was never joined. Read with FINAL: a replay stores rows again. Kept for 90 days after loading; to change: ALTER TABLE unmatched MODIFY TTL loaded_at + INTERVAL 30 DAY';
