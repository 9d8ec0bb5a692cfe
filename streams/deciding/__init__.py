"""Deciding: window rows in, verdicts out.

`Decider` is all that an edge has to call; it and everything here is pure: no clock, no I/O. Kafka,
Faust, HTTP and files stand at the edges that call it.
"""

from understudy.streams.deciding.decider import Decider

__all__ = ["Decider"]
