"""All tails of a bundle are loaded under their names, and nothing that is no tail of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cic.errors import ArtifactError, EngineError
from cic.protocol.spoken_tail import largest_request_bytes
from cic.serving.loaded_tails import load_tails
from cic.serving.server_options import ServerOptions
from codegen.manifest import read_manifest, write_manifest

OPTIONS = ServerOptions(engine="torchscript")


def test_a_tail_that_takes_or_gives_nothing_is_left_out(mixed_bundle: Path, tmp_path: Path) -> None:
    tails = load_tails(mixed_bundle, OPTIONS)
    assert set(tails) == {"mixed_server-only", "mixed_wide-1.2"}
    shutil.copytree(mixed_bundle, tmp_path / "alone.split")
    manifest = read_manifest(mixed_bundle)
    write_manifest(tmp_path / "alone.split", replace(manifest, cuts=(manifest.cut("device-only"),)))
    with pytest.raises(ArtifactError, match="there is nothing for a server"):
        load_tails(tmp_path / "alone.split", OPTIONS)


def test_names_and_limits_are_those_of_the_options(mixed_bundle: Path) -> None:
    tails = load_tails(mixed_bundle, replace(OPTIONS, name="net", max_body=1000))
    assert set(tails) == {"net_server-only", "net_wide-1.2"}
    assert {tail.largest_request_bytes for tail in tails.values()} == {1000}
    for name, tail in load_tails(mixed_bundle, OPTIONS).items():
        assert tail.largest_request_bytes == largest_request_bytes(tail.spoken), name
        assert tail.platform == "cic_torchscript" and tail.largest_json_bytes < tail.largest_request_bytes


def test_names_do_not_depend_on_where_a_bundle_lies(mixed_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(mixed_bundle, tmp_path / "another place")
    assert load_tails(tmp_path / "another place", OPTIONS).keys() == load_tails(mixed_bundle, OPTIONS).keys()


def test_a_tail_of_onnx_has_the_names_of_its_graph(onnx_bundle: Path) -> None:
    tail = load_tails(onnx_bundle, replace(OPTIONS, engine="onnxruntime"))["plumbing_cut-1"]
    assert [each.name for each in tail.spoken.inputs] == [wire.name for wire in tail.engine.inputs]
    outputs = tail.engine.run([np.ones(each.wire.shape, each.wire.dtype) for each in tail.spoken.inputs])
    assert [output.shape for output in outputs] == [each.wire.shape for each in tail.spoken.outputs]


def test_a_damaged_tail_is_not_served(mixed_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(mixed_bundle, tmp_path / "mixed.split")
    record = read_manifest(mixed_bundle).cut("wide-1.2").files["torchscript"].tail
    path = tmp_path / "mixed.split" / (record.path if record.bare is None else record.bare.path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"SHA-256|digest"):
        load_tails(tmp_path / "mixed.split", OPTIONS)
    with pytest.raises(ArtifactError, match="there is no such directory"):
        load_tails(tmp_path / "absent", OPTIONS)
