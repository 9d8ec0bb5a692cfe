"""Who failed: the caller, the gateway, or the model with its provider.

Only the last says anything about a model. Where a gateway does not tell, status and type do. What
is not clearly another's failure is the provider's: an error that is taken for the caller's would
hide harm.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from understudy.schemas.events import Error, ErrorSource, Event, failure_of

CLIENT_CLOSED_REQUEST: Final = 499
"""nginx's status of a request whose client hung up."""
_GATEWAY_STATUSES: Final = frozenset({401, 402, 403, 407})
"""Of a key that is wrong, out of credit or not allowed: no model has seen the request."""
_HUNG_UP: Final = re.compile(
    r"cancel|client.?(closed|disconnect|gone|abort|timeout)|disconnected|hung.?up|"
    r"(user|client|request|caller).?abort|abort(ed)?.?by.?(user|client|caller)|broken.?pipe|"
    r"connection.?reset.?by.?(peer|client)",
    re.IGNORECASE,
)
_NOT_A_MODELS: Final = re.compile(
    r"quota|budget|credit|billing|payment|spend.?limit|key.?limit|unauthori[sz]ed|authenticat|"
    r"invalid.?(api.?)?key|permission.?denied|forbidden|virtual.?key|guardrail.?config|no.?deployment",
    re.IGNORECASE,
)


def error_source(error: Error) -> ErrorSource:
    """Who failed: as the gateway says, else as status and type tell."""
    return error.source or _derived(error.type, error.status)


@lru_cache(maxsize=4096)
def _derived(error_type: str, status: int | None) -> ErrorSource:
    if status == CLIENT_CLOSED_REQUEST or _HUNG_UP.search(error_type):
        return "client"
    if status in _GATEWAY_STATUSES or _NOT_A_MODELS.search(error_type):
        return "gateway"
    return "provider"


def failed_itself(event: Event) -> bool:
    """Whether the model of an event has failed: an error that is nobody else's."""
    error = failure_of(event)
    return error is not None and error_source(error) == "provider"
