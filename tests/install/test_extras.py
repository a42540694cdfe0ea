"""Each extra brings what it promises, in a fresh virtualenv that has nothing else; the device half on every Python there is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contracts.source_files import ROOT
from tests.install.virtualenv import Virtualenv, fresh
from tests.interpreters import VERSIONS, interpreter

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEVELOPMENT = {"dev", "zoo"}
"""`make` installs these for those who work on CIC."""


def decides(at: Virtualenv, made: Path) -> None:
    model = str(made / "model.cic")
    assert "Mbit/s" in at.run("cic", "decide", model, "20Mbps", "--rtt", "40ms")
    for command in (("show", model), ("machines",), ("export", model, "--format", "c", "-o", "cut.h")):
        at.run("cic", *command)
    assert at.python("import cic, sys; print(cic.load(sys.argv[1]).decide('1Gbps').cut_id)", model).strip()


def answers(at: Virtualenv, made: Path) -> None:
    """Heads and tails in ONNX through `load_cut` and through a session, equal to the model."""
    code = """
import sys, cic, numpy
made = sys.argv[1]
call = numpy.load(f"{made}/call.npz")
model = cic.load(f"{made}/model.cic")
for cut in model.cuts:
    both = cic.load_cut(f"{made}/onnx.split", cut.id)
    assert numpy.allclose(both.tail(*both.head(call["image"])), call["answer"], rtol=1e-4, atol=1e-5), cut.id
with cic.Session(f"{made}/onnx.split", model, None) as session:
    assert numpy.allclose(session(call["image"]), call["answer"], rtol=1e-4, atol=1e-5)
assert "torch" not in sys.modules
"""
    at.python(code, made)
    at.run("cic", "run", str(made / "onnx.split"), str(made / "model.cic"), "--server", "none", "--repeat", "2")


def serves(at: Virtualenv, made: Path) -> None:
    code = """
import sys, cic, numpy
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
made = sys.argv[1]
call = numpy.load(f"{made}/call.npz")
with TailServer(f"{made}/onnx.split", ServerOptions(port=0)) as server:
    with cic.Session(f"{made}/onnx.split", f"{made}/model.cic", server.address, cuts=["server-only"]) as session:
        session.warm_up()
        inference = session.infer(call["image"])
assert inference.outcome == "remote", inference
assert numpy.allclose(inference.output, call["answer"], rtol=1e-1, atol=1e-2)
"""
    at.python(code, made)


def codes(at: Virtualenv, _made: Path) -> None:
    code = """
import numpy
from cic.codec.registry import codec, codec_names
tensor = numpy.linspace(-1, 1, 3000, dtype="float32").reshape(3, 1000)
for name in codec_names():
    back = codec(name).decode(codec(name).encode(tensor), tensor.shape, "float32")
    assert abs(back - tensor).max() < 0.2, name
print(*codec_names())
"""
    assert "int8+zstd" in at.python(code).split()


def proves(at: Virtualenv, made: Path) -> None:
    at.run("cic", "verify", str(made / "model.cic"))


def draws(at: Virtualenv, made: Path) -> None:
    at.run("cic", "show", str(made / "model.cic"), "--picture", "model.svg")
    assert (at.place / "model.svg").read_text().startswith("<?xml")


def runs_with_openvino(at: Virtualenv, made: Path) -> None:
    code = """
