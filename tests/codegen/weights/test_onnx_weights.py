"""ONNX halves share weights on disk as torch's do: each once, plain files byte for byte, and every byte vouched for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan, Storage
from codegen.errors import CodegenError
from codegen.loading import export_half, load_cut
from codegen.manifest import Manifest, read_manifest
from tests.codegen.flat_module import flat_module
from tests.codegen.onnx_models import plans_of, source_of
from tests.codegen.weights.exported_residual import example

PROMISE = 1.3


@pytest.fixture(scope="module")
def bundles(file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Storage, Path]:
    """One bundle with shared weights and one of plain files, each with a cut before every third node."""
    source = source_of(file)
    plans = plans_of(source.model, 3)
    directory = tmp_path_factory.mktemp("bundles")
    for weights in ("auto", "inline"):
        write_bundle(directory / weights, source, plans, storage=weights)
    return {"auto": directory / "auto", "inline": directory / "inline"}


def size_of(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_all_cuts_weigh_little_more_than_the_file(file: Path, bundles: dict[Storage, Path]):
    cuts = read_manifest(bundles["auto"]).cuts
    assert len(cuts) > 5
    assert size_of(bundles["auto"]) <= PROMISE * file.stat().st_size < len(cuts) * file.stat().st_size / 2
    assert size_of(bundles["inline"]) > 0.9 * len(cuts) * file.stat().st_size
    assert not list(bundles["inline"].rglob("*.bare"))
    # Only halves without weights are plain files: the head of "all on the server" and the tail of "all on the device".
    plain = [path.relative_to(bundles["auto"]).as_posix() for path in sorted(bundles["auto"].glob("*/*.onnx"))]
    assert plain == sorted([f"{cuts[0].id}/head.onnx", f"{cuts[-1].id}/tail.onnx"])


def test_plain_files_come_back_byte_for_byte(bundles: dict[Storage, Path], tmp_path: Path):
    for cut in read_manifest(bundles["auto"]).cuts:
        for half in ("head", "tail"):
            export_half(bundles["auto"], cut.id, half, tmp_path / "half.onnx")
            assert (tmp_path / "half.onnx").read_bytes() == (bundles["inline"] / cut.id / f"{half}.onnx").read_bytes()
    onnxruntime.InferenceSession(str(tmp_path / "half.onnx"), providers=["CPUExecutionProvider"])


def test_halves_answer_what_the_model_answers(network: torch.nn.Module, bundles: dict[Storage, Path]):
    (name,) = (wire.name for wire in read_manifest(bundles["auto"]).inputs)
    with torch.no_grad():
        expected = network(example())
    for cut in read_manifest(bundles["auto"]).cuts:
        loaded = load_cut(bundles["auto"], cut.id)
        (answer,) = loaded.tail(*loaded.head(**{name: example()})).values()
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_changed_weight_is_not_loaded(bundles: dict[Storage, Path]):
    manifest: Manifest = read_manifest(bundles["auto"])
    bare = manifest.cuts[0].files["onnx"].tail.bare
    assert bare is not None
    path = bundles["auto"] / "weights" / f"{bare.weights[0].sha256}.bin"
    original = path.read_bytes()
    try:
        path.write_bytes(bytes([original[0] ^ 1]) + original[1:])
        with pytest.raises(CodegenError, match="it is damaged or was changed"):
            load_cut(bundles["auto"], manifest.cuts[0].id, half="tail")
    finally:
        path.write_bytes(original)


@pytest.mark.real_interpreter
def test_a_shared_head_runs_where_torch_is_not(bundles: dict[Storage, Path]):
    code = """
import sys
sys.modules["torch"] = None
import numpy as np
from codegen.loading import load_cut
cut = load_cut(sys.argv[1], sys.argv[2], half="head")
print([value.shape for value in cut.run_head_flat([np.zeros((1, 3, 8, 8), np.float32)])] != [])
"""
    cut = read_manifest(bundles["auto"]).cuts[-2].id
    done = subprocess.run([sys.executable, "-c", code, str(bundles["auto"]), cut], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_halves_made_from_torch_share_theirs(network: torch.nn.Module, tmp_path: Path):
    traced = flat_module(network, (example(),))
    # Not between a convolution and its batch norm, which the exporter makes into one of other weights.
    sets = [frozenset(), frozenset(traced.ops), traced.closed_set(["relu_2"]), traced.closed_set(["relu_4"])]
    plans = [CutPlan(f"cut-{index}", nodes, ()) for index, nodes in enumerate(sets)]
    write_bundle(tmp_path / "split", traced.source, plans, formats=("onnx",))
    own = sum(value.nbytes for value in network.state_dict().values())
    assert size_of(tmp_path / "split") <= PROMISE * own
    cut = load_cut(tmp_path / "split", plans[2].id)
    with torch.no_grad():
        torch.testing.assert_close(cut.tail(*cut.head(example())), network(example()), rtol=1e-4, atol=1e-5)


def test_cut_ids_are_checked_as_for_torch(file: Path, tmp_path: Path):
    source = source_of(file)
    for ids, message in ((["a", "a"], "cut ids must differ: a, a"), (["weights"], "the cut id 'weights' names a directory")):
        with pytest.raises(CodegenError, match=message):
            write_bundle(tmp_path / "split", source, [CutPlan(name, frozenset(), ()) for name in ids])
    assert not list(tmp_path.iterdir())
