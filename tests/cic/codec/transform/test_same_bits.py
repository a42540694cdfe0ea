"""The same bits on every machine: the payload of a transform that is given by whole numbers has the digest it always had.

Nothing here comes from a library's random numbers or eigenvectors, so the digests hold for every version of numpy.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from cic.codec.registry import codec
from cic.codec.transform import rans
from cic.codec.transform.integer_transform import Transform
from cic.codec.transform.rans import BITS, Tables
from cic.codec.transform.stream import HELD, Receiver, Sender
from cic.codec.transform.transform_codec import transform_codec

SHAPE = (2, 6, 13, 7)
ROWS, VALUES, SYMBOLS = 5, 6, 81


def drawn(count: int, low: int, high: int, state: int) -> np.ndarray:
    """int64[count], from low to high - 1, by a linear congruential generator (Knuth, MMIX)."""
    numbers = []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        numbers.append(low + (state >> 33) % (high - low))
    return np.array(numbers, np.int64)


def transform() -> Transform:
    frequency = (1 << BITS) // (SYMBOLS + 1)
    row = [frequency] * SYMBOLS + [(1 << BITS) - SYMBOLS * frequency]
    lengths = np.full(ROWS, SYMBOLS + 1, np.int64)
    tables = Tables(np.full(ROWS, -(SYMBOLS // 2), np.int64), lengths, np.array(row * ROWS, np.int64))
    return Transform(
        block=(1, VALUES, 1, 1),
        forward=drawn(ROWS * VALUES, -(2**15) + 1, 2**15, 1).reshape(ROWS, VALUES),
        backward=drawn(ROWS * VALUES, -(2**15) + 1, 2**15, 2).reshape(VALUES, ROWS),
        centre=drawn(VALUES, -1000, 1000, 3),
        forward_shifts=np.array([26, 25, 26, 27, 24], np.int64),
        lifts=np.array([0, 1, 2, 0, 3], np.int64),
        value_shift=12,
        backward_shift=20,
        tables=tables,
    )


@pytest.mark.parametrize("compiled", [True, False])
def test_payloads_and_tensors_have_the_digests_they_always_had(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr(rans, "_compiled", lambda kernel: None)
    used, content = transform_codec(0.5, transform())
    values = (drawn(2 * 6 * 13 * 7, -(2**12), 2**12, 4).reshape(SHAPE) / 2**10).astype(np.float32)
    payload = bytes(used.encode(values))
    symbols = used.transform.symbols(values)
    assert symbols is not None and (np.abs(symbols) > SYMBOLS // 2).any() and len(payload) < values.nbytes / 2
    again = codec(used.name, {used.name.partition("@")[2]: content})
    decoded = again.decode(payload, SHAPE, "float32")
    assert [sha256(each).hexdigest() for each in (payload, decoded.astype("<f4").tobytes())] == [
        "7fc5764713ed598f96aa29a0ba4f15af2dca0e879a094e0ad7fb1267e58b0cca",
        "9607d528646fb7b6e4272e0542992d245446d8fa8ea00f608ffde43204110b9d",
    ]


@pytest.mark.parametrize("compiled", [True, False])
def test_frames_of_a_stream_have_the_digests_they_always_had(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr(rans, "_compiled", lambda kernel: None)
    used, _ = transform_codec(0.5, transform())
    sender, receiver = Sender(used, SHAPE, "float32", HELD), Receiver(used, SHAPE, "float32")
    still, frames = drawn(2 * 6 * 13 * 7, -(2**12), 2**12, 4), []
    for number in range(3):
        values = still + drawn(still.size, -(40**number), 40**number + 1, 5 + number)
        frames.append(bytes(sender.encode((values.reshape(SHAPE) / 2**10).astype(np.float32))))
        receiver.decode(frames[-1])
        sender.acknowledge(number)
    assert [frame[0] for frame in frames] == [0, 1, 1]
    assert sha256(b"".join(frames)).hexdigest() == "e91b01b4eba5d3c8d37c14190cdc1cdf0268251a8f0e2f4d55d4750a1c6c1220"
