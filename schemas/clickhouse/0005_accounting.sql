-- Where every event ended, by partition of the events topic and day of the window that counts it.
-- Invalid events from before any valid one count in 1970.

CREATE VIEW IF NOT EXISTS accounting AS
SELECT
    w.partition AS partition,
    toDate(w.window_start) AS day,
    sum(w.events_paired) AS paired,
    sum(w.events_single) AS single,
    sum(w.events_unmatched_stable + w.events_unmatched_candidate + w.events_unmatched_control) AS unmatched,
    sum(w.events_duplicate) AS duplicate,
    sum(w.events_late) AS late,
    sum(w.events_invalid) AS invalid,
    paired + single + unmatched + duplicate + late + invalid AS events,
    max(w.version) AS accounted_to
FROM windows AS w FINAL
GROUP BY partition, day
COMMENT 'Events by where they ended, per partition and day; events is their sum, accounted_to the highest position of a row. Add up over days and partitions with sum';
