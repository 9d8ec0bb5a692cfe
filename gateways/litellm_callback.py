"""A callback for LiteLLM's proxy and `Router` that tells Understudy what LiteLLM mirrors.

LiteLLM mirrors traffic itself: `silent_model` of a deployment names the model group that answers
each request as well, unseen by the caller. In the proxy, a file beside its configuration

    from understudy.gateways.litellm_callback import Mirror, UnderstudyLogger
    from understudy.gateways.publisher import Publisher

    understudy = UnderstudyLogger(
        Publisher({"bootstrap.servers": "kafka:9092"}),
        Mirror(rollout_id="summaries-v2", stable="summaries", candidate="summaries-next"),
    )

and `litellm_settings: {callbacks: mirrored.understudy}` in it; with the SDK's `Router`,
`litellm.callbacks = [understudy]`.

What LiteLLM (1.83 to 1.110) does was read off by running it; docs/gateways.md says which parts.
"""

from __future__ import annotations

import asyncio
import atexit
import datetime as dt
import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from litellm.integrations.custom_logger import CustomLogger

from understudy.gateways.after_fork import begin_after_forks
from understudy.gateways.allocation import MAX_DECISION_AGE_S, Allocation, in_force
from understudy.gateways.decision_source import DecisionSource
from understudy.gateways.hashed_place import place_of
from understudy.gateways.mirrored_requests import (
    MAX_REQUESTS,
    Mirror,
    MirroredRequests,
    RequestFacts,
)
from understudy.gateways.stale_decisions import StaleDecisions
from understudy.schemas.adapters.litellm_payload import answer_of_payload
from understudy.schemas.events import MAX_TURN, Event

__all__ = ["Mirror", "UnderstudyLogger"]

log = logging.getLogger(__name__)

_PAIR: Final = "understudy_pair"
_TRACE: Final = "understudy_trace"
_TARGET: Final = "understudy_target"
_RUN: Final = "understudy_run"
_LOOK_EVERY_S: Final = 1.0
"""How often requests that wait are looked at; no answer waits for it."""
_MAX_CONVERSATIONS: Final = 10_000
"""Whose turns are counted; the one that was quiet for longest is forgotten."""
_MAX_ID: Final = 256
"""What `pair_id` and `conversation_id` may have."""

Metadata = dict[str, Any]


class EventSink(Protocol):
    """What takes the events of a request: a `Publisher`."""

    def publish(self, *events: Event) -> bool:
        """Queue all sides of one request; never wait or raise."""


