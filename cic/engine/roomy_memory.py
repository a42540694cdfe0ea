"""Memory that a half frees is kept for its next run, where the C library is glibc: for processes that run halves repeatedly.

glibc gives memory back to the system when a block of more than 128 KiB is freed, or as much lies free at the end of the heap.
Each run of a network then takes its intermediate tensors from the system anew, and the system fills every page with zeros
first. The thresholds adapt, but for a long time stay below the tensors of a network.

The head of EfficientNet-Lite0 up to its block 5, one thread, medians of 60 runs on one core of a server
(`python -m benchmarks.halves.kept_memory`; page faults a run in brackets):

                           glibc as it is      memory kept
    TorchScript            25.6 ms (3,203)     8.6 ms (0)
      in a second thread   38.9 ms (2,998)    11.7 ms (4)
    ONNX Runtime            5.7 ms (0)         5.0 ms (0)

ONNX Runtime keeps memory of its own from run to run; codecs, and arrays that come and go, do not.

A process keeps the memory of its largest run in return. `CIC_KEEP_MEMORY=0` in the environment leaves glibc as it is, and so
does whatever is there to set its thresholds (`MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`, `GLIBC_TUNABLES`).
Standard library only; importing this changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys

SWITCH = "CIC_KEEP_MEMORY"

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# glibc takes no larger threshold for blocks of their own.
_LARGEST_IN_HEAP_BYTES = 32 * 2**20
_FREE_AT_END_BYTES = 2**30
_OTHERS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def keep_freed_memory() -> bool:
    """Let the C library keep what this process frees; whether it does so now. Called by a process, never by a library."""
    if os.environ.get(SWITCH) == "0" or any(name in os.environ for name in _OTHERS):
        return False
    if "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "") or sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL("libc.so.6")
        mallopt, _ = library.mallopt, library.gnu_get_libc_version
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_IN_HEAP_BYTES), (_TRIM_THRESHOLD, _FREE_AT_END_BYTES))
    return all(mallopt(parameter, value) == 1 for parameter, value in settings)
