"""The networks whose regret is measured, as ONNX files, compiled between both hosts of the testbed and emitted.

Real architectures of torchvision with random weights: neither times nor sizes of tensors depend on a training. The device has
the pixels of a photograph; tensors may cross in as little as four bits, and no accuracy is asked for, since time is measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.testbed.testbed import Testbed

NETWORKS = (
    "mobilenet_v2",
    "resnet18",
    "squeezenet1_1",
    "googlenet",
    "efficientnet_b0",
    "shufflenet_v2_x1_0",
    "densenet121",
    "resnet50",
)
FORM = "uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225"
SHAPE = (1, 3, 224, 224)
SHARES = (0.2, 0.5)
UPLINKS_BPS = (1e6, 5e6, 20e6, 60e6, 200e6)
SECONDS_PER_OP = "0.02"
MODULE = "benchmarks.regret.networks"


def compiled_path(folder: Path, name: str, share: float) -> Path:
    """The splitting model of a network for a device with this share of a core."""
    return folder / f"{name}.{share:g}.cic"


def calibrated_path(folder: Path, name: str, share: float) -> Path:
    """The same after `cic calibrate` on both hosts."""
    return folder / f"{name}.{share:g}.calibrated.cic"


def bundle_path(folder: Path, name: str, share: float) -> Path:
    """The emitted halves of that."""
    return folder / f"{name}-{share:g}.split"


def prepare(folder: Path, name: str, shares: tuple[float, ...] = SHARES, *, streams: bool = False) -> None:
    """Export, profile on both hosts of the testbed, compile and emit a network, each once. streams: with the cuts for these."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / f"{name}.onnx").exists():
        _run([sys.executable, "-m", MODULE, "export", name, str(folder)])
    if not (folder / f"{name}.server.json").exists():
        with Testbed() as testbed:
            _ended(testbed.run_on_server(_profile(folder, name, "server")))
    for share in shares:
        if not (folder / f"{name}.{share:g}.json").exists():
            with Testbed(share, quota=True) as testbed:
                _ended(testbed.run_on_device(_profile(folder, name, f"{share:g}")))
        if not compiled_path(folder, name, share).exists():
            _run(
                [sys.executable, "-m", MODULE, "compile", name, str(folder), f"{share:g}", *(["--streams"] if streams else [])]
            )


def _profile(folder: Path, name: str, where: str) -> list[str]:
    output = str(folder / f"{name}.{where}.json")
    model = str((folder / f"{name}.onnx").resolve())
    options = ["--input-form", FORM, "--seconds-per-op", SECONDS_PER_OP]
    return [sys.executable, "-W", "ignore", "-m", "cic", "profile", model, *options, "-o", str(Path(output).resolve())]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)


def _ended(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise SystemExit(f"{process.args} ended with {process.returncode}")


def export(name: str, folder: Path) -> None:
    """Write NAME.onnx."""
    import onnx_ir
    import torch

    from codegen.formats.onnx_program import quiet_exporter
    from codegen.torchvision_import import import_torchvision

    torch.manual_seed(0)
    options = {"init_weights": True} if name == "googlenet" else {}
    network = getattr(import_torchvision().models, name)(weights=None, **options).eval()
    with quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(network, (torch.zeros(SHAPE),), dynamo=True, verbose=False)
    assert program is not None
    onnx_ir.save(program.model, folder / f"{name}.onnx")


def compile_and_emit(name: str, folder: Path, share: float, *, streams: bool) -> None:
    """Write the splitting model and the bundle, and the photograph as the halves take it."""
    import numpy as np

    import cic
    from cic.inputs.photo import normalised, read_pixels

    pixels = read_pixels(None, [SHAPE])
    np.save(folder / "photograph.npy", pixels.numpy())
    model = cic.compile(
        folder / f"{name}.onnx",
        (normalised(pixels),),
        device=folder / f"{name}.{share:g}.json",
        server=folder / f"{name}.server.json",
        box=cic.Box(("500kbps", "500Mbps"), (1, 1), (0, "20ms"), (0.5, 2), (0.5, 4)),
        precision=cic.Precision("int4", input=FORM),
        throughput=streams,
    )
    cic.emit(folder / f"{name}.onnx", model, bundle_path(folder, name, share))
    model.save(compiled_path(folder, name, share))


def emit_new(name: str, folder: Path, share: float) -> None:
    """Emit the cuts that the calibrated table has and the bundle does not."""
    import cic
    from cic.emission.bundle_check import emitted_cuts

    model, bundle = cic.load(calibrated_path(folder, name, share)), bundle_path(folder, name, share)
    if new := sorted({cut.id for cut in model.cuts} - emitted_cuts(model, bundle)):
        cic.emit(folder / f"{name}.onnx", model, bundle, cuts=new)


def main() -> None:
    """`export NAME FOLDER`, `compile NAME FOLDER SHARE`, `emit NAME FOLDER SHARE` after calibration; or `prepare NAME FOLDER`,
    which does all but the last."""
    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("step", choices=("export", "compile", "emit", "prepare"))
    options.add_argument("name", choices=NETWORKS)
    options.add_argument("folder", type=Path)
    options.add_argument("share", type=float, nargs="?", default=0.0)
    options.add_argument("--streams", action="store_true", help="compile with the cuts that streams need, too")
    given = options.parse_args()
    started = perf_counter()
    if given.step == "export":
        export(given.name, given.folder)
    elif given.step == "compile":
        compile_and_emit(given.name, given.folder, given.share, streams=given.streams)
    elif given.step == "emit":
        emit_new(given.name, given.folder, given.share)
    else:
        prepare(given.folder, given.name, streams=given.streams)
    print(f"{given.step} {given.name} {given.share or ''}: {perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
