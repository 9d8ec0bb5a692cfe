"""Whether a statement only reads what is in the database. Pure.

chDB's own `readonly` mode refuses everything that writes, and the table functions that reach files
and other servers. It lets through what this module refuses: the function `file`, `INTO OUTFILE`,
several statements at once, and statements such as SYSTEM and KILL.

Comments are cut out before the engine sees the statement, so that it cannot read them differently.
What is lexed differently elsewhere (typographic quotes, heredocs, escapes in identifiers) is
refused.
"""

from __future__ import annotations

import re
from typing import Final

MAX_SQL_BYTES: Final = 256 * 1024
"""ClickHouse's own default of `max_query_size`."""
READING: Final = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS"})
"""What a statement may begin with."""
_REFUSED_NAMES: Final = frozenset({"FILE", "PYTHON", "OUTFILE", "INFILE"})
"""Names of functions that read files or objects of this process, however they are called."""
_TOKEN: Final = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*')
    |(?P<quoted>"[^"\\]*"|`[^`\\]*`)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][0-9A-Za-z_.]*)
    |(?P<other>[^'"`\\#$\u2018\u2019\u201c\u201d])
    """,
    re.VERBOSE | re.DOTALL,
)


class RefusedSql(ValueError):
    """A statement that does more than read, or may; the message says why."""


def read_only(sql: str) -> tuple[str, str | None]:
    """The statement without comments, and the name of the format that it asks for.

    Raises `RefusedSql`.
    """
    tokens = _tokens(sql)
    seen = [token for token in tokens if token[0] != "blank"]
    while seen and seen[-1] == ("other", ";"):
        seen.pop()
    first = next((text.upper() for kind, text in seen if (kind, text) != ("other", "(")), "")
    if first not in READING:
        raise RefusedSql(f"only {', '.join(sorted(READING))} are answered here, not {first[:30]}")
    if ("other", ";") in seen:
        raise RefusedSql("one statement at a time")
    for kind, text in seen:
        name = text if kind == "name" else text[1:-1] if kind == "quoted" else ""
        if name.upper() in _REFUSED_NAMES:
            raise RefusedSql(f"{name} reaches outside the database")
    is_named = len(seen) > 1 and seen[-2][1].upper() == "FORMAT" and seen[-1][0] == "name"
    return "".join(text for _, text in tokens).strip(" ;"), seen[-1][1] if is_named else None


def _tokens(sql: str) -> list[tuple[str, str]]:
    """Kinds and texts; what is blank is one space."""
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:
            raise RefusedSql(f"the character {sql[position]!r} cannot stand there")
        kind = str(found.lastgroup)
        if kind == "other" and sql.startswith("/*", position):
            raise RefusedSql("a comment does not end")
        tokens.append((kind, " " if kind == "blank" else found[0]))
        position = found.end()
    return tokens
