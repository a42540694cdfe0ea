"""What runs on the device needs the standard library alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import cic
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.bundle.bundle import write_bundle
from codegen.bundle.directory import CutPlan
from codegen.formats.onnx_session import open_session
from tests.codegen.onnx_models import plumbing, save
from tests.codegen.unverified import unverified_bundles
from tests.contracts.source_files import ROOT

pytestmark = pytest.mark.real_interpreter

HEAVY = ("torch", "torchvision", "numba", "numpy", "networkx", "onnx", "onnxruntime", "scipy", "rich", "matplotlib")
BLOCKED = (*HEAVY, "PIL", "aiohttp", "zstandard")

BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A splitting model that was compiled with everything at hand."""
    path = tmp_path_factory.mktemp("device") / "model.cic"
    network = nn.Sequential(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.Conv2d(64, 8, 3, 2), nn.Flatten(), nn.Linear(8 * 15 * 15, 10))
    cic.compile(network, (torch.zeros(1, 3, 64, 64),), device="raspberry-pi-4", server="epyc-7742").save(path)
    return path


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKER + code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_blocker_blocks() -> None:
    for name in BLOCKED:
        assert "(blocked)" in run(f"import {name}").stderr


def test_load_and_decide_with_everything_else_blocked(model_file: Path) -> None:
    result = run("import cic; print(cic.load(sys.argv[1]).decide('20Mbps'))", model_file)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == repr(cic.load(model_file).decide("20Mbps"))


def test_every_question_to_a_decision_with_everything_else_blocked(model_file: Path) -> None:
    code = """
import cic
model = cic.load(sys.argv[1])
for decision in (
    model.decide(20e6),
    model.decide("20Mbps", rtt="40ms", downlink="50Mbps", device_slowdown=1.3, server_slowdown=4),
    model.decide("1kbps"),
):
    print(decision.cut_id, decision.latency_s, decision.terms, decision.crossing, decision.device_ops, decision.why)
print(model.stored_codecs)
try:
    cic.LatencyIntervals.from_records("absent.jsonl", model)
except cic.CicError as error:
    print(error)
try:
    model.codec("int8")
except cic.CicError as error:
    print(error)
"""
    result = run(code, model_file)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 6 and "absent.jsonl: records cannot be read" in result.stdout
    assert result.stdout.endswith("codecs need the package numpy, which is not installed here: pip install numpy\n")


def test_the_decide_command_with_everything_else_blocked(model_file: Path) -> None:
    code = "from cic.cli import main; sys.exit(main(['decide', sys.argv[1], '20Mbps']))"
    result = run(code, model_file)
    assert result.returncode == 0, result.stderr
    assert cic.load(model_file).decide("20Mbps").cut_id in result.stdout


def test_off_the_table_without_numba_the_best_known_cut_is_answered(model_file: Path) -> None:
    """A device that runs ONNX halves has numpy; the solver needs numba as well."""
    code = """
Blocker.find_spec = (lambda find: lambda self, name, *more: None if name.split(".")[0] == "numpy" else find(self, name, *more))(
    Blocker.find_spec
)
import cic, numpy
model = cic.load(sys.argv[1])
decision = model.decide("1kbps")
print(decision.optimal, decision.cut_id in model.cut_by_id)
try:
    model.decide("1Mbps", op_times={model.graph().ops[0].name: (1.0, 1.0)})
except cic.DecisionError as error:
    print("needs the solver" in str(error))
"""
    result = run(code, model_file)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["False", "True", "True"]


@pytest.mark.parametrize(
    ("arguments", "missing", "extra"),
    [
        (["compile", "a:b", "--device", "raspberry-pi-4", "--server", "epyc-7742", "-o", "x.cic"], "torch", "compile"),
        (["profile", "a:b", "-o", "x.json"], "torch", "compile"),
        (["emit", "a:b", "MODEL", "-o", "x.split"], "torch", "compile"),
        (["verify", "MODEL"], "solver", "solve"),
        (["run", "x.split", "MODEL", "--server", "none"], "numpy", "device"),
        (["calibrate", "x.split", "MODEL", "-o", "x.cic"], "numpy", "device"),
        (["serve", "x.split"], "", "serve"),
        (["show", "MODEL", "--picture", "x.svg"], "matplotlib", "show"),
    ],
)
def test_a_command_says_what_it_needs(model_file: Path, arguments: list[str], missing: str, extra: str) -> None:
    given = [str(model_file) if each == "MODEL" else each for each in arguments]
    result = run(f"from cic.cli import main; sys.exit(main({given!r}))")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert f"needs {missing}" in result.stderr.replace("the solver", "solver")
    assert result.stderr.endswith(f"pip install 'cic-compiler[{extra}]'\n") and result.stderr.count("\n") == 1


def test_importing_cic_loads_nothing_from_outside_the_standard_library() -> None:
    code = """
before = set(sys.modules)
import cic
outside = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names) - {"cic"}
print(sorted(outside))
"""
    assert run(code).stdout.strip() == "[]"


