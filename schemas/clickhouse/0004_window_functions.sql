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

CREATE FUNCTION IF NOT EXISTS understudy_quantile_or_null AS (histogram, q) ->
    if(
        arraySum(mapValues(histogram)) = 0,
        NULL,
        understudy_bucket_value(understudy_quantile_bucket(histogram, q))
    );

CREATE VIEW IF NOT EXISTS windows_latest AS
SELECT * FROM windows FINAL
COMMENT 'The row of windows with the highest version of each key';

-- Intervals in closed form that hold at every look: asymptotic confidence sequences, 95 % over all
-- looks together (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory
-- and asymptotic confidence sequences", Annals of Statistics 2024, Theorem 2.2):
--     estimate ± sqrt(variance of the estimate) * multiplier(t),
--     multiplier(t) = sqrt(2 (1 + 1 / (t rho^2)) ln(sqrt(t rho^2 + 1) / alpha)),
-- t the number of independent units. rho^2 = 8.78 / 1000 makes it narrowest for about a thousand
-- units (alpha = 0.05): it is 3.8 at 100 units, 3.0 at 1000, 3.3 at 10 000. They are approximate
-- since they rest on the central limit theorem; verdicts rest on exact tests.
-- tests/streams/clickhouse/test_approximate_intervals.py simulates how often they miss.

CREATE FUNCTION IF NOT EXISTS understudy_approx_multiplier AS (t) ->
    sqrt(2 * (1 + 1 / (0.00878 * t)) * log(sqrt(0.00878 * t + 1) / 0.05));

CREATE FUNCTION IF NOT EXISTS understudy_approx_interval AS (estimate, variance, t) -> (
    estimate - sqrt(variance) * understudy_approx_multiplier(t),
    estimate + sqrt(variance) * understudy_approx_multiplier(t)
);

-- How much more the sum of x over n units varies than that of independent ones, since turns of one
-- conversation share their fate: 1 + 2 * correlation * mean(turn - 1). The correlation starts at 1,
-- held there by `imaginary`, in units of x^2, and is learnt from pairs of turns: `co_spread` is the
-- sum of (x_i - mean)(x_j - mean) over them.
CREATE FUNCTION IF NOT EXISTS understudy_design_effect AS
    (n, spread, earlier_turns, turn_pairs, co_spread, imaginary) ->
    1 + 2 * (earlier_turns / n) * least(1, greatest(0,
        (imaginary + co_spread) / (imaginary + turn_pairs * spread / n)
    ));

-- Variance of a mean of n yes or no outcomes, or of their differences, whose sum of (x - mean)^2 is
-- `spread`. Four are added, so that what has not come yet is not taken for what cannot come.
CREATE FUNCTION IF NOT EXISTS understudy_variance_of_outcomes AS (n, spread, design_effect) ->
    (greatest(spread, 0) + 4 * design_effect) * design_effect / n / n;

-- For sums of your own, as (low, high): how the share with an outcome differs, candidate less
-- stable. Requests count as independent; views know better where conversations are named.
CREATE FUNCTION IF NOT EXISTS understudy_approx_pairs AS (n, only_stable, only_candidate) ->
    understudy_approx_interval(
        (toFloat64(only_candidate) - only_stable) / n,
        understudy_variance_of_outcomes(
            n,
            only_stable + only_candidate - pow(toFloat64(only_candidate) - only_stable, 2) / n,
            1
        ),
        n
    );

CREATE FUNCTION IF NOT EXISTS understudy_approx_arms AS
    (stable_n, stable_k, candidate_n, candidate_k) ->
    understudy_approx_interval(
        candidate_k / candidate_n - stable_k / stable_n,
        understudy_variance_of_outcomes(stable_n, stable_k * (1 - stable_k / stable_n), 1)
            + understudy_variance_of_outcomes(
                candidate_n, candidate_k * (1 - candidate_k / candidate_n), 1
            ),
        1 / (1 / stable_n + 1 / candidate_n)
    );
