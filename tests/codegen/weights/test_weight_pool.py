"""However many halves a process has loaded, of whatever format, it holds each weight once, and none that changes."""

from __future__ import annotations

import copy
import gc
import hashlib
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.formats.emitter import Runner, emitter_of
from codegen.formats.onnx_session import open_session, open_sharing, runner_of
from codegen.loading import export_half, files_of, load_cut
from codegen.manifest import read_manifest
from codegen.split import Half
from codegen.weights.onnx_weights import BareGraph
from codegen.weights.shared_weights import open_half
from codegen.weights.torch_weights import share, written_attributes
from codegen.weights.weight_pool import POOL, return_freed_memory
from tests.codegen.flat_module import flat_module
from tests.codegen.small_models import Residual, calibrated

FORMATS = ("torchscript", "exported_program", "onnx")
BIG_BYTES = 4096 * 2048 * 4


class Wide(nn.Module):
    """Nearly all of it is one matrix of 32 MiB."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(64, 2048), nn.Linear(2048, 4096), nn.Linear(4096, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.third(torch.relu(self.second(torch.relu(self.first(x)))))


@pytest.fixture(scope="module")
def residual() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    example = torch.randn(1, 3, 8, 8)
    return calibrated(Residual(channels=64), example), example


@pytest.fixture(scope="module")
def bundle(residual, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emitted(*residual, tmp_path_factory.mktemp("residual") / "shared", sets=1)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return emitted(Wide().eval(), torch.randn(1, 64), tmp_path_factory.mktemp("wide") / "shared", sets=0)


def emitted(model: nn.Module, example: torch.Tensor, place: Path, sets: int) -> Path:
    """All on the server, and so many cuts more."""
    traced = flat_module(model, (example,), fused=True)
    closed = traced.random_closed_sets(sets)
    plans = [CutPlan(f"cut-{index}", nodes, ()) for index, nodes in enumerate([closed[0], *closed[2:]])]
    write_bundle(place, traced.source, plans, formats=FORMATS, weights="shared")
    return place


def plain_half(directory: Path, cut_id: str, half: Half, format_name: str, optimize: bool) -> Runner:
    """The half's plain file, loaded as one."""
    manifest = read_manifest(directory)
    inputs = manifest.inputs if half == "head" else manifest.cut(cut_id).crossing
    with tempfile.TemporaryDirectory() as place:
        export_half(directory, cut_id, half, Path(place) / "plain", format_name)
        return emitter_of(format_name).load(Path(place) / "plain", inputs, optimize=optimize)


@pytest.fixture(autouse=True)
def forget_weights():
    gc.collect()
    assert len(POOL) == 0, "a test must not find weights an earlier one has loaded"
    yield


def cuts_of(directory: Path) -> list[str]:
    return [cut.id for cut in read_manifest(directory).cuts]


