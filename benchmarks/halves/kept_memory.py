"""What a half gains where freed memory is kept for its next run: `python -m benchmarks.halves.kept_memory BUNDLE CUT`.

Each engine runs the head in a process of its own, as glibc is and with `cic.engine.roomy_memory`, in the first thread and in a
second one, which has another heap.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

from cic.codec.tensors import carrier
from cic.engine.engine import Engine
from cic.engine.opening import open_half
from cic.engine.roomy_memory import keep_freed_memory

RUNS, FIRST_RUNS = 60, 5


def main() -> None:
    """Run the asked engines, or be the process that runs one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("cut")
    parser.add_argument("--engine", action="append", dest="engines", metavar="NAME")
    parser.add_argument("--memory", choices=("kept", "given back"))
    told = parser.parse_args()
    engines = told.engines or ["onnxruntime", "torchscript"]
    if told.memory is None:
        for engine in engines:
            for memory in ("given back", "kept"):
                command = [sys.executable, "-m", __spec__.name, told.bundle, told.cut, "--engine", engine, "--memory", memory]
                subprocess.run(list(map(str, command)), check=True)
        return
    if told.memory == "kept" and not keep_freed_memory():
        raise SystemExit("this process does not keep memory: is there another C library, or a setting in the environment?")
    half = open_half(told.bundle, told.cut, "head", engines[0])
    _measure(half, f"{half.name}, memory {told.memory}")
    thread = threading.Thread(target=_measure, args=(half, f"{half.name}, memory {told.memory}, a second thread"))
    thread.start()
    thread.join()


def _measure(half: Engine, what: str) -> None:
    given = [np.zeros(wire.shape, carrier(wire.dtype)) for wire in half.inputs]
    for _ in range(FIRST_RUNS):
        half.run(given)
    faults, times = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, []
    for _ in range(RUNS):
        began = time.perf_counter()
        half.run(given)
        times.append(time.perf_counter() - began)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    print(f"{what}: {median(times) * 1e3:.2f} ms, {faults / RUNS:.0f} page faults a run")


if __name__ == "__main__":
    main()
