"""A tail on the other side of a link: greeted, asked, and its answers checked. Whoever holds the head has one."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch

from cic.codec.codec import Payload
from cic.errors import LinkError
from cic.runtime.paced_link import Link, Pacing
from cic.runtime.wire import Message, decode, encode, identity, largest_message_bytes
from codegen.loading import LoadedCut
from codegen.split import common_batch

# By how much the clocks of two machines may run apart.
_CLOCKS, _CLOCKS_S = 1.01, 1e-3


class FarTail:
    """The tail of a cut whose head is here.

    head: the cut, as it is loaded here. port: of 127.0.0.1, where the tail listens. pacing: of what is sent to it.
    wait_s: how long it may take to begin its answer. last_words: what its process said, if it did.
    codecs: the codec of each crossing tensor; none if all are sent as they are.

    Raises (from the constructor): LinkError if nobody answers there, or it is the tail of another emission.
    """

    def __init__(
        self,
        head: LoadedCut,
        port: int,
        pacing: Pacing,
        wait_s: float,
        last_words: Callable[[], str] = str,
        codecs: tuple[str, ...] = (),
    ) -> None:
        self._head, self._wait_s, self._last_words, self._codecs = head, wait_s, last_words, codecs
        self._number = 0
        self._link = Link(_connect(port, pacing.patience_s), pacing)
        try:
            self._greet()
        except BaseException:
            self._link.close()
            raise

    def pace(self, uplink_bps: float) -> None:
        """Send at this pace from the next request on."""
        self._link.pace(uplink_bps)

    def close(self) -> None:
        """Close the connection; the other side sees its end."""
        self._link.close()

    def _greet(self) -> None:
        """Find out whether the tail on the other side belongs to this head. Raises LinkError if not."""
        mine = identity(self._head.manifest, self._head.id)
        reply, *_ = self._exchange_buffers(encode(Message("greet", 0, text=mine)), shaped=False)
        theirs = decode(reply, self._head.returned)
        if theirs.kind != "greet" or theirs.text != mine:
            raise LinkError(f"the head here is of {mine}, the other side answered: {theirs.text or theirs.kind}")

    def ask(self, kind: Literal["run", "rehearse"], results: Sequence[torch.Tensor]) -> tuple[Message, float, float, int, int]:
        """Send what crosses of a head's results, receive the answer.

        Returns:
            (reply, s sending, s waiting, bytes sent, bytes received).

        Raises:
            LinkError: the other side is gone, silent, failed, or answers nonsense. CodecError: a tensor's values are none that
                its codec can send.
        """
        self._number += 1
        crossing = tuple(results[: len(self._head.crossing)])
        names = tuple(wire.name for wire in self._head.crossing)
        message = Message(kind, self._number, crossing, codecs=self._codecs, names=names)
        buffers = encode(message, self._head.codecs)
        payload, sending_s, waiting_s, sent_bytes = self._exchange_buffers(buffers, shaped=kind == "run")
        batch = common_batch(self._head.crossing, [tuple(tensor.shape) for tensor in crossing])
        returned = self._head.returned if batch is None else [wire.at_batch(batch) for wire in self._head.returned]
        reply = decode(payload, returned)
        if reply.kind == "failure":
            raise LinkError(f"the tail of {self._head.id} failed on the server: {reply.text}")
        if reply.kind != "answer" or reply.number != self._number:
            raise LinkError(f"request {self._number} was answered by a message of kind {reply.kind!r} to number {reply.number}")
        took_s = sending_s + waiting_s
        if reply.seconds > _CLOCKS * took_s + _CLOCKS_S:
            raise LinkError(f"the server says that it worked {reply.seconds:g} s, its answer came within {took_s:g} s")
        return reply, sending_s, waiting_s, sent_bytes, len(payload)

    def _exchange_buffers(self, buffers: Sequence[Payload], *, shaped: bool) -> tuple[bytearray, float, float, int]:
        """Send a message and receive another: (its payload, s sending, s waiting, bytes sent)."""
        try:
            began = time.perf_counter()
            sent_bytes = self._link.send(buffers, shaped=shaped)
            sent = time.perf_counter()
            payload = self._link.receive(wait_s=self._wait_s, largest_bytes=largest_message_bytes(self._head.returned))
            received = time.perf_counter()
        except LinkError as error:
            # What comes next on this connection belongs to a frame that was given up.
            self._link.close()
            told = self._last_words()
            raise LinkError(f"{error}; the server's process said: {told}" if told else str(error)) from error
        return payload, sent - began, received - sent, sent_bytes


def _connect(port: int, patience_s: float) -> socket.socket:
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=patience_s)
    except OSError as error:
        raise LinkError(f"the server's process does not answer on port {port}: {error}") from error
