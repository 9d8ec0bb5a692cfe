"""The pairs of one partition that are kept until their windows close, then captured. Pure.

Of each rollout and window the worst pairs are kept, by severity and, among equals, by a hash of the
pair: an order in which they rank the same however they come. First come the worst of each slice
and kind, then the second worst, and so on, until there are enough. What once ranks beyond
the limit never comes back, since ranks only fall; so what is kept does not depend on where batches
are cut or where a worker was restarted, as long as the memory of the worker suffices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from understudy.analyzers.compare.severity import Severities
from understudy.schemas.events import CANDIDATE, STABLE, Event, Response, failure_of
from understudy.schemas.redaction.cut import first_bytes
from understudy.streams.clickhouse.captured_pair import CapturedPair, CapturedSide
from understudy.streams.pairing.capture_choices import CaptureChoices
from understudy.streams.pairing.capture_memory import bytes_of
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.join import RequestSides
from understudy.streams.pairing.open_windows import WatermarkSteps
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.ranked_pairs import Group, Order, RankedPair, RankedPairs

if TYPE_CHECKING:
    from understudy.schemas.redaction.recognizer import Recognizer
    from understudy.schemas.redaction.redact import Redacted

_KEPT_BEYOND: Final = 4_096
"""Bytes kept beyond the limit, so that a secret that the cut goes through is seen whole."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Captures:
    """What one partition captures of the windows that are open."""

    partition: int
    window_s: int
    allowed_lateness_ms: int
    choices: CaptureChoices
    failures: int = 0
    """Pairs that could not be redacted, and were left out."""
    dropped: int = 0
    """Pairs for which this worker's captures had no memory."""
    kept_bytes: int = 0
    _windows: dict[tuple[str, int], RankedPairs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.choices.memory.add(self)

    def __len__(self) -> int:
        return sum(window.count for window in self._windows.values())

    def take(
        self, found: Severities, row: int, comparisons: Comparisons, entry: RequestSides
    ) -> None:
        """Keep a pair if it may be among those that are captured; `row` is its own."""
        requests, limits = comparisons.requests, self.choices.limits
        rollout_id, pair_id = requests.rollout_id[row], requests.pair_id[row]
        time_ms = int(requests.request_time_ms[row])
        start_ms = time_ms - time_ms % (self.window_s * 1000)
        capture = self.choices.of(rollout_id, start_ms)
        is_worst, severity = capture == "worst", float(np.max(found.values[row]))
        if capture == "none" or (is_worst and severity <= 0.0):
            return
        place = place_of(rollout_id, pair_id)
        if capture == "sample" and place >= limits.sample_share:
            return
        most, limit = limits.pairs_per_kind, limits.pairs_per_window
        names = requests.mode[row], requests.language[row], requests.workflow[row], found.kind(row)
        order: Order = (-severity, place, pair_id)
        group: Group = names
        if not is_worst:  # in the order of the hash alone: any other would prefer something
            most = limit = limits.sampled_per_window
            order, group = (0.0, place, pair_id), ()
        key = (rollout_id, start_ms)
        window = self._windows.get(key) or RankedPairs(most, limit)
        if window.may_take(order, group):
            cut = limits.max_text_bytes + _KEPT_BEYOND
            stable, candidate = (entry.sides.get(bit) for bit in (STABLE, CANDIDATE))
            events = [side.event if side else None for side in (stable, candidate)]
            pair = CapturedPair(
                rollout_id=rollout_id,
                mode=names[0],
                language=names[1],
                workflow=names[2],
                kind=names[3],
                window_start_ms=start_ms,
                window_s=self.window_s,
                partition=self.partition,
                rank=0,
                version=0,
                pair_id=pair_id,
                request_time_ms=time_ms,
                capture=capture,
                severity=severity,
                kinds=found.kinds(row),
                similarity=_similarity(comparisons, row),
                expects=requests.expects[row],
                prompt=first_bytes(_prompt(events), cut),
                prompt_is_cut=False,
                redacted=[],
                stable=_side(events[0], cut),
                candidate=_side(events[1], cut),
            )
            self._keep(key, window, RankedPair(order, group, pair, bytes_of(pair)))

    def _keep(self, key: tuple[str, int], window: RankedPairs, kept: RankedPair) -> None:
        """Keep a pair if there is memory, in place of pairs of its group that rank beyond it."""
        lacking = self.choices.memory.kept_bytes + kept.nbytes - self.choices.limits.max_bytes
        if lacking > 0 and lacking > window.bytes_beyond(kept.order, kept.group):
            self.dropped += 1
            return
        before = window.nbytes
        self.dropped += window.free(lacking, kept.group)
        window.take(kept)
        self._windows[key] = window
        self.kept_bytes += window.nbytes - before

    def close(self, watermark_ms: int, steps: WatermarkSteps) -> list[CapturedPair]:
        """What is captured of the windows that the watermark has left behind, redacted."""
        length_ms = self.window_s * 1000
        last_start = watermark_ms - self.allowed_lateness_ms - length_ms
        closed = sorted(key for key in self._windows if key[1] <= last_start)
        captured: list[CapturedPair] = []
        for key in closed:
            ended_ms = key[1] + length_ms + self.allowed_lateness_ms
            captured += self._captured(key, steps.passed_at(ended_ms))
        return captured

    def close_all(self, version: int) -> list[CapturedPair]:
        """The same of all windows, at the end of the input."""
        return [pair for key in sorted(self._windows) for pair in self._captured(key, version)]

    def _captured(self, key: tuple[str, int], version: int) -> Iterator[CapturedPair]:
        """Yield the pairs of a window, ranked; nothing if its rollout captures no more."""
        window = self._windows.pop(key)
        self.kept_bytes -= window.nbytes
        if self.choices.of(*key) == "none":
            return
        ranks: Counter[Group] = Counter()
        for kept in window.first():
            pair = kept.pair
            of = pair.mode, pair.language, pair.workflow, pair.kind
            ranks[of] += 1
            try:
                redacted = redacted_pair(
                    pair, self.choices.limits.max_text_bytes, self.choices.recognize
                )
            except Exception:  # its message may quote the text
                self.failures += 1
                continue
            yield replace(redacted, rank=ranks[of], version=version)


def redacted_pair(
    pair: CapturedPair, max_text_bytes: int, recognize: Recognizer | None = None
) -> CapturedPair:
    """Return a pair with its texts redacted and cut to size. Raises what the recognizer raises."""
    redacted = partial(_redacted, max_bytes=max_text_bytes, recognize=recognize)
    prompt = redacted(pair.prompt)
    names = set(prompt.names)
    stable, candidate = (
        _redacted_side(side, redacted, names) for side in (pair.stable, pair.candidate)
    )
    return replace(
        pair,
        prompt=prompt.text,
        prompt_is_cut=prompt.is_cut,
        stable=stable,
        candidate=candidate,
        redacted=sorted(names),
    )


def _redacted_side(
    side: CapturedSide, redacted: Callable[[str], Redacted], names: set[str]
) -> CapturedSide:
    output, calls = redacted(side.output), redacted(side.tool_calls)
    names.update(output.names, calls.names)
    return replace(
        side, output=output.text, tool_calls=calls.text, is_cut=output.is_cut or calls.is_cut
    )


def _redacted(text: str, max_bytes: int, recognize: Recognizer | None) -> Redacted:
    # Imported here, since few rollouts capture texts, and the rules take long to import.
    from understudy.schemas.redaction.redact import redact_and_cut

    return redact_and_cut(text, max_bytes, recognize)


def _similarity(comparisons: Comparisons, row: int) -> float:
    return float("nan") if comparisons.pair is None else float(comparisons.pair.similarity[row])


def _prompt(events: Sequence[Event | None]) -> str:
    """The prompt as the first side that tells it wrote it; a hash tells nothing."""
    for event in events:
        request = event.request if event else None
        if request is not None and request.prompt and request.prompt_form != "hashed":
            return request.prompt
    return ""


def _side(event: Event | None, cut: int) -> CapturedSide:
    """What a side answered, each text cut to so many bytes."""
    if event is None:
        return CapturedSide()
    response, error = event.response or Response(), failure_of(event)
    is_hashed = response.output_form == "hashed"
    output = "" if is_hashed else response.output or response.refusal or ""
    return CapturedSide(
        is_there=True,
        model=response.model or "",
        output=first_bytes(output, cut),
        output_characters=len(output),
        tool_calls=first_bytes(_tool_calls(response), cut),
        error_type=error.type if error else "",
        finish_reason="refusal" if response.refusal else response.finish_reason or "",
        duration_ms=_duration_ms(event),
    )


def _tool_calls(response: Response) -> str:
    """The calls as JSON; arguments that a gateway wrote as a string stay one."""
    calls = [{"name": call.name, "arguments": call.arguments} for call in response.tool_calls or ()]
    return msgspec.json.encode(calls).decode("utf-8", "replace") if calls else ""


def _duration_ms(event: Event) -> float:
    timing = event.timing
    return float("nan") if timing is None or timing.duration_ms is None else timing.duration_ms
