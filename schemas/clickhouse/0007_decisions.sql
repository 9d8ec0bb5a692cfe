-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Decisions: every decision that was emitted, with all that it takes to compute it again.
CREATE TABLE IF NOT EXISTS decisions (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    rollout_created_at DateTime64(3, 'UTC') COMMENT 'When the rollout\'s first record was written; later for one deleted and made anew',
    sequence UInt64 COMMENT 'Counts the decisions since rollout_created_at; the order to sort by',
    decided_at DateTime64(3, 'UTC') COMMENT 'Event time where windows led to it; when a policy or command was written, where that did',
    cause LowCardinality(String) COMMENT 'Topic of the message that led to it: windows or rollouts',
    cause_partition Nullable(Int32) COMMENT 'Partition of that message',
    cause_offset Nullable(Int64) COMMENT 'Offset of that message',
    command LowCardinality(String) COMMENT 'Command that it answers: kill, resume or promote; else empty',
    command_number Nullable(Int64) COMMENT 'Number of that command',
    command_by String COMMENT 'Who issued that command',
    command_reason String COMMENT 'Why, in their words',
    command_rejection String COMMENT 'Why that command was rejected; else empty',
    is_refresh Bool COMMENT 'Only numbers have changed since the decision before, nothing that anyone acts on',
    verdict LowCardinality(String) COMMENT 'rollback, hold or promote',
    since DateTime64(3, 'UTC') COMMENT 'When the verdict became what it is: decided_at of the decision then',
    stage LowCardinality(String) COMMENT 'Stage of the rollout',
    candidate_share Float64 COMMENT 'Share of requests that gateways give the candidate; 0 on rollback',
    is_latched Bool COMMENT 'Rolled back until an operator resumes',
    is_paused Bool COMMENT 'A guardrail with the action pause was broken',
    reasons Array(String) COMMENT 'In words, the weightiest first',
    alerts Array(String) COMMENT 'What an operator should look at although it rolls nothing back, in words',
    policy_hash LowCardinality(String) COMMENT 'Hash of the policy it was judged by',
    partitions Map(Int32, UInt64) COMMENT 'Partition of the events topic to the version applied',
    feedback_partitions Map(Int32, UInt64) COMMENT 'The same, of the feedback topic',
    evaluation_partitions Map(Int32, UInt64) COMMENT 'The same, of the topic of evaluations',
    decision String COMMENT 'The complete decision as JSON, evidence included, as it stands in the topic' CODEC(ZSTD(3)),
    decision_hash UInt64 MATERIALIZED xxHash64(decision) COMMENT 'Hash of the JSON; part of the sort key, SELECT * leaves it out'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(decided_at)
ORDER BY (rollout_id, rollout_created_at, sequence, decision_hash)
COMMENT 'One row for each decision. Read with FINAL: a decision that is read again is stored again. ORDER BY rollout_created_at, sequence: decided_at may fall, since operators\' clocks and event time differ. One a minute of each rollout is a refresh; leave those out to see what changed. Kept for ever; to change: ALTER TABLE decisions MODIFY TTL toDateTime(decided_at) + INTERVAL 30 DAY DELETE WHERE is_refresh';
