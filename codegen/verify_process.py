"""The fresh process of a verification: `python -m codegen.verify_process`, which is told the files of its requests in a line.

Loads one half of every cut asked for from its files, runs it on stored tensors and stores what it returns, with which results
share memory. Then it overwrites what was returned, as a caller may: the next run must not notice. At last it calls the half
with what it was not compiled for, which it must refuse. Prints one line for each cut done. Its input stays open for as long
as it is wanted: when whoever started it is gone, so is it.

Several requests are answered by forks, one after the other, which know nothing of each other: torch, whose import takes longer
than to verify a half of ResNet-50, is loaded once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from codegen.errors import CodegenError
from codegen.loading import LoadedCut, load_cut
from codegen.verification.tensor_file import read_tensors, write_tensors
from codegen.verification.tensor_memory import elements_between, overlapping


def main() -> int:
    """Do what the requests say, as long as somebody waits for it; returns 0, or the code of the first that failed.

    Their files are the list in the first line of the input, which may come long after torch is loaded.
    """
    request_files = json.loads(_first_line() or "[]")
    if len(request_files) > 1:
        return next((code for code in map(_answered_in_a_fork, request_files) if code), 0)
    Thread(target=_end_with_the_other, daemon=True).start()
    for request_file in request_files:
        answer(request_file)
    return 0


def _first_line() -> bytes:
    """Nothing more is read than that, as forks wait for the end of the same input."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def _answered_in_a_fork(request_file: str) -> int:
    """The exit code of a fork; minus a number if a signal of that number ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        Thread(target=_end_with_the_other, daemon=True).start()
        answer(request_file)
        code = 0
    except BaseException:  # as Python itself does, but for what the process that was forked leaves to do  # noqa: BLE001
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def answer(request_file: str) -> None:
    """Do what the request says."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    torch.set_num_threads(request["threads"])
    for library in request.get("libraries", ()):
        with suppress(Exception):  # loading a half that needs it says more
            importlib.import_module(library)
    for job in request["jobs"]:
        _run_job(request, job)
        print(f"{request['half']} {job['cut']}", flush=True)


def _end_with_the_other() -> None:
    """Wait for the end of the input, and end at once; nobody is left to see a result, and its place is given to others."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _run_job(request: dict[str, Any], job: dict[str, Any]) -> None:
    # Gone at the end, so that no two halves are in memory at once.
    cut = load_cut(
        request["directory"], job["cut"], half=request["half"], format_name=request["format"], optimize=request["optimize"]
    )
    strides = job.get("strides", [None] * len(job["inputs"]))
    for inputs, results, laid_out in zip(job["inputs"], job["results"], strides, strict=True):
        returned = _run(cut, inputs, laid_out)
        write_tensors(Path(results), returned)
        Path(results).with_suffix(".json").write_text(json.dumps(overlapping(returned)), encoding="utf-8")
        _overwrite(returned)
    if returned:
        _check_refusals(cut, _given(cut, job["inputs"][0], strides[0]))


def _run(cut: LoadedCut, inputs: str, strides: Sequence[Sequence[int]] | None) -> tuple[Any, ...]:
    given = _given(cut, inputs, strides)
    return cut.run_tail_flat(given) if strides is None else cut.run_head_flat(given)


def _given(cut: LoadedCut, inputs: str, strides: Sequence[Sequence[int]] | None) -> list[torch.Tensor]:
    tensors = read_tensors(Path(inputs))
    if strides is None:
        return tensors[: len(cut.crossing)]
    pairs = zip(tensors, strides, strict=True)
    return [tensor.new_empty_strided(tensor.shape, order).copy_(tensor) for tensor, order in pairs]


def _overwrite(returned: Sequence[torch.Tensor]) -> None:
    """Change every byte of the memory between a tensor's first element and its last."""
    for tensor in returned:
        if tensor.numel():
            start, size = tensor.storage_offset() * tensor.itemsize, elements_between(tensor) * tensor.itemsize
            # By way of the storage, since a conjugate or a negative is no view of bytes.
            torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage(), start, (size,), (1,)).bitwise_not_()


def _check_refusals(cut: LoadedCut, given: Sequence[torch.Tensor]) -> None:
    """Raise CodegenError if a half, apart from the checks of its caller, answers to another shape or dtype."""
    runner = cut.head_runner or cut.tail_runner
    assert runner is not None, "one half is loaded"
    wires = cut.manifest.inputs if cut.head_runner is not None else cut.crossing
    for position, (tensor, wire) in enumerate(zip(given, wires, strict=True)):
        longer = _longer(tensor, wire.open_axes)
        other = torch.float32 if tensor.dtype is torch.float64 else torch.float64
        for changed in (longer, tensor.real.to(other)):
            try:
                runner(*given[:position], changed, *given[position + 1 :])
            except Exception:  # each runtime has its own  # noqa: BLE001
                continue
            raise CodegenError(
                f"the half takes {tensor.dtype} of shape {tuple(tensor.shape)} as input {position}, and answers to"
                f" {changed.dtype} of shape {tuple(changed.shape)} as well; what was compiled for one shape must refuse others"
            )


def _longer(tensor: torch.Tensor, open_axes: Sequence[int]) -> torch.Tensor:
    """One of another shape, by a row more along the first axis that is not open, or by an axis more."""
    for axis, size in enumerate(tensor.shape):
        if axis not in open_axes:
            return torch.cat([tensor, tensor.narrow(axis, 0, 1)], axis) if size else tensor[None]
    return tensor[None]


if __name__ == "__main__":
    ended = main()
    if ended < 0:  # so that it is told as it happened
        os.kill(os.getpid(), -ended)
    sys.exit(ended)
