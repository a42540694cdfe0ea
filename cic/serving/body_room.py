"""The memory that bodies of requests may take together."""

from __future__ import annotations

from dataclasses import dataclass, field

from cic.errors import ProtocolError

# What all requests in flight have received may take together so many times the longest one, and at least this.
_LEAST_ROOM_BYTES = 64 << 20


@dataclass
class BodyRoom:
    """The memory for bodies that are on their way or wait: bytes, of which `taken` are. A peer's promise takes none."""

    bytes: int
    taken: int = field(default=0)

    def check(self) -> None:
        """Raise ProtocolError if more is taken than there is."""
        if self.taken > self.bytes:
            raise ProtocolError("there is no room for the bodies of more requests; come again in a second", 503)


def body_room(largest_bytes: int, queue: int) -> BodyRoom:
    """Room for as many of the longest requests as may wait, and a few that come meanwhile."""
    return BodyRoom(max(_LEAST_ROOM_BYTES, (queue + 4) * largest_bytes))
