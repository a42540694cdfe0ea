"""The fresh process of a verification: `python -m codegen.verify_process request.json`.

Loads one half of every cut asked for from its files, runs it on stored tensors and stores what it returns. Prints one
line for each cut done.
"""

from __future__ import annotations

import json
import sys
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
    _run(cut, job["inputs"][0])  # TorchScript rewrites a program after its first run
    for inputs, results in zip(job["inputs"], job["results"], strict=True):
        write_tensors(Path(results), _run(cut, inputs))


def _run(cut: LoadedCut, inputs: str) -> tuple[Any, ...]:
    tensors = read_tensors(Path(inputs))
    if cut.head_runner is not None:
        return cut.run_head_flat(tensors)
    return cut.run_tail_flat(tensors[: len(cut.crossing)])


if __name__ == "__main__":
    main(sys.argv[1])
