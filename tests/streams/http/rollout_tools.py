"""What Argo Rollouts and Flagger make of an answer: their documented rules, as oracles for tests.

Argo Rollouts 1.10: the `web` and `prometheus` providers, conditions, and how measurements become
the phase of a metric. Flagger 1.44: webhooks, and the `prometheus` provider of a MetricTemplate.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

Phase = Literal["Running", "Successful", "Failed", "Inconclusive", "Error"]
COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le,
    ">": operator.gt, "<": operator.lt,
}  # fmt: skip
CONDITION: Final = re.compile(r"(result[\w.\[\]]*) (==|!=|>=|<=|>|<) (.+)")

# Argo Rollouts


def web_measurement(metric: Mapping[str, Any], status: int, body: bytes) -> Phase:
    """One measurement by the `web` provider."""
    if not 200 <= status < 300:
        return "Error"
    try:
        result = json_path(json.loads(body), metric["provider"]["web"].get("jsonPath", "{$}"))
    except KeyError:
        return "Error"
    return measured(metric, result)


def prometheus_measurement(metric: Mapping[str, Any], status: int, body: bytes) -> Phase:
    """One measurement by the `prometheus` provider: a number, or a list of them."""
    envelope = json.loads(body)
    if envelope["status"] != "success" or status != 200:
        return "Error"
    data = envelope["data"]
    if data["resultType"] == "scalar":
        return measured(metric, float(data["result"][1]))
    return measured(metric, [float(one["value"][1]) for one in data["result"]])


def json_path(document: Any, path: str) -> Any:
    """`{$.a.b}`: numbers, booleans, texts, null and maps come out as they stand in JSON."""
    match = re.fullmatch(r"\{\$((?:\.\w+)*)\}", path)
    assert match is not None, path
    for name in match[1].split(".")[1:]:
        document = document[name]
    return document


def measured(metric: Mapping[str, Any], result: Any) -> Phase:
    """A failure counts before a success; neither of two conditions is inconclusive."""
    try:
        success, failure = (
            holds(metric[key], result) if key in metric else None
            for key in ("successCondition", "failureCondition")
        )
    except (TypeError, IndexError, KeyError):
        return "Error"
    if success is None:
        success = failure is not True
    elif failure is None:
        failure = not success
    if failure:
        return "Failed"
    return "Successful" if success else "Inconclusive"


def holds(condition: str, result: Any) -> bool:
    """Conditions of the form `result.a == "b"`. Comparing by size what has none is an error."""
    match = CONDITION.fullmatch(condition)
    assert match is not None, condition
    value = result
    for name, place in re.findall(r"\.(\w+)|\[(\d+)\]", match[1]):
        value = value[name] if name else value[int(place)]
    wanted = json.loads(match[3])
    if match[2] in ("==", "!=") and isinstance(value, bool) != isinstance(wanted, bool):
        return match[2] == "!="
    return COMPARISONS[match[2]](value, wanted)


def phase_of(metric: Mapping[str, Any], measurements: Iterable[Phase]) -> Phase:
    """The phase of a metric after these measurements; nothing is measured once it is complete."""
    counts = dict.fromkeys(("Successful", "Failed", "Inconclusive", "Error"), 0)
    taken = errors = successes = 0
    for one in measurements:
        counts[one] += 1
        taken += one != "Error"
        errors = errors + 1 if one == "Error" else 0
        successes = successes + 1 if one == "Successful" else 0
        if errors > metric.get("consecutiveErrorLimit", 4):
            return "Error"
        if counts["Inconclusive"] > metric.get("inconclusiveLimit", 0):
            return "Inconclusive"
        if 0 <= metric.get("failureLimit", 0) < counts["Failed"]:
            return "Failed"
        if 0 < metric.get("consecutiveSuccessLimit", 0) <= successes:
            return "Successful"
        count = metric.get("count", 0 if metric.get("interval") else 1)
        if count and taken >= count:
            return "Inconclusive" if metric.get("consecutiveSuccessLimit") else "Successful"
    return "Running"


# Flagger


def hook_payload(metadata: dict[str, str] | None = None) -> dict[str, Any]:
    """What a webhook gets."""
    payload: dict[str, Any] = {
        "name": "assistant", "namespace": "prod", "phase": "Progressing", "checksum": "85d557f47b",
    }  # fmt: skip
    return payload if metadata is None else {**payload, "metadata": metadata}


def hook_succeeds(status: int) -> bool:
    """Of a confirm hook: go on. Of a rollback hook: do roll back."""
    return status <= 202


def query_path(query: str) -> str:
    """What the provider asks; spaces and breaks become one space."""
    return "/api/v1/query?query=" + quote(re.sub(r"\s+", " ", query), safe="").replace("%20", "+")


def first_value(status: int, body: bytes) -> float:
    """The last value of a vector. Raises ValueError for an error, LookupError for no value."""
    if status >= 400:
        raise ValueError(body.decode())
    found = [float(one["value"][1]) for one in json.loads(body)["data"]["result"]]
    if not found or math.isnan(found[-1]):
        raise LookupError("no values found")
    return found[-1]


def is_online(status: int, body: bytes) -> bool:
    """Whether the answer to `vector(1)` is one."""
    return first_value(status, body) == 1.0


def is_in_range(value: float, allowed: Mapping[str, float]) -> bool:
    """`thresholdRange` of a metric."""
    return allowed.get("min", -math.inf) <= value <= allowed.get("max", math.inf)