class UnderstudyLogger(CustomLogger):
    """Publishes both sides of each mirrored request, and stops mirroring where decisions say so.

    Nothing here fails or delays a call: what goes wrong is logged, and the request is not counted.
    """

    def __init__(
        self,
        publisher: EventSink,
        *mirrors: Mirror,
        decisions: DecisionSource | None = None,
        max_decision_age_s: float = MAX_DECISION_AGE_S,
        max_requests: int = MAX_REQUESTS,
    ) -> None:
        """With `decisions`, the candidate is called only as the newest decision allows.

        Without, it is called whenever LiteLLM's configuration says so.
        """
        super().__init__()
        self._publisher = publisher
        self._decisions = decisions
        self._max_decision_age_s = max_decision_age_s
        self._stale = StaleDecisions()
        self._mirrors, self._max_requests = mirrors, max_requests
        self._candidates = {one.candidate: one for one in mirrors}
        self._silent: dict[str, tuple[str, ...]] = {}
        """Deployment to the model groups that its `silent_model` names, as far as seen."""
        self._turns: OrderedDict[str, int] = OrderedDict()
        self._probes: dict[str, tuple[float, str]] = {}
        """Of each rollout, when a request was last mirrored to refresh its decision, and which."""
        self._begin_process()
        begin_after_forks(self)
        atexit.register(self.close)

    def _begin_process(self) -> None:
        """The state of a process that has seen no request."""
        self._requests = MirroredRequests(self._mirrors, self._max_requests)
        self._known: list[tuple[Event, ...]] = []
        """Events that are published once the lock is released."""
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin_in_child(self) -> None:
        """After a fork: what is under way is the parent's, which publishes it."""
        self._begin_process()

    # -- LiteLLM's hooks ---------------------------------------------------------------------

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        """LiteLLM chooses a deployment: for a request, an attempt of it, or a mirrored call."""
        try:
            if request_kwargs is not None and not self._enters(
                model, healthy_deployments, request_kwargs
            ):
                return []
        except Exception:
            log.warning("a request is left out of the comparison", exc_info=True)
            metadata = _metadata(request_kwargs or {}) or {}
            if metadata.get("is_silent_experiment") is True and self._decisions is not None:
                return []  # whether the candidate may be called is not known
        return healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        """An attempt begins, at a deployment or in the cache."""
        self._started(kwargs, _metadata(kwargs))

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> None:
        """An attempt answered; its report follows, or is lost."""
        metadata, now_s = _metadata(request_data) or {}, time.monotonic()
        with self._noting():
            if metadata.get("is_silent_experiment") is True:
                key, run = _key(metadata, request_data), metadata.get(_RUN, "")
                self._requests.answer_mirror(key, _target(metadata), run, now_s)
            else:
                self._requests.answer_primary(str(request_data.get("litellm_call_id")), now_s)

    def log_pre_api_call(self, model: str, messages: Any, kwargs: dict[str, Any]) -> None:
        """An attempt calls the provider."""
        self._started(kwargs, _logged_metadata(kwargs))

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """An attempt answered, with its last token if it was streamed."""
        self._ended(kwargs)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """An attempt failed; others may follow."""
        self._ended(kwargs)

    def log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """An attempt of a call without an event loop answered."""
        self._ended(kwargs)

    def log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """An attempt of a call without an event loop failed."""
        self._ended(kwargs)

    def close(self) -> None:
        """Publish what is known of the requests under way; also done as the process ends.

        Call it before the publisher's.
        """
        atexit.unregister(self.close)
        self._stop.set()
        with self._noting():
            self._known += self._requests.take_all()

    # -- Calls -------------------------------------------------------------------------------

    def _enters(
        self, model: str, deployments: Sequence[Mapping[str, Any]], kwargs: dict[str, Any]
    ) -> bool:
        """Note a call that is about to be made; False where it must not be."""
        metadata = _metadata(kwargs)
        if metadata is None:
            metadata = kwargs["metadata"] = {}
        with self._noting():
            if metadata.get("is_silent_experiment") is True:
                return self._enters_mirror(model, deployments, metadata, kwargs)
            self._learn(deployments)
            self._stamp(metadata, kwargs)
        return True

    def _learn(self, deployments: Sequence[Mapping[str, Any]]) -> None:
        """Note which deployments are mirrored to which model groups."""
        for one in deployments:
            named = (one.get("litellm_params") or {}).get("silent_model")
            groups = [named] if isinstance(named, str) else named or []
            self._silent[str((one.get("model_info") or {}).get("id"))] = tuple(map(str, groups))

    def _stamp(self, metadata: Metadata, kwargs: Mapping[str, Any]) -> None:
        """Name a request where LiteLLM copies the name into all its calls.

        A retry finds its name. A caller who reuses a dict of metadata does not pass it on: the
        trace differs, or the request of that name has been answered.
        """
        trace = str(kwargs.get("litellm_trace_id") or "")
        known = metadata.get(_PAIR)
        is_same = known and metadata.get(_TRACE) == trace and not self._requests.is_answered(known)
        if not is_same:
            metadata[_PAIR], metadata[_TRACE] = uuid.uuid4().hex, trace

    def _enters_mirror(
        self,
        model: str,
        deployments: Sequence[Mapping[str, Any]],
        metadata: Metadata,
        kwargs: Mapping[str, Any],
    ) -> bool:
        target = metadata.setdefault(_TARGET, model)
        mirror = self._candidates.get(target)
        if mirror is None:
            return True
        key = _key(metadata, kwargs)
        self._open_for_mirror(key, mirror, metadata, kwargs)
        if not self._may_mirror(mirror, key):
            self._requests.withhold(key, target)
            return False
        is_first_look = _RUN not in metadata
        run = metadata.setdefault(_RUN, uuid.uuid4().hex)
        self._requests.start_mirror(key, target, run, None)
        task = _current_task()
        if is_first_look and task is not None:
            task.add_done_callback(lambda _: self._left(key, target, run))
        return True

    def _open_for_mirror(
        self, key: str, mirror: Mirror, metadata: Metadata, kwargs: Mapping[str, Any]
    ) -> None:
        """Beside a blocking `Router.completion` the mirrored call may be the first one seen."""
        if _PAIR not in metadata and not self._requests.is_open(key):
            facts = self._facts(key, metadata, kwargs)
            self._known += self._requests.begin(key, facts, time.monotonic())
            self._requests.expect(key, [mirror])
            self._watch()

    def _left(self, key: str, target: str, run: str) -> None:
        """LiteLLM makes mirrored calls in a task of their own: with it, they are over."""
        with self._noting():
            self._requests.leave_mirror(key, target, run, time.monotonic())
            self._known += self._requests.take(key, time.monotonic())

    def _started(self, kwargs: Mapping[str, Any], metadata: Metadata | None) -> None:
        try:
            call_id = str(kwargs.get("litellm_call_id") or "")
            if not call_id:
                return
            with self._noting():
                self._note_start(call_id, metadata or {}, kwargs)
        except Exception:
            log.warning("a call is left out of the comparison", exc_info=True)

    def _note_start(self, call_id: str, metadata: Metadata, kwargs: Mapping[str, Any]) -> None:
        key = _key(metadata, kwargs)
        if metadata.get("is_silent_experiment") is True:
            target = _target(metadata)
            self._requests.start_mirror(key, target, metadata.get(_RUN, ""), call_id)
            return
        mirrors = self._mirrors_of(metadata)
        if mirrors and not self._requests.is_open(key):
            facts = self._facts(key, metadata, kwargs)
            self._known += self._requests.begin(key, facts, time.monotonic())
            self._watch()
        if mirrors:
            self._requests.expect(key, mirrors)
        self._requests.start_primary(key, call_id)

    def _mirrors_of(self, metadata: Metadata) -> list[Mirror]:
        """The mirrors of the deployment that a call goes to; of its group where that is unknown."""
        mirrors = self._requests.mirrors_of(str(metadata.get("model_group")))
        model_id = str((metadata.get("model_info") or {}).get("id"))
        groups = self._silent.get(model_id)
        return [one for one in mirrors if groups is None or one.candidate in groups]

    def _ended(self, kwargs: Mapping[str, Any]) -> None:
        try:
            payload = kwargs.get("standard_logging_object")
            if not isinstance(payload, Mapping):
                return
            metadata = _logged_metadata(kwargs) or {}
            with self._noting():
                self._note_end(payload, metadata, kwargs)
        except Exception:
            log.warning("an answer is left out of the comparison", exc_info=True)

    def _note_end(
        self, payload: Mapping[str, Any], metadata: Metadata, kwargs: Mapping[str, Any]
    ) -> None:
        now_s = time.monotonic()
        call_id = str(kwargs.get("litellm_call_id") or payload.get("litellm_call_id"))
        key = _key(metadata, kwargs)
        if metadata.get("is_silent_experiment") is True:
            target, run = _target(metadata), metadata.get(_RUN, "")
            if target not in self._candidates:
                return
            answer = answer_of_payload(payload, id=key)
            self._requests.end_mirror(key, target, run, call_id, answer, now_s)
        else:
            key = self._requests.primary_of(call_id) or ""
            if not key:
                return
            self._requests.end_primary(call_id, answer_of_payload(payload, id=key), now_s)
        self._known += self._requests.take(key, now_s)

    # -- Requests ----------------------------------------------------------------------------

    def _facts(self, key: str, metadata: Metadata, kwargs: Mapping[str, Any]) -> RequestFacts:
        conversation = _conversation(metadata, kwargs)
        trace = metadata.get("trace_id") or kwargs.get("litellm_trace_id")
        return RequestFacts(
            pair_id=key,
            request_time=dt.datetime.now(dt.UTC),
            conversation_id=conversation,
            turn=self._turn(conversation, metadata, kwargs),
            language=_label(metadata, "language"),
            workflow=_label(metadata, "workflow"),
            trace_id=str(trace) if trace else None,
        )

    def _turn(
        self, conversation: str | None, metadata: Metadata, kwargs: Mapping[str, Any]
    ) -> int | None:
        """Which request of its conversation this is.

        As the caller says, else by the answers that its messages repeat, or by what was seen here:
        several processes each see a part, and a client need not repeat all.
        """
        if conversation is None:
            return None
        given = metadata.get("turn")
        if isinstance(given, int) and not isinstance(given, bool):
            return min(max(given, 1), MAX_TURN)
        seen = self._turns.pop(conversation, 0) + 1
        self._turns[conversation] = turn = min(max(seen, _answers(kwargs) + 1), MAX_TURN)
        if len(self._turns) > _MAX_CONVERSATIONS:
            self._turns.popitem(last=False)
        return turn

    def _may_mirror(self, mirror: Mirror, key: str) -> bool:
        """Whether the newest decision lets the candidate answer this request."""
        if self._decisions is None:
            return True
        now = dt.datetime.now(dt.UTC)
        newest = self._decisions.allocation(mirror.rollout_id)
        allocation = in_force(newest, now, self._max_decision_age_s)
        self._stale.note(allocation, now)
        if allocation is None:
            return False
        if self._requests.has_mirror_begun(key, mirror.candidate):
            # A retry: without it the model would seem to fail where it was not asked again.
            return allocation.mirror_share > 0.0 or allocation.probe_every_s is not None
        place = place_of(mirror.rollout_id, key, "mirrored")
        return place < allocation.mirror_share or self._is_probe(allocation, key)

    def _is_probe(self, allocation: Allocation, key: str) -> bool:
        """Whether a request is one of the few that keep decisions coming, which it then stays."""
        every_s, now_s = allocation.probe_every_s, time.monotonic()
        if every_s is None:
            return False
        at_s, probe = self._probes.get(allocation.rollout_id, (now_s - every_s, ""))
        if now_s >= at_s + every_s:
            probe = key
            self._probes[allocation.rollout_id] = now_s, key
        return probe == key

    # -- Events ------------------------------------------------------------------------------

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Hold the lock; publish what has become known after it, since that takes its time."""
        known: list[tuple[Event, ...]] = []
        try:
            with self._lock:
                try:
                    yield
                finally:
                    known, self._known = self._known, []
        finally:
            self._publish(known)

    def _publish(self, requests: Sequence[tuple[Event, ...]]) -> None:
        for events in requests:
            try:
                self._publisher.publish(*events)
            except Exception:
                log.warning("a request is not published", exc_info=True)

    def _watch(self) -> None:
        """Look at what waits, from a thread; after a fork the child starts its own."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=self._look, name="understudy-litellm", daemon=True
            )
            self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            with self._noting():
                self._known += self._requests.take_due(time.monotonic())


