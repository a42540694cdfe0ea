"""Tensors survive the wire bit by bit; nothing else gets through."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.crossing import cross
from cic.codec.registry import codec, codec_names
from cic.errors import CodecError, LinkError
from cic.runtime.wire import Message, decode, encode, largest_message_bytes
from codegen.split import WireTensor

DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64")
CODECS = ("raw", "raw+zstd", "fp16", "int8+zlib", "int8-channel", "int4+zstd", "int4-clip")
X = WireTensor("x", (2, 3), "float32", 24)


def wire_of(tensor: torch.Tensor, name: str = "x") -> WireTensor:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return WireTensor(name, tuple(tensor.shape), dtype, tensor.numel() * tensor.element_size())


def joined(message: Message) -> bytearray:
    return bytearray(b"".join(bytes(buffer) for buffer in encode(message)))


def drawn(dtype: str, shape: list[int]) -> torch.Tensor:
    kind = getattr(torch, dtype)
    raw = torch.randint(0, 2 if dtype == "bool" else 256, (torch.Size(shape).numel() * kind.itemsize,), dtype=torch.uint8)
    return raw.view(kind).reshape(shape) if raw.numel() else torch.empty(shape, dtype=kind)


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    one, other = (tensor.contiguous().reshape(-1) for tensor in (one, other))
    return not one.numel() or torch.equal(one.view(torch.uint8), other.view(torch.uint8))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=4)), max_size=4), st.integers(0, 2**40))
def test_tensors_come_back_bit_by_bit(kinds: list[tuple[str, list[int]]], number: int) -> None:
    tensors = tuple(drawn(dtype, shape) for dtype, shape in kinds)
    message = decode(joined(Message("answer", number, tensors, seconds=0.25)), [wire_of(tensor) for tensor in tensors])
    assert (message.kind, message.number, message.seconds) == ("answer", number, 0.25)
    assert len(message.tensors) == len(tensors)
    assert all(same_bits(one, other) for one, other in zip(message.tensors, tensors, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CODECS), st.lists(st.integers(0, 9), max_size=4)), min_size=1, max_size=4))
def test_tensors_come_back_as_their_codecs_give_them(kinds: list[tuple[str, list[int]]]) -> None:
    tensors = tuple(torch.randn(shape) for _, shape in kinds)
    codecs = tuple(name for name, _ in kinds)
    message = decode(joined(Message("run", 3, tensors, codecs=codecs)), [wire_of(tensor) for tensor in tensors])
    assert message.codecs == codecs
    for received, tensor, name in zip(message.tensors, tensors, codecs, strict=True):
        assert same_bits(received, cross(tensor, name)[0])


def test_a_tensor_that_its_codec_does_not_take_is_named() -> None:
    message = Message(
        "run", 1, (torch.zeros(3), torch.zeros(3, dtype=torch.int64)), codecs=("int8", "int8"), names=("x", "ids")
    )
    with pytest.raises(CodecError, match="ids has the type 'int64', which int8 does not take"):
        encode(message)


def test_without_codecs_a_message_is_as_it_was_before_there_were_any() -> None:
    plain = joined(Message("run", 1, (torch.ones(2, 3),)))
    header = b'{"kind":"run","number":1,"tensors":[["float32",[2,3]]]}'
    assert plain == struct.pack("<I", len(header)) + header + struct.pack("<6f", *[1.0] * 6)


def test_views_are_sent_as_what_they_show() -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    views = (whole.t(), whole[1:3, ::2], whole[0, 0], whole.expand(2, 4, 6), torch.complex(whole, whole).conj())
    message = decode(joined(Message("run", 1, views)), [wire_of(view) for view in views])
    for sent, view in zip(message.tensors, views, strict=True):
        assert torch.equal(sent, view)


def test_numbers_are_little_endian_whatever_the_machine() -> None:
    payload = joined(Message("run", 1, (torch.tensor([1, 258], dtype=torch.int32),)))
    assert payload.endswith(b"\x01\x00\x00\x00\x02\x01\x00\x00")


def test_a_request_is_little_more_than_its_tensors() -> None:
    assert len(joined(Message("run", 12, (torch.zeros(1, 64, 56, 56),)))) < 64 * 56 * 56 * 4 + 80


def test_a_failure_carries_its_text_and_no_tensors() -> None:
    message = decode(joined(Message("failure", 3, text="out of memory")), [X])
    assert (message.kind, message.number, message.text, message.tensors) == ("failure", 3, "out of memory", ())


def test_a_peer_s_text_is_short_and_steers_no_terminal() -> None:
    text = "\x1b[2J\ud800\u202e" + "é" * 5000
    for payload in (joined(Message("failure", 0, text=text)), framed({"kind": "failure", "number": 0, "text": text})):
        received = decode(payload, [X]).text
        assert len(received) == 1000 and received.isprintable() and received.endswith("é")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=5)), max_size=4), st.data())
def test_no_message_is_longer_than_the_manifest_allows(kinds: list[tuple[str, list[int]]], data: st.DataObject) -> None:
    tensors = tuple(drawn(dtype, shape) for dtype, shape in kinds)
    expected = [wire_of(tensor) for tensor in tensors]
    names = [[name for name in codec_names() if codec(name).accepts(wire.dtype)] for wire in expected]
    codecs = tuple(data.draw(st.sampled_from(each)) for each in names)
    payload = joined(Message("run", 2**63 - 1, tensors, seconds=1 / 3, text="\U0001f600" * 5000, codecs=codecs))
    assert len(payload) <= largest_message_bytes(expected)


def framed(header: object, body: bytes = bytes(24), edit: tuple[bytes, bytes] = (b"", b""), coding: str = "utf-8") -> bytearray:
    text = json.dumps(header).encode(coding).replace(*edit) if edit[0] else json.dumps(header).encode(coding)
    return bytearray(struct.pack("<I", len(text)) + text + body)


GOOD: dict[str, object] = {"kind": "run", "number": 1, "tensors": [["float32", [2, 3]]]}

NONSENSE = {
    "empty": (bytearray(), "0 bytes"),
    "header longer than the message": (bytearray(b"\xff\xff\xff\x00{}"), "says that its header has"),
    "no JSON": (bytearray(b"\x04\x00\x00\x00oops"), "not JSON"),
    "deep JSON": (bytearray(struct.pack("<I", 200_000) + b"[" * 200_000), "not JSON"),
    "a list": (framed([1, 2]), "list"),
    "unknown kind": (framed({**GOOD, "kind": "eval"}), "'eval'"),
    "unhashable kind": (framed({**GOOD, "kind": ["run"]}), "kind"),
    "number of a word": (framed({**GOOD, "number": "one"}), "'one'"),
    "time of a word": (framed({**GOOD, "seconds": "long"}), "'long'"),
    "text of a number": (framed({**GOOD, "text": 5}), "text 5"),
    "too few tensors": (framed({**GOOD, "tensors": []}, b""), "has 1 here"),
    "tensors of a word": (framed({**GOOD, "tensors": "x"}), "has 1 here"),
    "other shape": (framed({**GOOD, "tensors": [["float32", [3, 2]]]}), r"x: .*\[3, 2\].*\[2, 3\]"),
    "other type": (framed({**GOOD, "tensors": [["int32", [2, 3]]]}), "x: .*int32.*float32"),
    "codecs of a word": (framed({**GOOD, "codecs": "int8"}), "names the codecs 'int8', it has 1"),
    "too few codecs": (framed({**GOOD, "codecs": []}), r"names the codecs \[\], it has 1"),
    "codec of a number": (framed({**GOOD, "codecs": [[8, 24]]}), "x: .*a name and a number"),
    "codec without a size": (framed({**GOOD, "codecs": [["raw"]]}), "x: .*a name and a number"),
    "negative size": (framed({**GOOD, "codecs": [["raw", -24]]}), "x: .*a name and a number"),
    "size of a word": (framed({**GOOD, "codecs": [["raw", "24"]]}), "x: .*a name and a number"),
    "size that is true": (framed({**GOOD, "codecs": [["raw", True]]}), "x: .*a name and a number"),
    "unknown codec": (framed({**GOOD, "codecs": [["eval", 24]]}), "x cannot be decoded: there is no codec 'eval'"),
    "codec without payload": (framed({**GOOD, "codecs": [["int8", 0]]}, b""), "x cannot be decoded: x: .* is empty"),
    "payload of nonsense": (framed({**GOOD, "codecs": [["int8+zlib", 24]]}, b"\2" * 24), "x cannot be decoded: x: .*zlib"),
    "size beyond the message": (framed({**GOOD, "codecs": [["raw", 2**70]]}), "carries 24 bytes of tensors, the header says"),
    "time that is not a number": (framed({**GOOD, "seconds": float("nan")}), "the number NaN, which nothing there can be"),
    "infinite time": (framed({**GOOD, "seconds": float("-inf")}), "the number -Infinity"),
    "time beyond floats": (framed({**GOOD, "seconds": 10**400}), "the number 1000000000"),
    "time that rounds to infinity": (framed(GOOD | {"seconds": 0.5}, edit=(b"0.5", b"1e400")), "the number 1e400"),
    "negative time": (framed({**GOOD, "seconds": -1}), "seconds -1 and"),
    "a thousand years": (framed({**GOOD, "seconds": 2**64}), "seconds 18446744073709551616"),
    "negative number": (framed({**GOOD, "number": -1}), "number -1;"),
    "huge number": (framed({**GOOD, "number": 10**30}), "number 1000000000"),
    "number of 400 digits": (framed({**GOOD, "number": 10**400}), "the number 1000000000"),
    "size of 4300 digits": (framed({**GOOD, "codecs": [["raw", 10**4299]]}), "the number 1000000000"),
    "infinite size": (framed({**GOOD, "codecs": [["raw", float("inf")]]}), "the number Infinity"),
    "a number that nobody reads": (framed({**GOOD, "more": [{"x": 10**4000}]}), "the number 1000000000"),
    "deep tensors": (framed(GOOD | {"tensors": 0}, edit=(b"0}", b"[" * 400 + b"]" * 400 + b"}")), r"sent \[.*\.\.\."),
    "long tensors": (framed({**GOOD, "tensors": [0] * 100_000}), "has 1 here"),
    "UTF-16": (framed(GOOD, coding="utf-16"), "not JSON"),
    "broken UTF-8": (framed(GOOD, edit=(b"run", b"\xffun")), "not JSON"),
    "too few bytes": (framed(GOOD, bytes(23)), "23 bytes of tensors, the manifest says 24"),
    "too many bytes": (framed(GOOD, bytes(25)), "25 bytes of tensors, the manifest says 24"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_refused_with_a_reason(case: str) -> None:
    payload, told = NONSENSE[case]
    with pytest.raises(LinkError, match=told) as refused:
        decode(payload, [X])
    assert len(str(refused.value)) < 1000
    assert decode(framed(GOOD), [X]).tensors[0].shape == (2, 3)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_messages_never_do_anything_but_fail_or_differ(data: st.DataObject) -> None:
    coded = joined(Message("run", 1, (torch.randn(2, 3),), codecs=("int8+zstd",)))
    payload = data.draw(st.sampled_from((framed(GOOD), coded)))[:]
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(0, len(payload)))]
    try:
        message = decode(payload, [X])
    except LinkError:
        return
    assert message.kind == "failure" or message.tensors[0].shape == (2, 3)


def test_a_tensor_whose_rows_the_data_decides_comes_back_as_long_as_it_is() -> None:
    rows = WireTensor("rows", (5, 3), "float32", 60, (0,))
    for count in (0, 2, 5):
        sent = torch.randn(count, 3)
        (received,) = decode(joined(Message("answer", 1, (sent,))), [rows]).tensors
        assert same_bits(received, sent)
    for other in (torch.randn(6, 3), torch.randn(2, 4), torch.randn(2)):
        with pytest.raises(LinkError, match="rows: the other side sent"):
            decode(joined(Message("answer", 1, (other,))), [rows])


def test_tensors_of_any_batch_come_back_and_those_of_several_do_not() -> None:
    rows, pairs = WireTensor("rows", (8, 3), "float32", 96, (0,), 8), WireTensor("pairs", (4, 16), "float32", 256, (1,), 8)
    for batch in (1, 3, 8):
        sent = torch.randn(batch, 3), torch.randn(4, 2 * batch)
        received = decode(joined(Message("answer", 1, sent)), [rows, pairs]).tensors
        assert all(same_bits(one, other) for one, other in zip(received, sent, strict=True))
    for other in ((torch.randn(9, 3), torch.randn(4, 18)), (torch.randn(0, 3), torch.randn(4, 0)), (torch.randn(2, 3),) * 2):
        with pytest.raises(LinkError, match="the other side sent"):
            decode(joined(Message("answer", 1, other)), [rows, pairs])
    with pytest.raises(LinkError, match="sent tensors of several batches"):
        decode(joined(Message("answer", 1, (torch.randn(2, 3), torch.randn(4, 6)))), [rows, pairs])
