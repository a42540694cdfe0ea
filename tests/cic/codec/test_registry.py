"""Codecs are found by their names; other names are refused with the list."""

from __future__ import annotations

import pytest

from cic.codec.registry import codec, codec_names
from cic.errors import CodecError


def test_unknown_codecs_are_refused_with_the_list() -> None:
    with pytest.raises(CodecError, match="is a text, not int"):
        codec(8)  # type: ignore[arg-type]
    for name in ("int5", "", "+zstd", "int8+", "int8+lzma", "int8+zstd+zstd", "INT8"):
        with pytest.raises(CodecError, match="there are raw, fp16"):
            codec(name)
    assert codec("fp32") is not None and codec("fp32").name == "raw"
    assert {codec(name).name for name in codec_names()} == set(codec_names())


def test_what_is_stored_for_others_changes_nothing() -> None:
    assert codec("int8", stored={"0" * 64: b"numbers"}) == codec("int8")