def _metadata(kwargs: Mapping[str, Any]) -> Metadata | None:
    """The metadata of a call that LiteLLM hands from attempt to attempt."""
    for name in ("metadata", "litellm_metadata"):
        found = kwargs.get(name)
        if isinstance(found, dict) and (_PAIR in found or "model_group" in found):
            return found
    found = kwargs.get("metadata")
    return found if isinstance(found, dict) else None


def _logged_metadata(kwargs: Mapping[str, Any]) -> Metadata | None:
    """The same, where LiteLLM logs a call."""
    return _metadata(kwargs.get("litellm_params") or {})


def _key(metadata: Mapping[str, Any], kwargs: Mapping[str, Any]) -> str:
    """What all calls of a request share; without our name for it, LiteLLM's trace."""
    return str(metadata.get(_PAIR) or kwargs.get("litellm_trace_id") or "")[:_MAX_ID]


def _target(metadata: Mapping[str, Any]) -> str:
    """The model group that a mirrored call was made for, whatever it fell back to."""
    return str(metadata.get(_TARGET) or metadata.get("model_group"))


def _conversation(metadata: Mapping[str, Any], kwargs: Mapping[str, Any]) -> str | None:
    """The session that the caller named."""
    named = (
        metadata.get("session_id"),
        kwargs.get("litellm_session_id"),
        (kwargs.get("litellm_params") or {}).get("litellm_session_id"),
    )
    return next((str(one)[:_MAX_ID] for one in named if one), None)


def _label(metadata: Mapping[str, Any], name: str) -> str | None:
    """What the caller wrote into the request's metadata, directly or through the proxy."""
    requester = metadata.get("requester_metadata")
    holders = (metadata, requester if isinstance(requester, Mapping) else {})
    return next((one for holder in holders if isinstance(one := holder.get(name), str)), None)


def _answers(kwargs: Mapping[str, Any]) -> int:
    """How many answers of the model the messages of a request repeat."""
    messages = kwargs.get("messages") or ()
    return sum(isinstance(one, Mapping) and one.get("role") == "assistant" for one in messages)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