import sys, numpy
from cic.engine.opening import open_half
made = sys.argv[1]
call = numpy.load(f"{made}/call.npz")
(answer,) = open_half(f"{made}/onnx.split", "device-only", "head", engine="openvino").run([call["image"]])
assert numpy.allclose(answer, call["answer"], rtol=1e-3, atol=1e-4)
"""
    at.python(code, made)


def is_deployed_with_ray(at: Virtualenv, made: Path) -> None:
    at.run("cic", "export", str(made / "onnx.split"), "--format", "ray-serve", "-o", "application")
    at.python("import tails; print(tails.application)", directory=at.place / "application")


def compiles(at: Virtualenv, _made: Path) -> None:
    """The quick start, whose answer README.md shows, and the examples that need no more."""
    block = re.findall(r"^```python\n(.*?)^```\n+```text\n(.*?)^```", README, flags=re.M | re.S)[0]
    assert at.python(block[0]) == block[1]
    for example in sorted((ROOT / "examples").glob("0[123]_*.py")):
        at.run("python", str(example))


def compiles_onnx(at: Virtualenv, made: Path) -> None:
    at.run("cic", "export", str(made / "onnx.split"), "--cut", "server-only", "--format", "tail", "-o", "whole.onnx")
    at.run("cic", "compile", "whole.onnx", "--device", "raspberry-pi-4", "--server", "epyc-7742", "-o", "whole.cic")
    at.run("cic", "emit", "whole.onnx", "whole.cic", "-o", "whole.split")
    (at.place / "nets.py").write_text("from torch import nn\ndef net(): return nn.Sequential(nn.Linear(6, 5), nn.ReLU())\n")
    machines = ("--device", "raspberry-pi-4", "--server", "epyc-7742")
    at.run("cic", "compile", "nets:net", "--input", "1x6", *machines, "-o", "net.cic")
    at.run("cic", "emit", "nets:net", "net.cic", "--format", "onnx", "-o", "net.split")


def answers_with_a_server(at: Virtualenv, _made: Path) -> None:
    at.run("python", str(ROOT / "examples" / "05_session.py"))


def shows_the_demo(at: Virtualenv, made: Path) -> None:
    draws(at, made)
    at.run("python", str(ROOT / "examples" / "01_compile_and_decide.py"))
    at.python("import PIL.Image")


def trains(at: Virtualenv, _made: Path) -> None:
    at.python("import PIL.Image")
    at.run("python", str(ROOT / "examples" / "04_codecs_and_accuracy.py"))


PROMISES: dict[str, tuple[Callable[[Virtualenv, Path], None], ...]] = {
    "": (decides,),
    "codec": (decides, codes),
    "device": (decides, codes, answers),
    "serve": (answers, serves),
    "solve": (proves,),
    "show": (draws,),
    "openvino": (runs_with_openvino,),
    "ray": (is_deployed_with_ray,),
    "compile": (proves, compiles),
    "compile,onnx": (compiles_onnx, answers),
    "compile,serve": (answers_with_a_server,),
    "demo": (shows_the_demo,),
    "trained": (trains,),
}
WITHOUT_TORCH = ("", "codec", "device", "serve", "solve", "show", "openvino", "ray")
DEVICE_HALF = ("", "device", "serve")


def test_every_extra_and_every_line_of_the_install_table_is_tried() -> None:
    named = {name for combined in PROMISES for name in combined.split(",") if name}
    assert named | DEVELOPMENT == EXTRAS.keys()
    table = set(re.findall(r"`pip install '?cic-compiler(?:\[([\w,]+)\])?'?`", README))
    assert len(table) > 4 and table <= PROMISES.keys()


@pytest.mark.parametrize("extra", PROMISES, ids=lambda extra: extra or "none")
def test_an_extra_brings_what_it_promises(extra: str, virtualenv: Virtualenv, made: Path) -> None:
    virtualenv.install(f"cic-compiler[{extra}]" if extra else "cic-compiler")
    packages = virtualenv.packages()
    assert ("torch" in packages) == (extra not in WITHOUT_TORCH)
    assert not any(name.startswith("nvidia") for name in packages), "pip chose a torch for cards"
    assert extra or packages == {"cic-compiler", "pip", "setuptools"} & packages
    for promise in PROMISES[extra]:
        promise(virtualenv, made)


@pytest.mark.parametrize("extra", DEVICE_HALF, ids=lambda extra: extra or "none")
@pytest.mark.parametrize("version", VERSIONS)
def test_the_device_half_runs_on_every_python(version: str, extra: str, wheels: Path, made: Path, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    at = fresh(tmp_path / "venv", wheels, python)
    at.install(f"cic-compiler[{extra}]" if extra else "cic-compiler")
    for promise in PROMISES[extra]:
        promise(at, made)
