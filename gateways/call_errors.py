"""What an exception of a model's client says, as the error of an event."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from understudy.gateways.call_reader import AnswerTooLarge
from understudy.schemas.events import Error

TIMEOUT: Final = Error(type="timeout", source="provider")
"""Of a call that the gateway gave up after the time it may take."""
HUNG_UP: Final = Error(type="cancelled", source="client")
"""Of a call whose caller went away."""
TOO_LARGE: Final = Error(type="answer_too_large", source="provider")
"""Of a mirrored answer that was cut off, since it exceeds what an event can hold."""
MIRROR_DROPPED: Final = Error(type="mirror_dropped", source="gateway")
"""Of a side that the gateway did not ask, or stopped asking: nothing is known of its model."""
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TYPE_LENGTH: Final = 128
_MOST_CAUSES: Final = 10
"""More than clients wrap; causes can go round in a circle."""
_STATUSES: Final = range(100, 1000)


def error_of(failure: BaseException) -> Error:
    """Return the error of a call that raised.

    The status is that of the exception or of its response, as HTTP clients have it; a class such as
    `RateLimitError` becomes `rate_limit`.
    """
    if any(isinstance(one, AnswerTooLarge) for one in _with_causes(failure)):
        return TOO_LARGE
    status = _status(failure)
    name = type(failure).__name__
    if isinstance(failure, TimeoutError) or "timeout" in name.lower():
        return Error(type="timeout", status=status)
    words = _WORD.sub("_", name).lower().removesuffix("_error").removesuffix("_exception")
    return Error(type=(words or "error")[:_TYPE_LENGTH], status=status)


def _with_causes(failure: BaseException) -> Iterator[BaseException]:
    """A failure and what led to it: clients wrap what their transports raise."""
    for _ in range(_MOST_CAUSES):
        yield failure
        cause = failure.__cause__ or failure.__context__
        if cause is None:
            return
        failure = cause


def _status(failure: BaseException) -> int | None:
    response: Any = getattr(failure, "response", None)
    for holder in (failure, response):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and value in _STATUSES:
                return value
    return None
