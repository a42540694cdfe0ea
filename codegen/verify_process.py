"""The fresh process of a verification: `python -m codegen.verify_process request.json`.

Loads one half of every cut asked for from its files, runs it on stored tensors and stores what it returns. Prints one
line for each cut done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from codegen.loading import LoadedCut, load_cut
from codegen.tensor_file import read_tensors, write_tensors


def main(request_file: str) -> None:
    """Do what the request says."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    torch.set_num_threads(request["threads"])
    for job in request["jobs"]:
        _run_job(request, job)
        print(f"{request['half']} {job['cut']}", flush=True)


def _run_job(request: dict[str, Any], job: dict[str, Any]) -> None:
    # Gone at the end, so that no two halves are in memory at once.
    cut = load_cut(request["directory"], job["cut"], half=request["half"], format_name=request["format"])
    strides = job.get("strides", [None] * len(job["inputs"]))
    _run(cut, job["inputs"][0], strides[0])  # TorchScript rewrites a program after its first run
    for inputs, results, laid_out in zip(job["inputs"], job["results"], strides, strict=True):
        write_tensors(Path(results), _run(cut, inputs, laid_out))


def _run(cut: LoadedCut, inputs: str, strides: Sequence[Sequence[int]] | None) -> tuple[Any, ...]:
    tensors = read_tensors(Path(inputs))
    if strides is None:
        return cut.run_tail_flat(tensors[: len(cut.crossing)])
    pairs = zip(tensors, strides, strict=True)
    return cut.run_head_flat([tensor.new_empty_strided(tensor.shape, order).copy_(tensor) for tensor, order in pairs])


if __name__ == "__main__":
    main(sys.argv[1])
