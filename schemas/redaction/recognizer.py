"""What finds names of people and places, which have no form that rules could know. Pure.

None comes with Understudy: a model for names is large, and knows a few languages. Whoever installs
one says which function calls it: a gateway to `redact`, a worker in `[redaction] recognizer`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from understudy.schemas.redaction.rules import Finding

Span = tuple[int, int, str]
"""Where something begins and ends in a text, in characters, and what it is, such as `PERSON`."""
Recognizer = Callable[[str], Iterable[Span]]
_DEFAULT_NAME: Final = "name"
_MOST_CHARACTERS: Final = 32
"""Of what takes a finding's place: no label of a model is longer, and no text hides in one."""
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")


class RecognizerError(Exception):
    """A recognizer returned what is no span of its text; the message quotes nothing of it."""


def found_by(recognize: Recognizer, text: str) -> list[Finding]:
    """Return what a recognizer finds. Raises `RecognizerError`, and whatever it raises itself."""
    return [_finding(span, len(text)) for span in recognize(text)] if text else []


def _finding(span: object, characters: int) -> Finding:
    match span:
        case (int(start), int(end), str(label)) if 0 <= start < end <= characters:
            name = _NO_NAME.sub("_", label.lower()).strip("_")[:_MOST_CHARACTERS]
            return Finding(int(start), int(end), name or _DEFAULT_NAME)
    raise RecognizerError(
        "the recognizer must return spans (start, end, label) that lie in the text, "
        "in characters, with start before end"
    )
