"""One model the whole way: built, traced, compiled, every cut emitted and verified; its row written as it goes.

The row is written anew after each phase, so that it says how far a process came that was killed or crashed.
"""

from __future__ import annotations

import json
import re
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
from torch import nn

import cic
from benchmarks.zoo_table.specimen import Built, Specimen
from benchmarks.zoo_table.verifier import Verifier
from cic.decision.splitting_model import SplittingModel
from cic.errors import CicError
from cic.trace.fx.flat_model import evaluating
from cic.trace.fx.traced_model import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.traced import Traced
from codegen.bundle import bundle
from codegen.calls.structure import describe
from codegen.errors import MismatchError
from codegen.manifest import Manifest
from codegen.verification import equivalence
from codegen.verification.agreement import TOLERANCES, relative_error

DEVICE, SERVER = "raspberry-pi-4", "epyc-7742"
CUTS_IN_OTHER_FORMATS = 3


def warm_up() -> None:
    """Load what every model needs, so that processes forked from this one have it."""
    model, call = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (torch.ones(1, 2),)
    cic.compile(model, call, device=DEVICE, server=SERVER)


def take_the_whole_way(name: str, specimen: Specimen, verifier: Verifier, row_file: Path) -> None:
    """Run a model and leave its row in `row_file`: status "verified", "refused", "wrong" or "failed", and figures."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    # A fork instead of a new interpreter.
    equivalence._run_fresh, bundle.started_ahead = verifier.run, nullcontext
    row: dict[str, Any] = {"status": "running", "phase": "start", "seconds": {}}

    def enter(phase: str) -> None:
        row["phase"] = phase
        _write(row_file, row)

    enter("start")
    with tempfile.TemporaryDirectory(prefix="zoo-") as scratch:
        try:
            _take(name, specimen, Path(scratch), row, enter)
            row["status"] = "verified"
        except (CicError, MismatchError) as error:
            row["status"] = "wrong" if MismatchError in (type(error), type(error.__cause__)) else "refused"
            row["error"] = told(error)
        except Exception as error:  # whatever a network of others raises is its row  # noqa: BLE001
            row["status"] = "failed"
            row["error"] = told(error)
            row["traceback"] = _without_folders(traceback.format_exc())[-3000:]
        _write(row_file, row)


def _take(name: str, specimen: Specimen, scratch: Path, row: dict[str, Any], enter: Callable[[str], None]) -> None:
    def timed(phase: str, work: Callable[[], Any]) -> Any:
        enter(phase)
        started, wall = process_time(), perf_counter()
        result = work()
        # Of this process alone; the fresh ones that verify are in the wall time.
        row["seconds"][phase] = {"processor": round(process_time() - started, 3), "wall": round(perf_counter() - wall, 3)}
        return result

    built: Built = timed("build", lambda: specimen.build(scratch))
    call = _tensors({"args": built.natural[0], "kwargs": built.natural[1]})
    row["input"] = ["x".join(map(str, tensor.shape)) for tensor in call]
    traced = timed("trace", lambda: _trace(built, name))
    row |= {"ops": len(traced.graph.ops), "tensors": len(traced.graph.tensors)}
    splitting_model: SplittingModel = timed("compile", lambda: cic.compile(traced, device=DEVICE, server=SERVER))
    row |= {
        "compressed_ops": splitting_model.information.compressed_ops,
        "cuts": len(splitting_model.cuts),
        "true_splits": sum(cut.id not in ("device-only", "server-only") for cut in splitting_model.cuts),
        "complete": splitting_model.proof.complete,
    }
    saved = scratch / "model.cic"
    splitting_model.save(saved)
    splitting_model = cic.load(saved)
    row["weights_bytes"] = _weights_bytes(built)
    if isinstance(traced, TracedModel):
        row["trace_error"] = timed("compare", lambda: _trace_error(built, traced))
    row["formats"] = {}
    for format_name in specimen.formats:
        bundle = scratch / "halves"
        weights: dict[str, Any] = {} if isinstance(traced, OnnxModel) else {"storage": "shared"}

        options = {"formats": [format_name], "verify_on": [built.natural], **weights}
        if format_name != specimen.formats[0]:
            options["cuts"] = _few([cut.id for cut in splitting_model.cuts])
        try:
            manifest = timed(f"emit {format_name}", partial(cic.emit, traced, splitting_model, bundle, **options))
        except CicError as error:
            if format_name == specimen.formats[0] or isinstance(error.__cause__, MismatchError):
                raise
            row["formats"][format_name] = {"refused": told(error)}
        else:
            row["formats"][format_name] = _checked(manifest, row.get("trace_error", 0.0))


def _trace(built: Built, name: str) -> Traced:
    args, kwargs = built.random
    return cic.trace_model(built.model, args, kwargs, name=name)


def _trace_error(built: Built, traced: TracedModel) -> float:
    """How far the traced module, with which halves are compared, is from the model itself on the natural call."""
    assert isinstance(built.model, nn.Module)
    with evaluating(built.model):
        expected = _tensors(built.model(*built.natural[0], **built.natural[1]))
        answer = traced.module(*_tensors({"args": built.natural[0], "kwargs": built.natural[1]}))
    error = max(map(relative_error, answer, expected))
    if not error <= TOLERANCES["float32"].emitted:
        raise MismatchError(f"traced module and model disagree on the natural inputs: relative error {error:.3g}")
    return error


def _few(cuts: list[str]) -> list[str]:
    """Both ends and the middle."""
    return [cuts[index] for index in sorted({0, len(cuts) // 2, len(cuts) - 1})] if len(cuts) > CUTS_IN_OTHER_FORMATS else cuts


def _checked(manifest: Manifest, trace_error: float) -> dict[str, Any]:
    """What the verification of every cut showed; a cut without one does not count."""
    checks = [check for cut in manifest.cuts for check in cut.verification]
    assert len(checks) == len(manifest.cuts), "each cut is verified once"
    return {
        "cuts": len(checks),
        "input_sets": min(check.input_sets for check in checks),
        "largest_relative_error": max(check.max_relative_error for check in checks) + trace_error,
        "informative": all(check.informative for check in checks),
    }


def _tensors(value: Any) -> list[torch.Tensor]:
    return describe(value)[1]


def _weights_bytes(built: Built) -> int:
    if isinstance(built.model, nn.Module):
        return sum(weight.nbytes for weight in {id(each): each for each in built.model.state_dict().values()}.values())
    return built.model.stat().st_size


def told(error: Exception) -> str:
    """What an error is and says, without the folders of this machine."""
    return f"{type(error).__name__}: {_without_folders(str(error))}"


def _without_folders(text: str) -> str:
    """Rows are published: where things lie on this machine is nobody's business."""
    return re.sub(r"[^\s\"'(]*/(site-packages|benchmarks|cic|codegen|halves)/", r"\1/", text).replace("site-packages/", "")


def _write(path: Path, row: dict[str, Any]) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(row), encoding="utf-8")
    temporary.replace(path)
