"""Charts as their script takes them."""

from __future__ import annotations

import json

from understudy.streams.dashboard.charts import Chart, Line


def test_a_chart_is_json_with_gaps_as_null() -> None:
    made = Chart(
        "Harm", "It rises.", [1.0, 2.0], [Line("harm", "main", [0.5, None])], unit="pp",
        y_range=(-1.0, 1.0),
    )  # fmt: skip
    assert (made.title, made.spoken) == ("Harm", "It rises.")
    assert json.loads(made.spec) == {
        "unit": "pp", "x_axis": "time", "y_axis": "linear", "y_range": [-1.0, 1.0],
        "x": [1.0, 2.0],
        "series": [{"label": "harm", "role": "main", "values": [0.5, None]}],
    }  # fmt: skip
