"""A device learns names from a server and nothing else: what differs from its manifest is another bundle."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from cic.errors import ProtocolError
from cic.protocol.metadata import check_configuration, metadata_of, read_metadata
from tests.cic.protocol.spoken import TWO

SAID = metadata_of(TWO, "cic_onnxruntime")


def test_what_is_said_of_a_tail_is_that_tail() -> None:
    served = read_metadata(json.dumps(SAID).encode(), TWO)
    assert served.tail == TWO and served.codecs


def test_names_are_the_servers_by_order() -> None:
    """Triton has no parameters there, and takes no codecs."""
    said = {key: value for key, value in SAID.items() if key != "parameters"}
    said["inputs"] = [{**entry, "name": name} for entry, name in zip(SAID["inputs"], ("relu", "best"), strict=True)]
    served = read_metadata(json.dumps(said).encode(), TWO)
    assert [tensor.name for tensor in served.tail.inputs] == ["relu", "best"]
    assert [tensor.wire for tensor in served.tail.inputs] == [tensor.wire for tensor in TWO.inputs]
    assert not served.codecs


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"parameters": {"cic_weights": "0" * 16}}, "digest '0000000000000000' of its weights"),
        ({"parameters": {"cic_model": 3}}, "digest 3 of its graph"),
        ({"inputs": SAID["inputs"][:1]}, "the manifest 2"),
        ({"inputs": None}, "the manifest 2"),
        ({"inputs": SAID["inputs"][::-1]}, "the manifest says"),
        ({"inputs": [{**SAID["inputs"][0], "name": "INPUT__1"}, SAID["inputs"][1]]}, "of one name"),
        ({"inputs": [{**SAID["inputs"][0], "name": ""}, SAID["inputs"][1]]}, "a tensor with a name"),
        ({"outputs": [{**SAID["outputs"][0], "shape": [-1, 5]}, SAID["outputs"][1]]}, "of shape [-1, 5]"),
    ],
)
def test_another_bundle_is_found_out(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_metadata(json.dumps({**SAID, **change}).encode(), TWO)
    assert caught.value.status == 409 and told in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{" * 10_000, b" " * (2 << 20)])
def test_what_describes_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_metadata(content, TWO)
    assert caught.value.status == 502


def test_digests_of_a_tritons_configuration_are_compared() -> None:
    texts = {"cic_model_digest": TWO.model_digest, "cic_weights_digest": TWO.weights_digest}
    content = json.dumps({"parameters": {key: {"string_value": text} for key, text in texts.items()}}).encode()
    check_configuration(content, TWO)
    with pytest.raises(ProtocolError) as caught:
        check_configuration(content, replace(TWO, weights_digest="00" * 32))
    assert caught.value.status == 409
    for other in (b"{}", b'{"parameters": []}', b'{"parameters": {"cic_model_digest": "x"}}', b"no"):
        with pytest.raises(ProtocolError) as caught:
            check_configuration(other, TWO)
        assert caught.value.status == 502
