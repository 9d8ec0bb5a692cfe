"""Traffic of made-up models by the hour: two languages whose rates differ, days that differ too."""

from __future__ import annotations

import datetime as dt

import msgspec
import numpy as np

from understudy.analyzers.drift.hourly_sums import HourlySums
from understudy.analyzers.drift.metrics import COLUMNS
from understudy.analyzers.drift.periods import HOURS_OF_DAY, HOURS_OF_WEEK
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import WindowRow

FIRST = 2_916 * HOURS_OF_WEEK
"""An hour at which a week since 1970 begins."""
RATES = {"en": 0.02, "ja": 0.2}
LENGTHS = {"en": 800.0, "ja": 300.0}


def traffic(
    rng: np.random.Generator,
    days: int,
    *,
    per_hour: int = 60,
    japanese: float = 0.3,
    shift: float = 0.0,
    errors: float = 1.0,
    longer: float = 1.0,
    harmed: tuple[str, ...] = ("en", "ja"),
    day_spread: float = 0.1,
) -> HourlySums:
    """So many days, of which the last has more Japanese, or a model that errs more or says more."""
    hours = FIRST + np.arange(days * HOURS_OF_DAY)
    is_last = hours >= hours[-1] + 1 - HOURS_OF_DAY
    wave = 1.0 + 0.5 * np.sin(2 * np.pi * hours / HOURS_OF_DAY)
    columns = {name: np.zeros(2 * hours.size) for name in COLUMNS}
    effects = np.exp(rng.normal(0.0, day_spread, (days, 2)))[np.arange(hours.size) // HOURS_OF_DAY]
    for number, language in enumerate(RATES):
        share = japanese + shift * is_last
        n = rng.poisson(per_hour * wave * (share if language == "ja" else 1.0 - share))
        changed = is_last & (language in harmed)
        rate = RATES[language] * effects[:, 0] * np.where(changed, errors, 1.0)
        mean = LENGTHS[language] * effects[:, 1] * np.where(changed, longer, 1.0)
        failed = rng.binomial(n, np.minimum(rate, 1.0))
        said = n - failed
        total = mean * rng.gamma(np.maximum(said, 1e-9))
        part = slice(number * hours.size, (number + 1) * hours.size)
        for name, values in {
            "requests": n, "model_requests": n, "errors": failed, "answers": said,
            "output_characters_count": said, "output_characters_sum": np.rint(total),
            "output_characters_squares": np.rint(2 * mean**2 * said), "input_tokens_sum": 40.0 * n,
        }.items():  # fmt: skip
            columns[name][part] = values
    return HourlySums(
        np.tile(hours, 2),
        np.repeat(["en", "ja"], hours.size),
        np.full(2 * hours.size, "chat"),
        columns,
    )


def window_rows(
    sums: HourlySums, side: str, rollout_id: str = "checkout", *, partition: int = 0
) -> list[WindowRow]:
    """The same as windows, one in each hour, of one side."""
    names = [field.name for field in msgspec.structs.fields(SideSums) if field.name in COLUMNS]
    return [
        WindowRow(
            rollout_id=rollout_id,
            mode="shadow",
            language=str(sums.languages[n]),
            workflow=str(sums.workflows[n]),
            window_start=dt.datetime.fromtimestamp(int(sums.hours[n]) * 3_600 + 40, dt.UTC),
            window_s=10,
            partition=partition,
            version=1,
            closed=True,
            **{side: SideSums(**{name: _number(sums.columns[name][n]) for name in names})},
        )
        for n in range(sums.hours.size)
    ]


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value
