"""What is looked at of a text to tell its language: some prose from it.

Code, markup and addresses are in no natural language. What fences, backquotes and angle brackets
mark is always left out. `without_code` also leaves out code, queries, tables and logs that nothing
marks, by how their lines look; it costs more and is for texts whose language is in doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import filterfalse, groupby
from operator import itemgetter
from typing import Final

SAMPLE: Final = 160
"""Characters: a sentence or three, enough for every detector."""
_PART: Final = SAMPLE // 2
"""Characters of each of a sample's three parts."""
_READ: Final = 32_768
"""Characters read of one text: more than 99 of 100 answers have, and a bound on the work."""
_SPARE: Final = 2
"""So many times the characters are taken where marked passages are left out of them."""

_MARKED: Final = r"`[^`\n]*`|<[^<>\n]{1,200}>|\$\$.*?\$\$|https?://\S+|www\.\S+"
_marked = re.compile(_MARKED, re.DOTALL).sub
_marked_or_mail = re.compile(rf"{_MARKED}|\S+@\w\S*\.\w+", re.DOTALL).sub
"""The same and addresses of mail, which may begin at every character: ten times the work."""


def beginning_of(text: str, length: int = SAMPLE) -> str:
    """The beginning of a text, without what is marked as code, markup or address."""
    head = text[:length]
    if not _has_marks(head):
        return head
    return _cut(_outside_fences(text[:_READ]), 0, length)


def sample_of(text: str) -> tuple[str, str]:
    """What is looked at of a text: all of it outside fences, and of that the latter part.

    The latter part is middle and end, without what is marked: what the text goes on as, whatever it
    begins with. It is all of a short text.
    """
    prose = _outside_fences(text[:_READ])
    last = len(prose) - _PART
    if last <= _PART:
        return prose, _cut(prose, 0, SAMPLE)
    middle = last // 2
    latter = f"{prose[middle : middle + _PART]}\n{prose[last:]}"
    if _has_marks(latter):
        latter = f"{_cut(prose, middle, _PART)}\n{_cut(prose, last, _PART)}"
    return prose, latter


def with_beginning(prose: str, latter: str) -> str:
    """The beginning as well as the latter part of a sample, of the same length each.

    Few texts need it, so it is cut when it is asked for.
    """
    return latter if len(prose) <= SAMPLE else f"{_cut(prose, 0, _PART)}\n{latter}"


