"""Frames over a socket, at the pace of a slower network.

A frame is eight bytes (the mark "CIC1" and a little-endian 32-bit length) and that many bytes of payload. The sender
shapes the traffic: tokens for bytes accrue at the bandwidth from the moment a frame begins, and a piece is handed to the
socket once there are tokens for all of it. So a frame of n bytes never takes less than n * 8 / bandwidth seconds, a late
wake-up is caught up with at the next piece, and idle time saves up nothing.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from cic.errors import LinkError

Buffer = bytes | bytearray | memoryview

MARK = b"CIC1"
_HEADER = struct.Struct("<4sI")
HEADER_BYTES = _HEADER.size
LARGEST_FRAME_BYTES = 2**31
# Pieces short enough to flow evenly, long enough for a sleep to be exact to a few per cent.
_PIECE_S, _LARGEST_PIECE_BYTES = 0.005, 256 * 1024
# A frame of n bytes may take the patience once, and once more for each so many bytes: far slower than any link in use,
# and yet an end to a peer that sends a byte now and then.
_BYTES_A_PATIENCE = 4096
_FIRST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Pacing:
    """How one end of a connection goes about it.

    bandwidth_bps: pace of what this end sends; None: as fast as it goes.
    delay_s: time on the way, spent before the first byte of each frame.
    patience_s: how long the other side may be silent within a frame, or not take what is sent.
    """

    bandwidth_bps: float | None = None
    delay_s: float = 0.0
    patience_s: float = 60.0


class Link:
    """One end of a connection.

    largest_bytes: longer frames are neither sent nor read. Whoever knows what is to come says so to `receive`.
    """

    def __init__(
        self,
        connection: socket.socket,
        pacing: Pacing = Pacing(),
        *,
        largest_bytes: int = LARGEST_FRAME_BYTES,
    ) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._bytes_per_s = None if pacing.bandwidth_bps is None else pacing.bandwidth_bps / 8
        self._delay_s = pacing.delay_s
        self._patience_s = pacing.patience_s
        self._largest_bytes = largest_bytes

    def pace(self, bandwidth_bps: float) -> None:
        """Send at this pace from the next frame on."""
        self._bytes_per_s = bandwidth_bps / 8

    def send(self, buffers: Sequence[Buffer], *, shaped: bool = True) -> int:
        """Send one frame made of `buffers` and return its size in bytes. With `shaped` false, at full speed, undelayed.

        Raises LinkError when the frame is too long, or the other side is gone or takes nothing for `patience_s`.
        """
        size = sum(memoryview(buffer).nbytes for buffer in buffers)
        if size > self._largest_bytes:
            raise LinkError(f"a message of {size} bytes is to be sent, a frame holds at most {self._largest_bytes}")
        pace = _Pace(self._bytes_per_s, self._delay_s) if shaped else _Pace(None, 0.0)
        try:
            self._connection.settimeout(self._patience_s)
            for buffer in (_HEADER.pack(MARK, size), *buffers):
                for piece in pace.pieces(memoryview(buffer).cast("B")):
                    self._connection.sendall(piece)
        except TimeoutError as error:
            raise LinkError(f"the other side took nothing for {self._patience_s:g} s") from error
        except OSError as error:
            raise LinkError(f"the connection broke while sending {size} bytes: {error}") from error
        return HEADER_BYTES + size

    def receive(self, *, wait_s: float | None = None, largest_bytes: int | None = None) -> bytearray:
        """Receive the payload of one frame, waiting up to `wait_s` for its first byte (None: as long as it takes).

        largest_bytes: no more than this is accepted, hence allocated, whatever the other side announces; None: what the
        link was made for.
        Raises LinkError for a frame that does not end, is too long, or is no frame. Two kinds of it tell that no frame began:
        ClosedError, if the other side closed the connection, and SilentError, if it said nothing, after which it may yet.
        """
        header = bytearray(HEADER_BYTES)
        if not self._read(memoryview(header)[:1], wait_s, "a frame", 0, HEADER_BYTES, SilentError):
            raise ClosedError("the other side closed the connection")
        self._fill(memoryview(header)[1:], "the head of a frame", 1, HEADER_BYTES)
        mark, size = _HEADER.unpack(header)
        if mark != MARK:
            raise LinkError(f"the other side sent {bytes(mark)!r} where a frame begins with {MARK!r}; it speaks something else")
        largest = self._largest_bytes if largest_bytes is None else largest_bytes
        if size > largest:
            raise LinkError(f"the other side announced a frame of {size} bytes, at most {largest} are accepted")
        return self._payload(size)

    def close(self) -> None:
        """Close the connection; the other side sees its end."""
        self._connection.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _payload(self, size: int) -> bytearray:
        """The payload of a frame, in memory that grows as it comes: at most twice what the other side really sent."""
        payload = bytearray(min(size, _FIRST_BYTES))
        filled = 0
        try:
            while True:
                self._fill(memoryview(payload)[filled:], "a frame", filled, size)
                filled = len(payload)
                if filled == size:
                    return payload
                payload.extend(bytes(min(filled, size - filled)))
        except MemoryError:
            raise LinkError(f"the other side sends a frame of {size} bytes, for which there is no memory") from None

    def _fill(self, room: memoryview, what: str, already: int, total: int) -> None:
        """Read until `room` is full; `already` bytes of the `total` came before."""
        got = 0
        deadline = time.monotonic() + self._patience_s * (1 + len(room) / _BYTES_A_PATIENCE)
        while got < len(room):
            left_s = max(1e-3, deadline - time.monotonic())
            count = self._read(room[got:], min(self._patience_s, left_s), what, already + got, total)
            if count == 0:
                raise LinkError(f"the connection was closed after {already + got} of {total} bytes of {what}")
            got += count

    def _read(
        self, room: memoryview, wait_s: float | None, what: str, here: int, total: int, silence: type[LinkError] = LinkError
    ) -> int:
        """Read some bytes, at least one unless the connection was closed, and return how many."""
        try:
            self._connection.settimeout(wait_s)
            return self._connection.recv_into(room)
        except TimeoutError as error:
            raise silence(
                f"nothing came for {wait_s:g} s while waiting for {what}, {here} of {total} bytes are here"
            ) from error
        except OSError as error:
            raise LinkError(f"the connection broke after {here} of {total} bytes of {what}: {error}") from error


class ClosedError(LinkError):
    """The other side closed the connection between two frames, which is how a conversation ends."""


class SilentError(LinkError):
    """No frame began in the time that was given for it."""


class _Pace:
    """The tokens of one frame: bytes may be sent once they have accrued, which begins after the delay."""

    def __init__(self, bytes_per_s: float | None, delay_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._began = time.perf_counter() + delay_s
        self._spent = 0

    def pieces(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the buffer piece by piece, each when there are tokens for all of it."""
        if self._bytes_per_s is None:
            _sleep_until(self._began)
            # In pieces here, too: the other side's patience is for one of them.
            for start in range(0, len(buffer), _LARGEST_PIECE_BYTES):
                yield buffer[start : start + _LARGEST_PIECE_BYTES]
            return
        length = max(1, min(_LARGEST_PIECE_BYTES, int(self._bytes_per_s * _PIECE_S)))
        for start in range(0, len(buffer), length):
            piece = buffer[start : start + length]
            self._spent += len(piece)
            _sleep_until(self._began + self._spent / self._bytes_per_s)
            yield piece


def _sleep_until(moment: float) -> None:
    """Wait for a moment of time.perf_counter()."""
    early_s = moment - time.perf_counter()
    if early_s > 0:
        time.sleep(early_s)
