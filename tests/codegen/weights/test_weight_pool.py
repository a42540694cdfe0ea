"""However many halves a process has loaded, of whatever format, it holds each weight once, and none that changes."""

from __future__ import annotations

import gc
import random
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.errors import CodegenError
from codegen.formats.emitter import Runner, emitter_of
from codegen.loading import export_half, files_of, load_cut
from codegen.manifest import read_manifest
from codegen.split import Half
from codegen.weights.shared_weights import open_half
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
    traced = flat_module(model, (example,))
    closed = traced.random_closed_sets(sets)
    plans = [CutPlan(f"cut-{index}", nodes, ()) for index, nodes in enumerate([closed[0], *closed[2:]])]
    write_bundle(place, traced.source, plans, formats=FORMATS, storage="shared")
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