def prose_of(prose: str) -> str:
    """The same of a text outside fences, without lines that are code."""
    wide = _SPARE * _PART
    last = len(prose) - wide
    if last <= 0:
        return without_code(_cut(prose, 0, wide))[:SAMPLE]
    parts = [without_code(_cut(prose, start, wide))[:_PART] for start in (0, last // 2, last)]
    return "\n".join(filter(None, parts))


_parts_by_fences = re.compile("```").split
"""Faster than `str.split`, which looks for three characters at every place."""


def _outside_fences(text: str) -> str:
    return " ".join(_parts_by_fences(text)[::2]) if "`" in text else text


def _has_marks(text: str) -> bool:
    return (
        ("`" in text or "<" in text or "@" in text)
        or (":" in text and "://" in text)
        or ("$" in text and "$$" in text)
    )


def _cut(prose: str, start: int, length: int) -> str:
    part = prose[start : start + length]
    if not _has_marks(part):
        return part
    part = prose[start : start + _SPARE * length]
    without_marks = _marked_or_mail if "@" in part else _marked
    return without_marks(" ", part)[:length]


# --- code without a fence --------------------------------------------------------------------

_is_statement = re.compile(
    r"""\s*(?:
      [$>%]\s\w | >>>                                                       # a prompt
    | \[?\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d | [A-Z][a-z]{2}\ +\d+\ \d\d:\d\d:\d\d  # a log's time
    | \[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|TRACE)\b
    | (?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|FROM|WHERE|AND|OR|ON|SET|VALUES
        |(?:LEFT|RIGHT|INNER|OUTER|CROSS)?\ ?JOIN|(?:GROUP|ORDER)\ BY|HAVING|LIMIT|UNION)\ \w
    | select\s.*\sfrom\s\S+(?:$|;|\s(?:where|join|order|group|limit)\b)
    | (?:import|package|using|use)\s[\w.:{}*]+\s*(?:;|$|as\b) | from\s\S+\simport\s
    | (?:else|try|finally|do|done|fi|end|begin|pass|break|continue|return)\b\W*$
    | ["'][^"']{1,60}["']\s*: | [\w.-]+\s?[:=]\s?\S+$                         # a key and its value
    )""",
    re.VERBOSE,
).match
"""Whether a line is a statement, a query, a line of a log or an entry: no sentence looks so."""

_starts_command = re.compile(
    r"""\s*(?:select|insert|update|delete|create|alter|with|from|import|export|def|class|return|for
    |while|if|elif|else|try|except|async|await|const|let|var|function|public|private|protected
    |static|void|int|use|fn|func|struct|enum|impl|type|echo|sudo|apt|pip|npm|npx|git|docker|kubectl
    |curl|wget|cd|ls|cat|grep|ssh|scp|chmod|mkdir|rm|cp|mv|make|brew|python3?|node|systemctl|print
    |raise|throw|assert|yield|switch|case)\s""",
    re.VERBOSE,
).match
"""Whether a line begins as statements and commands do, and now and then a sentence."""
_SHORT_COMMAND: Final = 4
"""Words of a command without options, such as `npm install express`."""

_is_word = re.compile(
    r"""["'“”‘’„«»¿¡(\[*_#]*
    (?:[A-Za-z\x80-\U0010ffff]+(?:['-][A-Za-z\x80-\U0010ffff]+)* | (?:[A-Za-z]\.)+[A-Za-z]?)
    [.,;:!?…。，、！？：；।؟،)\]"'“”‘’„»*_]*""",
    re.VERBOSE,
).fullmatch
_mixed_case = re.compile(r"[a-z][A-Z]").search
_says_nothing = re.compile(r"[\W\d]*\d[\W\d]*|[-–—*•#>|·.…:,]+").fullmatch
"""Numbers, bullets, rules of tables: in any language, and in code."""


def without_code(text: str) -> str:
    """What may be prose: lines that are not code, and passages of words in lines that are mixed."""
    if _has_no_word(text):
        return ""
    lines = filterfalse(_has_no_word, text.splitlines())
    return "\n".join(filter(None, map(_prose_of_line, lines)))


_has_no_word = re.compile(r"\s*+(?:[^\s0-9]*+[0-9]\S*+\s*+)*+").fullmatch
"""Whether each token has a digit: those of numbers, keys, dates and paths mostly have one."""


def _prose_of_line(line: str) -> str:
    tokens = [token for token in line.split() if token[0].isalpha() or not _says_nothing(token)]
    odd = [
        not (token.isalpha() and (token.islower() or token.istitle())) and _is_odd(token)
        for token in tokens
    ]
    odds = sum(odd)
    if 5 * odds >= 2 * len(odd):
        # First, since most lines of code have too few words, and the other tests cost more.
        if len(odd) - odds < _PASSAGE or _is_code(line):
            return ""
        return " ".join(_passages(tokens, odd))
    if _is_statement(line):
        return ""
    if _starts_command(line):
        is_command = 8 * odds >= len(odd) or (len(odd) <= _SHORT_COMMAND and line.islower())
        return "" if is_command else line
    return line


def _is_code(line: str) -> bool:
    return bool(_is_statement(line) or _starts_command(line))


def _is_odd(token: str) -> bool:
    """Whether a token that is not letters alone, as words are written, is no word of a sentence."""
    return '":' in token or _mixed_case(token) is not None or not _is_word(token)


_PASSAGE: Final = 4
"""Words in a row that are a sentence's rather than names in code."""


def _passages(tokens: list[str], odd: list[bool]) -> Iterator[str]:
    for is_odd, run in groupby(zip(odd, tokens, strict=True), key=itemgetter(0)):
        words = [token for _, token in run]
        if not is_odd and len(words) >= _PASSAGE:
            yield from words
