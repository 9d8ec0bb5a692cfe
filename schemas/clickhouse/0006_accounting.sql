-- Written by schemas/generate.py; change the declarations beside this file instead.

-- Accounting: where every record of the topics that workers read ended, by partition and day of
-- the window that counts it. Invalid ones from before any valid one count in 1970.
CREATE VIEW IF NOT EXISTS accounting (
    source LowCardinality(String) COMMENT 'Topic of the records: events, feedback or evaluations',
    partition UInt32 COMMENT 'Partition of the source\'s topic',
    day Date COMMENT 'UTC day of the windows that count the records',
    paired UInt64 COMMENT 'Sides that were joined into pairs',
    single UInt64 COMMENT 'Sides that are alone by design (canary, ab); ratings and evaluations that were measured',
    unmatched UInt64 COMMENT 'Sides whose partner never came',
    duplicate UInt64 COMMENT 'Further copies of a record already read',
    superseded UInt64 COMMENT 'Attempts of a side that a later attempt replaced',
    late UInt64 COMMENT 'Records past the join timeout',
    invalid UInt64 COMMENT 'Records sent to dead letters',
    events UInt64 COMMENT 'All of these: records that have ended somewhere',
    accounted_to UInt64 COMMENT 'Highest version among the rows: an offset of the source\'s topic'
) AS
SELECT
    w.source AS source,
    w.partition AS partition,
    toDate(w.window_start, 'UTC') AS day,
    sum(w.events_paired) AS paired,
    sum(w.events_single) AS single,
    sum(w.events_unmatched_stable) + sum(w.events_unmatched_candidate) + sum(w.events_unmatched_control) AS unmatched,
    sum(w.events_duplicate) AS duplicate,
    sum(w.events_superseded) AS superseded,
    sum(w.events_late) AS late,
    sum(w.events_invalid) AS invalid,
    paired + single + unmatched + duplicate + superseded + late + invalid AS events,
    max(w.version) AS accounted_to
FROM windows AS w FINAL
GROUP BY source, partition, day
COMMENT 'Where events, feedback and evaluations ended, per source, partition and day; add up over days and partitions with sum';
