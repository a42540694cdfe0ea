"""Freed memory is kept where a process asks for it, and nowhere where somebody decided otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cic.engine import roomy_memory

ROOT = Path(__file__).resolve().parents[3]
CODE = """
import resource, sys
from cic.engine.roomy_memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
import ctypes
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def run():
    blocks = [malloc(8 << 20) for _ in range(4)]
    for block in blocks:
        ctypes.memset(block, 1, 8 << 20)
    for block in blocks:
        free(block)
run(); run()
before = faults(); run(); run(); print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no glibc here")
@pytest.mark.real_interpreter
def test_memory_that_was_freed_costs_no_page_faults_again():
    command = [sys.executable, "-c", CODE]
    kept, usual = (
        int(subprocess.run([*command, how], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "leave")
    )
    assert kept < 100
    assert usual > 5_000


@pytest.mark.parametrize(
    ("name", "setting"),
    [("CIC_KEEP_MEMORY", "0"), ("MALLOC_TRIM_THRESHOLD_", "1"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1")],
)
def test_whoever_decided_otherwise_is_heard(name: str, setting: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, setting)
    monkeypatch.setattr(roomy_memory.ctypes, "CDLL", lambda name: pytest.fail("the C library was touched"))
    assert not roomy_memory.keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(roomy_memory.ctypes, "CDLL", lambda name: object())
    assert not roomy_memory.keep_freed_memory()
