-- What reads windows: quantiles of a histogram, and the latest row of each key. A log bucket k covers
-- (g^(k-1), g^k] with g = 1.01/0.99; its value 2 g^k/(g+1) lies within 1 % of all that is in it.

CREATE FUNCTION IF NOT EXISTS understudy_bucket_value AS (bucket) ->
    2 * pow(1.01 / 0.99, bucket) / (1.01 / 0.99 + 1);

CREATE FUNCTION IF NOT EXISTS understudy_quantile_bucket AS (histogram, q) ->
    arrayElement(
        arraySort(mapKeys(histogram)),
        arrayFirstIndex(
            reached -> reached >= greatest(1, ceil(q * arraySum(mapValues(histogram)))),
            arrayCumSum(arraySort((n, k) -> k, mapValues(histogram), mapKeys(histogram)))
        )
    );

CREATE FUNCTION IF NOT EXISTS understudy_quantile AS (histogram, q) ->
    if(
        arraySum(mapValues(histogram)) = 0,
        nan,
        understudy_bucket_value(understudy_quantile_bucket(histogram, q))
    );

CREATE VIEW IF NOT EXISTS windows_latest AS
SELECT * FROM windows FINAL
COMMENT 'The row of windows with the highest version of each key';