def test_codecs_need_numpy_alone() -> None:
    """A device that runs ONNX Runtime has no torch; zstandard and Pillow are for the codecs that name them."""
    code = """
class Blocker(Blocker):
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] == "numpy" else super().find_spec(name, path, target)

sys.meta_path[0] = Blocker()
import numpy
from cic.codec.registry import codec, codec_names, input_codecs
tensor = numpy.maximum(numpy.random.default_rng(0).standard_normal((1, 8, 9, 9)), 0).astype("float32")
for name in codec_names():
    back = codec(name).decode(codec(name).encode(tensor), tensor.shape, "float32")
    assert abs(back - tensor).max() < 0.3 * tensor.max(), name
image = (numpy.arange(192, dtype="uint8").reshape(1, 3, 8, 8) / numpy.float32(255)).astype("float32")
assert (codec("uint8").decode(codec("uint8").encode(image), image.shape, "float32") == image).all()
print(len(codec_names()), {name.partition(".")[0] for name in sys.modules} & {"torch", "zstandard", "PIL"})
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "14 set()"


def test_an_onnx_cut_runs_with_onnx_runtime_and_numpy_alone(tmp_path: Path) -> None:
    """Both halves through `cic.load_cut`, on arrays, with weights apart and within; torch, onnx and its tools are not there."""
    code = """
class Blocker(Blocker):
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first in ("onnx_ir", "onnxscript", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
        return None if first in ("numpy", "onnxruntime") else super().find_spec(name, path, target)

sys.meta_path[0] = Blocker()
import cic, numpy
given = dict(numpy.load(sys.argv[2]))
for weights in ("shared", "inline"):
    cut = cic.load_cut(f"{sys.argv[1]}/{weights}", "cut-1", format_name="onnx")
    head, tail = (cic.load_cut(f"{sys.argv[1]}/{weights}", "cut-1", half=half) for half in ("head", "tail"))
    answer = cut.tail(*cut.head(**given))
    assert all(type(value) is numpy.ndarray for value in answer.values())
    assert cut.crossing and cut.kept
    for name, value in tail.tail(*head.head(*given.values())).items():
        numpy.testing.assert_array_equal(value, answer[name])
    numpy.savez(f"{sys.argv[1]}/{weights}.npz", **answer)
cic.export_half(f"{sys.argv[1]}/shared", "cut-1", "tail", f"{sys.argv[1]}/tail.onnx")
"""
    file = save(plumbing(), tmp_path / "m.onnx")
    traced = trace_onnx(file)
    nodes = frozenset({"first", "relu_of_view"})
    with unverified_bundles():
        for weights in ("shared", "inline"):
            write_bundle(tmp_path / weights, traced.source, [CutPlan("cut-1", nodes, ())], storage=weights)
    given = {name: tensor.numpy() for name, tensor in traced.kwargs.items()}
    numpy.savez(tmp_path / "given.npz", **given)
    result = run(code, tmp_path, tmp_path / "given.npz")
    assert result.returncode == 0, result.stderr
    session = open_session(file, "the whole")
    names = [value.name for value in session.get_outputs()]
    expected = dict(zip(names, session.run(None, given), strict=True))
    for weights in ("shared", "inline"):
        answer = dict(numpy.load(tmp_path / f"{weights}.npz"))
        assert answer.keys() == expected.keys()
        for name, value in answer.items():
            numpy.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6)
    assert (tmp_path / "tail.onnx").stat().st_size > 0


def test_a_session_answers_with_onnx_runtime_and_numpy_alone(tmp_path: Path) -> None:
    """With a server that is not there, and without one; no torch, no aiohttp, none of the solver."""
    code = """
class Blocker(Blocker):
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        if first in ("onnx_ir", "onnxscript", "safetensors", "aiohttp"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)
        return None if first in ("numpy", "onnxruntime") else super().find_spec(name, path, target)

sys.meta_path[0] = Blocker()
import cic, numpy
from cic.inputs.array_call import drawn_call
model = cic.load(sys.argv[1] + "/model.cic")
args, kwargs = drawn_call(model.graph().inputs)
for server in (None, "http://127.0.0.1:1"):
    with cic.Session(sys.argv[1] + "/model.split", model, server, records=sys.argv[1] + "/records") as session:
        answers = [session(*args, **kwargs) for _ in range(3)]
        assert all(type(answer) is numpy.ndarray for answer in answers)
        numpy.save(sys.argv[1] + "/given.npy", args[0])
        numpy.save(sys.argv[1] + "/answer.npy", answers[-1])
print(len(open(sys.argv[1] + "/records").readlines()), {name.partition(".")[0] for name in sys.modules} & {"torch", "onnx"})
"""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 7 * 7, 10)).eval()
    model = cic.compile(network, (torch.zeros(1, 3, 16, 16),), device="raspberry-pi-4", server="epyc-7742")
    model.save(tmp_path / "model.cic")
    with unverified_bundles():
        cic.emit(network, model, tmp_path / "model.split", formats=["onnx"])
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "6 set()"
    with torch.no_grad():
        expected = network(torch.from_numpy(numpy.load(tmp_path / "given.npy")))
    numpy.testing.assert_allclose(numpy.load(tmp_path / "answer.npy"), expected.numpy(), rtol=1e-4, atol=1e-5)
