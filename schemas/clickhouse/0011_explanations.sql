-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Explanations: what evaluators said in words about pairs, redacted.
CREATE TABLE IF NOT EXISTS explanations (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    pair_id String COMMENT 'The request; the same on all its sides',
    evaluator LowCardinality(String) COMMENT 'Who judged, and by what: name@version',
    compared LowCardinality(String) COMMENT 'candidate, or control: stable\'s own second run',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    evaluation_time DateTime64(3, 'UTC') COMMENT 'When it was judged',
    explanation String COMMENT 'The evaluator\'s reasons, one for each order, and its answer where that could not be read; redacted, cut' CODEC(ZSTD(3)),
    is_cut Bool COMMENT 'It was longer',
    redacted Array(LowCardinality(String)) COMMENT 'What was replaced in it, such as email',
    partition UInt32 COMMENT 'Partition of the topic of evaluations',
    offset UInt64 COMMENT 'Offset of the record',
    loaded_at DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored; for the TTL alone, SELECT * leaves it out',
    INDEX by_pair pair_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(evaluation_time)
ORDER BY (
    rollout_id, evaluator, mode, language, workflow, request_time, pair_id, compared, partition,
    offset
)
TTL loaded_at + INTERVAL 14 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'One row for each evaluation that says why, only of rollouts whose policy says `capture`. It quotes answers: grant it apart. Read with FINAL: a replay stores rows again. Kept for 14 days after loading; to change: ALTER TABLE explanations MODIFY TTL loaded_at + INTERVAL 3 DAY';

-- Judged pairs: evaluations with their explanations, and with the answers where captured.
CREATE VIEW IF NOT EXISTS judged_pairs (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    evaluation_time DateTime64(3, 'UTC') COMMENT 'When it was judged',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    evaluator LowCardinality(String) COMMENT 'Who judged, and by what: name@version',
    compared LowCardinality(String) COMMENT 'candidate, or control: stable\'s own second run',
    pair_id String COMMENT 'The request; the same on all its sides',
    preference Nullable(Float64) COMMENT 'How far the answer compared is preferred to stable\'s, mean over the orders: 1, 0 where stable\'s is, 0.5 for a tie; NULL without preferences',
    preferred Array(LowCardinality(String)) COMMENT 'Which answer was preferred, or tie, by order',
    shown_first Array(LowCardinality(String)) COMMENT 'Which answer was shown first; empty without an order',
    stable_score Nullable(Float64) COMMENT 'Score of stable\'s answer; NULL without',
    compared_score Nullable(Float64) COMMENT 'Score of the answer compared',
    error LowCardinality(String) COMMENT 'Why there is no judgement; empty where there is',
    model LowCardinality(String) COMMENT 'Judge model that answered; empty without one',
    cost_usd Nullable(Float64) COMMENT 'What the evaluation cost, in US dollars',
    duration_ms Nullable(Float64) COMMENT 'How long the evaluation took',
    explanation String COMMENT 'The evaluator\'s reasons, redacted; empty where not kept',
    prompt String COMMENT 'Redacted, cut; empty where the gateway did not send it; empty where the pair was not captured',
    stable_output String COMMENT 'Stable: text of the answer, else the refusal; redacted, cut; empty where the pair was not captured',
    candidate_output String COMMENT 'Candidate: text of the answer, else the refusal; redacted, cut; empty where the pair was not captured'
) AS
SELECT
    e.rollout_id AS rollout_id,
    e.request_time AS request_time,
    e.evaluation_time AS evaluation_time,
    e.language AS language,
    e.workflow AS workflow,
    e.mode AS mode,
    e.evaluator AS evaluator,
    e.compared AS compared,
    e.pair_id AS pair_id,
    e.preference AS preference,
    e.preferred AS preferred,
    e.shown_first AS shown_first,
    e.stable_score AS stable_score,
    e.compared_score AS compared_score,
    e.error AS error,
    e.model AS model,
    e.cost_usd AS cost_usd,
    e.duration_ms AS duration_ms,
    x.explanation AS explanation,
    p.prompt AS prompt,
    p.stable_output AS stable_output,
    p.candidate_output AS candidate_output
FROM evaluations AS e FINAL
LEFT ANY JOIN (SELECT * FROM explanations FINAL) AS x ON x.rollout_id = e.rollout_id
    AND x.pair_id = e.pair_id AND x.evaluator = e.evaluator AND x.compared = e.compared
    AND x.partition = e.partition AND x.offset = e.offset
LEFT ANY JOIN (SELECT * FROM captured_pairs FINAL) AS p ON p.rollout_id = e.rollout_id
    AND p.pair_id = e.pair_id
COMMENT 'What evaluators said about which pair, when, at what price; with texts where they are kept';
