"""Several candidates at once: one rollout each, and stable's answer shared by all of them.

Each request is served by one rollout at most. Where several would serve their candidates (canary,
interleave, A/B), each user belongs to one of them, as a hash decides, and a share of a decision is
one of the rollout's own users. The others mirror the request where stable serves it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from understudy.gateways.hashed_place import owner_of
from understudy.gateways.request_context import NO_CONTEXT, RequestContext
from understudy.gateways.router import AnyRouter, RoutedRequest


class SharedStable:
    """Routers whose stable is the same; call it as you would call that."""

    def __init__(self, *routers: AnyRouter) -> None:
        """Raises ValueError without a router, and for two of one rollout."""
        self._routers: Final = {router.rollout_id: router for router in routers}
        if not routers or len(self._routers) < len(routers):
            raise ValueError("name at least one router, and one a rollout")
        self._first: Final = routers[0]

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Serve a request of which nothing more is known than what is asked."""
        return await self.route(NO_CONTEXT, args, kwargs)

    async def call(self, context: RequestContext, *args: Any, **kwargs: Any) -> Any:
        """Serve a request. Raises what the served call raises."""
        return await self.route(context, args, kwargs)

    async def route(
        self, context: RequestContext, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Do the same with the arguments as values."""
        if context.pair_id is None:
            context = msgspec.structs.replace(context, pair_id=uuid.uuid4().hex)
        call = (tuple(args), kwargs)
        owner = self._owner(context)
        first = owner.begin(context, call) if owner is not None else None
        if owner is not None and first is not None and first.plan.served == "candidate":
            return await owner.serve_candidate(first)
        others = [
            router.begin(context, call, may_serve=False)
            for router in self._routers.values()
            if router is not owner
        ]
        routes: list[RoutedRequest] = [one for one in (first, *others) if one is not None]
        return await self._first.serve_stable(routes, call)

    async def aclose(self, timeout_s: float = 5.0) -> None:
        """Wait for calls that no user waits for; see `Router.aclose`."""
        for router in self._routers.values():
            await router.aclose(timeout_s)

    def _owner(self, context: RequestContext) -> AnyRouter | None:
        """The rollout whose own this user is, which alone may serve its candidate."""
        having = [one.rollout_id for one in self._routers.values() if one.has_users()]
        if not having:
            return None
        unit = context.user_id or context.conversation_id or context.pair_id or ""
        try:
            return self._routers[owner_of(unit, having)]
        except Exception:
            self._first.note_own_failure("a request could not be assigned")
            return None
