"""Streams: whatever is lost, late or damaged, the receiver has the symbols of the sender, or refuses the frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.registry import codec
from cic.codec.transform import rans
from cic.codec.transform.integer_transform import from_columns
from cic.codec.transform.stream import HELD, REMEMBERED, ROUNDED, Receiver, Sender
from cic.codec.transform.transform_codec import TransformCodec, transform_codec
from cic.errors import CodecError
from tests.cic.codec.transform.made import fitted, mixed

SHAPE = (1, 12, 4, 3)
CODEC = transform_codec(0.05, fitted(step=0.05, block=(1, 12, 1, 1)))[0]


def scene(seed: int = 0) -> np.ndarray:
    return from_columns(mixed(12, 12, seed), (1, 12, 1, 1), SHAPE).astype(np.float32)


def sequence(frames: int, noise: float = 0.02, seed: int = 0) -> list[np.ndarray]:
    """A still scene under noise, whose every seventh frame is another scene."""
    rng = np.random.default_rng(seed)
    return [scene(0 if at % 7 else at) + noise * rng.standard_normal(SHAPE).astype(np.float32) for at in range(frames)]


def pair(hold: float = ROUNDED, codec: TransformCodec = CODEC) -> tuple[Sender, Receiver]:
    return Sender(codec, SHAPE, "float32", hold), Receiver(codec, SHAPE, "float32")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40), st.integers(0, 20), st.integers(0, 99), st.floats(0, 3))
def test_any_frame_that_comes_is_what_its_codec_alone_would_give(
    fates: list[tuple[bool, bool]], delay: int, seed: int, noise: float
) -> None:
    """fates: is a frame lost, is its acknowledgement?"""
    sender, receiver = pair()
    under_way: list[tuple[int, int]] = []
    for at, (values, (lost, unheard)) in enumerate(zip(sequence(len(fates), noise, seed), fates, strict=True)):
        for due, number in under_way:
            if due == at:
                sender.acknowledge(number)
        frame = sender.encode(values)
        if lost:
            continue
        assert (receiver.decode(frame) == CODEC.decode(CODEC.encode(values), SHAPE, "float32")).all()
        assert receiver.newest == at and not receiver.needs_key
        if not unheard:
            under_way.append((at + delay, at))


@settings(max_examples=20, deadline=None)
@given(st.floats(ROUNDED, 1), st.integers(0, 99), st.floats(0, 3))
def test_no_component_is_further_from_its_symbol_than_it_is_held(hold: float, seed: int, noise: float) -> None:
    sender, receiver = pair(hold)
    for values in sequence(10, noise, seed):
        receiver.decode(sender.encode(values))
        assert receiver.newest is not None
        sender.acknowledge(receiver.newest)
        products = CODEC.transform.products(values)
        assert products is not None
        assert np.abs(receiver._kept[receiver.newest] - products).max() <= hold


def test_a_still_scene_takes_little_and_less_where_symbols_are_held() -> None:
    sizes = {}
    for hold in (ROUNDED, HELD):
        sender, receiver = pair(hold)
        frames = []
        for values in sequence(6)[1:]:
            frames.append(bytes(sender.encode(values)))
            receiver.decode(frames[-1])
            sender.acknowledge(int(receiver.newest or 0))
        sizes[hold] = sum(map(len, frames[1:]))
        assert sizes[hold] < 4 * len(frames[0]) / 2
    assert sizes[HELD] < sizes[ROUNDED]


def test_no_frame_builds_upon_one_that_was_not_acknowledged_or_is_too_old() -> None:
    sender, receiver = pair()
    values = scene()
    for at in range(REMEMBERED + 3):
        fresh = Receiver(CODEC, SHAPE, "float32")
        frame = sender.encode(values)
        receiver.decode(frame)
        if 0 < at < REMEMBERED:
            with pytest.raises(CodecError, match=f"frame {at} builds upon frame 0, which is not here; ask for a key frame"):
                fresh.decode(frame)
            assert fresh.needs_key and fresh.newest is None
        else:
            fresh.decode(frame)
        if at == 0:
            sender.acknowledge(0)
    sender.acknowledge(at)
    sender.begin_again()
    fresh.decode(sender.encode(values))


def test_frames_of_another_stream_are_refused_and_a_key_frame_mends_it() -> None:
    """Both have a frame 0, but not the same one."""
    (sender, receiver), (other, _) = pair(), pair()
    receiver.decode(sender.encode(scene(1)))
    other.encode(scene(2))
    other.acknowledge(0)
    with pytest.raises(CodecError, match="conv1: frame 1 does not stand for the symbols"):
        receiver.decode(other.encode(scene(2)), "conv1")
    assert receiver.needs_key and receiver.newest == 0
    other.begin_again()
    receiver.decode(other.encode(scene(2)))
    assert not receiver.needs_key


def test_late_and_repeated_frames_and_wrong_acknowledgements_are_refused() -> None:
    sender, receiver = pair()
    first, second = (bytes(sender.encode(scene(each))) for each in range(2))
    receiver.decode(second)
    for frame in (first, second):
        with pytest.raises(CodecError, match="comes after frame 1; leave it out"):
            receiver.decode(frame)
    for number in (2, -1):
        with pytest.raises(CodecError, match=f"frame {number} is acknowledged, and 2 were sent"):
            sender.acknowledge(number)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 3e38])
def test_values_without_symbols_cross_as_they_are_and_nothing_builds_upon_them(wrong: float) -> None:
    sender, receiver = pair()
    values = scene()
    for at in range(4):
        values[0, 1, 2, 0] = wrong if at == 1 else 1.0
        assert np.array_equal(receiver.decode(sender.encode(values)), values, equal_nan=True) == (at == 1)
        sender.acknowledge(at)


def test_a_damaged_frame_is_refused_whatever_its_kind() -> None:
    sender, receiver = pair()
    rng = np.random.default_rng(0)
    rounds = sequence(5, noise=0.3)
    rounds[3][0, 0, 0, 0] = np.nan
    for values in rounds:
        frame = bytes(sender.encode(values))
        for _ in range(300):
            changed = bytearray(frame)
            for _ in range(int(rng.integers(1, 4))):
                changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
            if rng.random() < 0.3:
                del changed[int(rng.integers(len(changed))) :]
            if changed != frame:
                with pytest.raises(CodecError, match="conv1"):
                    receiver.decode(bytes(changed), "conv1")
        receiver.decode(frame)
        sender.acknowledge(int(receiver.newest or 0))


def test_frames_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    def frames() -> list[bytes]:
        sender, receiver = pair(HELD)
        found = []
        for at, values in enumerate(sequence(4)):
            found.append(bytes(sender.encode(values)))
            receiver.decode(found[-1])
            sender.acknowledge(at)
        return found

    with_numba = frames()
    monkeypatch.setattr(rans, "_compiled", lambda kernel: None)
    assert frames() == with_numba


def test_memory_is_that_of_a_few_frames() -> None:
    sender, receiver = pair()
    for values in sequence(3 * REMEMBERED):
        receiver.decode(sender.encode(values))
    assert len(receiver._kept) <= REMEMBERED and len(sender._sent) <= REMEMBERED


def test_other_tensors_and_holds_are_refused() -> None:
    sender, _ = pair()
    with pytest.raises(CodecError, match=r"conv1: a stream of \(1, 12, 4, 3\) float32 is given \(1, 12, 4, 3\) float64"):
        sender.encode(scene().astype(np.float64), "conv1")
    for hold in (0.4, 1.1, float("nan")):
        with pytest.raises(CodecError, match="a component is held"):
            pair(hold)
    with pytest.raises(CodecError, match="a stream of int64 is asked for"):
        Receiver(CODEC, SHAPE, "int64")
    with pytest.raises(CodecError, match="a stream is one of a transform codec, not of 'int8'"):
        Sender(codec("int8"), SHAPE, "float32")  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="is not made of blocks"):
        Receiver(CODEC, (1, 13, 4, 3), "float32")
