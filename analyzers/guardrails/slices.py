"""Slices: parts of the traffic that are tested separately, their names and their weights.

A slice's name is `all`, or `language:ja`, `workflow:extract`, `language:ja,workflow:extract`.
Languages and workflows turn up while a rollout runs, and their weights depend on the order in which
they did.

Where a policy mirrors requests while it serves the candidate to others, those that are mirrored
have slices of their own, `mirrored` and `mirrored,language:ja`: a fault that only those see whom
the candidate serves must not be outweighed by many mirrored requests that lack it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import field

from understudy.analyzers.sequential.weights import arrival_share
from understudy.schemas.events import Mode
from understudy.schemas.rollouts import SliceChoice, SliceManifest

ALL: Final = "all"
MIRRORED: Final = "mirrored"
"""All requests that are mirrored, and how the names of their slices begin."""
MIRRORED_MODE: Final[Mode] = "shadow"
"""Of requests that are mirrored while the candidate serves others."""
N_KINDS: Final = 4
"""All requests, a language, a workflow, a language in a workflow."""
MAX_ARRIVALS: Final = 64
"""Languages, and as many workflows, that are tested separately; later ones count in `all` alone. It
bounds the state when hostile events make up names."""


def slice_name(language: str | None = None, workflow: str | None = None) -> str:
    """Return the name of a slice; `all` without either."""
    parts = [("language", language), ("workflow", workflow)]
    return ",".join(f"{kind}:{value}" for kind, value in parts if value is not None) or ALL


def mirrored(name: str) -> str:
    """Return the name of the slice of mirrored requests that goes with a slice."""
    return MIRRORED if name == ALL else f"{MIRRORED},{name}"


def unmirrored(name: str) -> str:
    """Return the name of a slice without saying whether its requests are mirrored."""
    return ALL if name == MIRRORED else name.removeprefix(f"{MIRRORED},")


def is_mirrored(name: str) -> bool:
    """Return whether a slice is one of mirrored requests."""
    return name == MIRRORED or name.startswith(f"{MIRRORED},")


def whole_of(name: str) -> str:
    """Return the slice of all requests that a slice is a part of."""
    return MIRRORED if is_mirrored(name) else ALL


def kinds_of(choice: SliceChoice) -> tuple[int, ...]:
    """Return the kinds of slices that a guardrail can cover, see `Arrivals.slices_by_kind`."""
    named = {2 * (one.workflow is not None) + (one.language is not None) for one in choice.named}
    chosen = {0} if choice.all else set()
    chosen |= {1} if choice.each_language else set()
    chosen |= {2} if choice.each_workflow else set()
    return tuple(sorted(chosen | named))


def slice_title(name: str) -> str:
    """Return a slice as tables show it: `all`, `ja`, `workflow extract`, `mirrored, ja`."""
    return name.replace("language:", "").replace("workflow:", "workflow ").replace(",", ", ")


class Arrivals(msgspec.Struct, array_like=True):
    """Languages and workflows in the order in which they turned up."""

    languages: list[str] = field(default_factory=list)
    workflows: list[str] = field(default_factory=list)

    def note(self, language: str, workflow: str) -> bool:
        """Note the language and workflow of a row; return whether one of them is new."""
        is_new = self.takes_language(language), self.takes_workflow(workflow)
        if is_new[0]:
            self.languages.append(language)
        if is_new[1]:
            self.workflows.append(workflow)
        return any(is_new)

    def takes_language(self, value: str) -> bool:
        """Return whether a language is new and would be noted."""
        return _takes(self.languages, value)

    def takes_workflow(self, value: str) -> bool:
        """Return whether a workflow is new and would be noted."""
        return _takes(self.workflows, value)

    def slices_by_kind(self, language: str, workflow: str) -> tuple[str | None, ...]:
        """Return the slices that rows belong to, whether or not a guardrail covers them.

        Of all requests, of the language, of the workflow, of both; None where one has not arrived.
        """
        by_language = slice_name(language=language) if language in self.languages else None
        by_workflow = slice_name(workflow=workflow) if workflow in self.workflows else None
        both = slice_name(language, workflow) if by_language and by_workflow else None
        return ALL, by_language, by_workflow, both

    def weights(self, choice: SliceChoice) -> dict[str, float]:
        """Return the weight of each slice that a guardrail covers, at most 1 together.

        Half goes to all requests together, the rest evenly to languages, workflows and named
        slices, as far as they are covered. Named slices share evenly; what turns up gets its share
        on arrival.
        """
        families = [
            *([_arrived(self.languages, "language")] if choice.each_language else []),
            *([_arrived(self.workflows, "workflow")] if choice.each_workflow else []),
            *([_evenly(choice.named)] if choice.named else []),
        ]
        weights: dict[str, float] = {}
        if choice.all:
            weights[ALL] = 0.5 if families else 1.0
        left = (0.5 if choice.all else 1.0) / max(1, len(families))
        for family in families:
            for name, share in family.items():
                weights[name] = weights.get(name, 0.0) + left * share
        return weights


def _takes(known: list[str], value: str) -> bool:
    return bool(value) and value not in known and len(known) < MAX_ARRIVALS


def _arrived(values: list[str], kind: str) -> dict[str, float]:
    return {f"{kind}:{value}": arrival_share(rank) for rank, value in enumerate(values)}


def _evenly(named: tuple[SliceManifest, ...]) -> dict[str, float]:
    return {slice_name(one.language, one.workflow): 1.0 / len(named) for one in named}
