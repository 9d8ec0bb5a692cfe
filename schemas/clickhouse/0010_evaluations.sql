-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Evaluations: what an evaluator said about a pair, when, and at what price.
CREATE TABLE IF NOT EXISTS evaluations (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    pair_id String COMMENT 'The request; the same on all its sides',
    evaluator LowCardinality(String) COMMENT 'Who judged, and by what: name@version',
    compared LowCardinality(String) COMMENT 'candidate, or control: stable\'s own second run',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    request_time DateTime64(3, 'UTC') COMMENT 'Event time: stamped once by the gateway, the same on all sides',
    evaluation_time DateTime64(3, 'UTC') COMMENT 'When it was judged',
    preference Nullable(Float64) COMMENT 'How far the answer compared is preferred to stable\'s, mean over the orders: 1, 0 where stable\'s is, 0.5 for a tie; NULL without preferences',
    preferred Array(LowCardinality(String)) COMMENT 'Which answer was preferred, or tie, by order',
    shown_first Array(LowCardinality(String)) COMMENT 'Which answer was shown first; empty without an order',
    stable_score Nullable(Float64) COMMENT 'Score of stable\'s answer; NULL without',
    compared_score Nullable(Float64) COMMENT 'Score of the answer compared',
    lowest_score Nullable(Float64) COMMENT 'Lowest score that there is',
    highest_score Nullable(Float64) COMMENT 'Highest score that there is',
    error LowCardinality(String) COMMENT 'Why there is no judgement; empty where there is',
    conversation_id String COMMENT 'The conversation that the request is a turn of; empty when not named',
    turn UInt32 COMMENT 'Which request of its conversation this is, from 1; 0 when unknown',
    sampling_share Float64 COMMENT 'Probability with which the pair was chosen',
    policy_hash LowCardinality(String) COMMENT 'Of the policy in force when the pair was chosen; empty when unknown',
    model LowCardinality(String) COMMENT 'Judge model that answered; empty without one',
    input_tokens Nullable(UInt32) COMMENT 'Tokens that the judge read',
    output_tokens Nullable(UInt32) COMMENT 'Tokens that the judge wrote',
    cost_usd Nullable(Float64) COMMENT 'What the evaluation cost, in US dollars',
    duration_ms Nullable(Float64) COMMENT 'How long the evaluation took',
    partition UInt32 COMMENT 'Partition of the topic of evaluations',
    offset UInt64 COMMENT 'Offset of the record',
    loaded_at DateTime('UTC') MATERIALIZED now('UTC') COMMENT 'When the row was stored; for the TTL alone, SELECT * leaves it out',
    INDEX by_pair pair_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(request_time)
ORDER BY (
    rollout_id, evaluator, mode, language, workflow, request_time, pair_id, compared, partition,
    offset
)
TTL loaded_at + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1
COMMENT 'One row for each evaluation that counts, and for each that says why there is none; copies are left out. No text. Read with FINAL: a replay stores rows again. Kept for 400 days after loading; to change: ALTER TABLE evaluations MODIFY TTL loaded_at + INTERVAL 100 DAY';

-- Answer quality: what each evaluator says of the candidate, by day, language and workflow.
CREATE VIEW IF NOT EXISTS answer_quality (
    rollout_id LowCardinality(String) COMMENT 'The rollout',
    evaluator LowCardinality(String) COMMENT 'Who judged, and by what: name@version',
    day Date COMMENT 'UTC day of the requests',
    mode LowCardinality(String) COMMENT 'shadow, interleave, canary or ab',
    language LowCardinality(String) COMMENT 'BCP 47 tag of the request, und when undetermined',
    workflow LowCardinality(String) COMMENT 'Product feature that the request came from; empty when not named',
    pairs UInt64 COMMENT 'Pairs of stable and candidate that were judged',
    candidate_preferred Nullable(Float64) COMMENT 'Share of the preferences that the candidate has, 0.5 where neither is better',
    approx_preferred_low Nullable(Float64) COMMENT 'Lower end of where that share lies, 95 % however often one looks',
    approx_preferred_high Nullable(Float64) COMMENT 'Upper end',
    score_difference Nullable(Float64) COMMENT 'Mean score of the candidate less stable\'s, as a share of the range',
    approx_score_low Nullable(Float64) COMMENT 'Lower end of where that difference lies, 95 % however often one looks',
    approx_score_high Nullable(Float64) COMMENT 'Upper end',
    control_pairs UInt64 COMMENT 'Pairs of stable and its second run that were judged',
    control_preferred Nullable(Float64) COMMENT 'Share of the preferences that stable\'s second run has: 0.5 but for noise',
    first_preferred Nullable(Float64) COMMENT 'Share of the orders with a preference in which the answer shown first has it',
    not_judged UInt64 COMMENT 'Records that say why there is no judgement',
    cost_usd Float64 COMMENT 'What all of it cost, in US dollars',
    preferences UInt64 COMMENT 'Pairs with a preference',
    preferred_variance Nullable(Float64) COMMENT 'Variance of a pair\'s preference',
    scores UInt64 COMMENT 'Pairs with scores',
    score_variance Nullable(Float64) COMMENT 'Variance of a pair\'s difference in score'
) AS
SELECT
    e.rollout_id AS rollout_id,
    e.evaluator AS evaluator,
    toDate(e.request_time, 'UTC') AS day,
    e.mode AS mode,
    e.language AS language,
    e.workflow AS workflow,
    countIf(e.compared = 'candidate' AND e.error = '') AS pairs,
    avgIf(e.preference, e.compared = 'candidate' AND e.error = '') AS candidate_preferred,
    if(preferences > 1, tupleElement(understudy_approx_interval(candidate_preferred, understudy_variance_of_outcomes(preferences, preferred_variance * (preferences - 1), 1), preferences), 1), NULL) AS approx_preferred_low,
    if(preferences > 1, tupleElement(understudy_approx_interval(candidate_preferred, understudy_variance_of_outcomes(preferences, preferred_variance * (preferences - 1), 1), preferences), 2), NULL) AS approx_preferred_high,
    avgIf((e.compared_score - e.stable_score) / (e.highest_score - e.lowest_score), e.compared = 'candidate' AND e.error = '') AS score_difference,
    if(scores > 1, tupleElement(understudy_approx_interval(score_difference, understudy_variance_of_outcomes(scores, score_variance * (scores - 1), 1), scores), 1), NULL) AS approx_score_low,
    if(scores > 1, tupleElement(understudy_approx_interval(score_difference, understudy_variance_of_outcomes(scores, score_variance * (scores - 1), 1), scores), 2), NULL) AS approx_score_high,
    countIf(e.compared = 'control' AND e.error = '') AS control_pairs,
    avgIf(e.preference, e.compared = 'control' AND e.error = '') AS control_preferred,
    sumIf(arrayCount((p, f) -> p != 'tie' AND f != '' AND p = f, e.preferred, e.shown_first), e.error = '') / nullIf(sumIf(arrayCount((p, f) -> p != 'tie' AND f != '' AND 1, e.preferred, e.shown_first), e.error = ''), 0) AS first_preferred,
    countIf(e.error != '') AS not_judged,
    ifNull(sum(e.cost_usd), 0) AS cost_usd,
    countIf(e.compared = 'candidate' AND e.error = '' AND e.preference IS NOT NULL) AS preferences,
    varSampIf(e.preference, e.compared = 'candidate' AND e.error = '') AS preferred_variance,
    countIf(e.compared = 'candidate' AND e.error = '' AND e.stable_score IS NOT NULL) AS scores,
    varSampIf((e.compared_score - e.stable_score) / (e.highest_score - e.lowest_score), e.compared = 'candidate' AND e.error = '') AS score_variance
FROM evaluations AS e FINAL
GROUP BY rollout_id, evaluator, day, mode, language, workflow
COMMENT 'What each evaluator says of the candidate\'s answers, with its own noise and price';
