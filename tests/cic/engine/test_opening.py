"""Every engine answers what the whole model answers; one that is missing, or does not fit the emission, is refused by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cic.engine import opening
from cic.engine.engine import Engine
from cic.engine.opening import engine_of, open_half
from cic.errors import ArgumentError, ArtifactError, EngineError
from tests.cic.engine.answers import Case, answered, cases
from tests.codegen.unverified import unverified_bundles

ROOT = Path(__file__).resolve().parents[3]
PLACES = [("mixed", "cut-0"), ("mixed", "cut-1"), ("narrow", "cut-0"), ("residual", "cut-0")]
ENGINES = ["onnxruntime", "torchscript", "pt2", "openvino"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    with unverified_bundles():
        return cases(tmp_path_factory.mktemp("bundles"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "cut_id"), PLACES)
def test_halves_answer_what_the_whole_model_answers(made: dict[str, Case], name: str, cut_id: str, engine: str):
    if find_spec(engine if engine == "openvino" else "torch") is None:
        pytest.skip(f"{engine} is not installed")
    case = made[name]
    answered(case, cut_id, lambda half: open_half(case.bundle, cut_id, half, engine))  # type: ignore[arg-type]


def test_the_cases_have_what_is_hard(made: dict[str, Case]):
    crossing = [open_half(made[name].bundle, cut_id, "tail").inputs for name, cut_id in PLACES]
    assert [] in [list(wires) for wires in crossing]
    assert () in {wire.shape for wires in crossing for wire in wires}
    assert {"float16", "bfloat16", "bool", "int64", "float32"} <= {wire.dtype for wires in crossing for wire in wires}


def arrays_of(engine: Engine) -> list[np.ndarray]:
    carriers = {"bfloat16": "uint16"}
    return [np.ones(wire.shape, carriers.get(wire.dtype, wire.dtype)) for wire in engine.inputs]


@pytest.mark.parametrize("engine", ["onnxruntime", "torchscript", "pt2"])
def test_results_are_right_for_arrays_of_any_layout_and_for_those_that_must_not_be_written_to(
    made: dict[str, Case], engine: str
):
    half = open_half(made["residual"].bundle, "cut-0", "head", engine)
    (image,) = (np.random.default_rng(0).random(wire.shape, np.float32) for wire in half.inputs)
    expected = half.run([image])
    frozen = image.copy()
    frozen.flags.writeable = False
    for other in (frozen, np.asfortranarray(image), image[::-1][::-1]):
        for ours, theirs in zip(half.run([other]), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("engine", ["onnxruntime", "torchscript", "pt2"])
def test_an_answer_stays_as_it_is_when_the_half_runs_again(made: dict[str, Case], engine: str):
    half = open_half(made["residual"].bundle, "cut-0", "head", engine)
    (image,) = arrays_of(half)
    first = half.run([image])
    kept = [array.copy() for array in first]
    image *= -3
    half.run([image])
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("engine", ["onnxruntime", "torchscript", "pt2"])
def test_other_shapes_types_and_counts_are_refused_by_the_tensors_name(made: dict[str, Case], engine: str):
    half = open_half(made["narrow"].bundle, "cut-0", "tail", engine)
    brain, other = arrays_of(half)
    first, second = (wire.name for wire in half.inputs)
    about = "the tail of cut cut-0 takes"
    with pytest.raises(EngineError, match=rf"^{about} 2 tensors, got 1$"):
        half.run([brain])
    with pytest.raises(EngineError, match=rf"^{about} {first} as bfloat16 .*, its bits in uint16, got float32 of shape"):
        half.run([brain.astype(np.float32), other])
    with pytest.raises(EngineError, match=rf"^{about} {second} as float16 of shape .*, got float16 of shape \(3, 4, 4\)$"):
        half.run([brain, other[0]])
    with pytest.raises(EngineError, match=r"got >f2 of shape"):
        half.run([brain, other.astype(">f2")])


def test_values_that_a_half_cannot_compute_with_are_told_with_cut_and_half(made: dict[str, Case]):
    for engine in ("onnxruntime", "torchscript"):
        half = open_half(made["residual"].bundle, "cut-0", "tail", engine)
        object.__setattr__(half, "runner", lambda *arrays: 1 / 0)
        with pytest.raises(EngineError, match=rf"the tail of cut cut-0 in {engine} cannot run on .*ZeroDivisionError"):
            half.run(arrays_of(half))
        object.__setattr__(half, "runner", lambda *arrays: arrays[:1])
        with pytest.raises(EngineError, match=r"the tail of cut cut-0 .*shape"):
            half.run(arrays_of(half))


def test_without_being_told_onnx_is_run_by_onnx_runtime_and_else_by_what_there_is(
    made: dict[str, Case], monkeypatch: pytest.MonkeyPatch
):
    bundle = made["residual"].bundle
    assert open_half(bundle, "cut-0", "head").name == "onnxruntime"
    monkeypatch.setattr("cic.engine.opening.find_spec", lambda name: None if name == "onnxruntime" else name)
    assert str(engine_of(bundle, "cut-0")) == "torchscript"
    monkeypatch.setattr("cic.engine.opening.find_spec", lambda name: None)
    assert str(engine_of(bundle, "cut-0")) == "onnxruntime"
    monkeypatch.setattr(opening, "_FIRST", {"torchscript": "torch", "pt2": "torch"})
    with pytest.raises(EngineError, match=r"alone, which needs torch, and that is not installed; .*emit --format onnx"):
        engine_of(bundle, "cut-0")


def test_an_engine_that_is_not_installed_is_refused_with_the_extra_that_brings_it(
    made: dict[str, Case], monkeypatch: pytest.MonkeyPatch
):
    for engine, package, extra in (("onnxruntime", "onnxruntime", "device"), ("openvino", "openvino", "openvino"),
                                   ("torchscript", "torch", "compile"), ("pt2", "torch", "compile")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            for module in [name for name in sys.modules if name.startswith("cic.engine.") and name.count(".") == 2]:
                if module.endswith(("onnx_runtime", "openvino", "torch_programs")):
                    patch.delitem(sys.modules, module)
            with pytest.raises(EngineError) as caught:
                open_half(made["residual"].bundle, "cut-0", "head", engine)
        assert str(caught.value) == f"the engine {engine} needs the package {package}: pip install 'cic-compiler[{extra}]'"


def test_what_an_emission_or_this_machine_does_not_have_is_refused_by_name(made: dict[str, Case]):
    bundle = made["residual"].bundle
    with pytest.raises(EngineError, match=r"onnxruntime \S+ has no CUDAExecutionProvider here, it has .*onnxruntime-gpu"):
        open_half(bundle, "cut-0", "head", "onnxruntime:CUDA")
    with pytest.raises(ArtifactError, match="no cut 'other'; known cuts: cut-0"):
        open_half(bundle, "other", "head")
    with pytest.raises(ArtifactError, match="no such directory"):
        open_half(bundle / "none", "cut-0", "head")
    with pytest.raises(ArgumentError, match="the half is 'middle'"):
        open_half(bundle, "cut-0", "middle")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="threads is 0"):
        open_half(bundle, "cut-0", "head", threads=0)


def test_a_damaged_half_is_not_loaded(made: dict[str, Case], tmp_path: Path):
    import shutil

    bundle = Path(shutil.copytree(made["narrow"].bundle, tmp_path / "copied.split"))
    for path in bundle.rglob("tail.onnx*"):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(EngineError, match=r"the tail of cut cut-0 cannot be opened with onnxruntime: .*SHA-256"):
        open_half(bundle, "cut-0", "tail")
    open_half(bundle, "cut-0", "tail", "torchscript")


@pytest.mark.real_interpreter
def test_onnx_halves_are_opened_and_run_without_torch(made: dict[str, Case]):
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np
from cic.engine.opening import open_half
head = open_half({str(made["residual"].bundle)!r}, "cut-0", "head")
tail = open_half({str(made["residual"].bundle)!r}, "cut-0", "tail")
results = head.run([np.ones((1, 3, 8, 8), np.float32)])
assert head.name == "onnxruntime" and tail.run(results[:len(tail.inputs)])[0].shape == (1, 10)
assert not {{"onnx", "onnx_ir", "onnxscript", "numba", "scipy", "rich"}} & sys.modules.keys(), sorted(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
