"""Free ports that stay free while a broker is down for a moment."""

from __future__ import annotations

import random
import socket
from contextlib import closing

# Below the range that Linux (32768) and macOS (49152) hand to outgoing connections: a restarted
# broker finds its port as it left it.
_FIRST = 20_000
_LAST = 31_999
_ATTEMPTS = 200


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of 127.0.0.1 on which nothing listens now.

    Raises `OSError` when none is found.
    """
    # The operating system's randomness: tests seed the shared generator.
    candidates = random.SystemRandom().sample(range(_FIRST, _LAST + 1), _ATTEMPTS)
    free = [port for port in candidates if _is_free(port)][:count]
    if len(free) < count:
        raise OSError(f"no {count} free ports between {_FIRST} and {_LAST}")
    return free


def _is_free(port: int) -> bool:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