def resident_bytes() -> int:
    gc.collect()
    return_freed_memory()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def test_an_onnx_half_loads_where_nothing_can_be_written(residual, bundle, monkeypatch: pytest.MonkeyPatch):
    _, example = residual
    cut_id = cuts_of(bundle)[0]
    expected = plain_half(bundle, cut_id, "tail", "onnx", optimize=True)(example)
    monkeypatch.setattr(tempfile, "tempdir", str(bundle / "absent"))
    answer = load_cut(bundle, cut_id, half="tail", format_name="onnx").run_tail_flat([example])
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("optimize", [False, True])
def test_halves_answer_as_plain_ones_and_add_no_weights(residual, bundle, format_name: str, optimize: bool):
    _, example = residual
    loaded, pooled = [], []
    for _ in range(2):
        for cut_id in cuts_of(bundle):
            loaded.append(load_cut(bundle, cut_id, format_name=format_name, optimize=optimize))
            pooled.append(len(POOL))
    assert pooled[0] > 0
    assert pooled[len(pooled) // 2 - 1] == pooled[-1], "the second time, every weight is there already"
    for cut in loaded:
        head, tail = (plain_half(bundle, cut.id, half, format_name, optimize) for half in ("head", "tail"))
        for _ in range(2):
            results = cut.run_head_flat([example])
            crossing = results[: len(cut.crossing)]
            torch.testing.assert_close(results, head(example), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(cut.run_tail_flat(crossing), tail(*crossing), rtol=1e-5, atol=1e-6)
    del loaded, cut
    gc.collect()
    assert len(POOL) == 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell resident memory")
@pytest.mark.parametrize(
    ("format_name", "optimize"),
    [("torchscript", False), ("torchscript", True), ("exported_program", False), ("onnx", False)],
)
def test_loading_a_weight_again_takes_no_memory_for_it(wide: Path, format_name: str, optimize: bool):
    def tail(shared: bool) -> Runner:
        if not shared:
            return plain_half(wide, "cut-0", "tail", format_name, optimize)
        return load_cut(wide, "cut-0", half="tail", format_name=format_name, optimize=optimize).tail_runner

    def grown(shared: bool, count: int) -> int:
        tail(shared)  # what loading itself leaves
        loaded, before = [], resident_bytes()
        for _ in range(count):
            loaded.append(tail(shared))
            loaded[-1](torch.zeros(1, 64))
        return resident_bytes() - before

    assert grown(False, 3) > 2.5 * BIG_BYTES, "what is measured would show it"
    assert 0.9 * BIG_BYTES < grown(True, 3) < 1.5 * BIG_BYTES
    assert grown(True, 1) > 0.9 * BIG_BYTES, "and it went back when the halves were dropped"


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_damaged_weight_is_refused(bundle: Path, format_name: str):
    first = cuts_of(bundle)[0]
    for file in files_of(bundle, first, "tail", format_name)[1:4]:
        path = bundle / file.path
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        try:
            with pytest.raises(CodegenError, match=rf"{path.name} has SHA-256 .*, the manifest says {file.sha256}"):
                load_cut(bundle, first, half="tail", format_name=format_name)
        finally:
            path.write_bytes(content)


@pytest.mark.parametrize(
    ("format_name", "switch"), [("torchscript", "torchscript.CAN_BIND"), ("onnx", "onnx_program.CAN_SHARE")]
)
def test_where_a_runtime_cannot_share_halves_are_read_as_plain_files(residual, bundle, monkeypatch, format_name, switch):
    monkeypatch.setattr(f"codegen.formats.{switch}", False)
    model, example = residual
    cut = load_cut(bundle, cuts_of(bundle)[-1], format_name=format_name)
    assert len(POOL) == 0
    with torch.no_grad():
        torch.testing.assert_close(cut.tail(*cut.head(example)), model(example), rtol=1e-4, atol=1e-5)


def test_a_plain_file_reads_alike_from_anywhere(bundle: Path):
    manifest, choice = read_manifest(bundle), random.Random(3)
    half = open_half(bundle, manifest, manifest.cuts[0].files["exported_program"].tail)
    plain = b"".join(half.plain())
    with half.plain_file(lambda sha256: memoryview(half.weight(sha256))) as file:
        assert file.read() == plain and file.read(1) == b"" and file.seek(0, 2) == len(plain)
        for _ in range(200):
            begin, size = choice.randrange(len(plain) + 9), choice.choice([0, 1, 100, 10_000, 10**6])
            assert file.seek(begin) == begin and file.read(size) == plain[begin : begin + size]


class Tangled(nn.Module):
    """Tied weights, a transposed one, a view of another, one matrix that is written to and one written through a view."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
        self.other.weight = self.one.weight
        self.turned = nn.Parameter(torch.randn(64, 64).t())
        self.register_buffer("many", torch.randn(3, 64, 64))
        self.register_buffer("part", self.many[1])
        self.register_buffer("count", torch.randn(64, 64))
        self.register_buffer("through", torch.randn(64, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        self.through.reshape(8, 512)[0].mul_(2)
        return self.one(x) + self.other(x) @ self.turned + x @ self.part + x @ self.many[2] + x @ self.count + x @ self.through


@pytest.mark.filterwarnings("ignore")
def test_views_and_ties_are_kept_and_what_is_written_is_not_shared():
    torch.manual_seed(0)
    model, x = Tangled().eval(), torch.randn(2, 64)
    program = torch.export.export(model, (x,), strict=False)
    modules = [copy.deepcopy(program).module() for _ in range(3)]
    alone = modules.pop()
    kinds = {name: getattr(alone, name) for name in ("turned", "many", "count", "through")} | {"weight": alone.one.weight}
    pool = {name: bytes_of(tensor).clone() for name, tensor in kinds.items()}
    weights = {hashlib.sha256(raw.numpy().data).hexdigest(): raw for raw in pool.values()}
    strides = [getattr(alone, name).stride() for name in ("turned", "many", "part")]
    for module in modules:
        assert {id(tensor) for tensor in written_attributes(module)} == {id(module.count), id(module.through)}
        used = share(module, weights)
        assert {raw.data_ptr() for raw in used} == {pool[name].data_ptr() for name in ("turned", "many", "weight")}
        assert module.one.weight.data_ptr() == module.other.weight.data_ptr() == pool["weight"].data_ptr()
        assert module.part.data_ptr() == module.many[1].data_ptr() == pool["many"].data_ptr() + 64 * 64 * 4
        assert [getattr(module, name).stride() for name in ("turned", "many", "part")] == strides
    with torch.no_grad():
        for _ in range(2):
            expected = alone(x)
            assert all(module(x).equal(expected) for module in modules)


def bytes_of(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


def test_weights_inside_of_an_op_come_along():
    """ONNX Runtime writes weights of an If's branches beside the optimised graph, too, but takes none from memory there."""
    generator = np.random.default_rng(0)
    branches = {}
    for name in ("then_branch", "else_branch"):
        weight = numpy_helper.from_array(generator.normal(size=(64, 64)).astype(np.float32), f"{name}_weight")
        node = helper.make_node("MatMul", ["x", weight.name], [f"{name}_out"])
        out = helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [2, 64])
        branches[name] = helper.make_graph([node], name, [], [out], [weight])
    nodes = [helper.make_node("If", ["choose"], ["y"], **branches)]
    inputs = [helper.make_tensor_value_info("choose", TensorProto.BOOL, []), helper.make_tensor_value_info("x", 1, [2, 64])]
    graph = helper.make_graph(nodes, "choice", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 64])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    plain = runner_of(open_session(model, "choice"), "choice")
    session, weights = open_sharing(BareGraph(model), "choice")
    sharing = runner_of(session, "choice", weights)
    x = generator.normal(size=(2, 64)).astype(np.float32)
    for choose in (np.array(True), np.array(False)):
        np.testing.assert_allclose(sharing(choose, x)[0], plain(choose, x)[0], rtol=1e-5, atol=1e-5)
