"""DDL for a cluster of replicas: on all of its hosts, in replicated tables. Pure.

The statements of a release name no cluster. For one, each says ON CLUSTER, and its tables become
replicated: path and replica are the server's defaults (`default_replica_path`,
`default_replica_name`), which its macros fill in. One shard: rows of one key must meet in one
table, or none of them would replace the other.
"""

from __future__ import annotations

import re
from typing import Final

_HEAD: Final = re.compile(
    r"(?:CREATE (?:TABLE|VIEW|FUNCTION|DATABASE) IF NOT EXISTS|ALTER TABLE|DROP TABLE IF EXISTS)"
    r" `?\w+`?"
)
_ENGINE: Final = re.compile(r"\bENGINE = (?!Replicated)(\w*MergeTree)\b")


class UnknownDdl(ValueError):
    """A statement of a kind that is not known to take a cluster."""


def on_cluster(statement: str, cluster: str) -> str:
    """The statement for all hosts of the cluster; as it is where the cluster is empty.

    Raises `UnknownDdl`.
    """
    if not cluster:
        return statement
    found = _HEAD.match(statement)
    if found is None:
        raise UnknownDdl(f"not known on a cluster: {statement[:60]}")
    quoted = cluster.replace("`", "")
    rest = _ENGINE.sub(r"ENGINE = Replicated\1", statement[found.end() :])
    return f"{found[0]} ON CLUSTER `{quoted}`{rest}"
