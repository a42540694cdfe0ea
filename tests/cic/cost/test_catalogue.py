"""The catalogue: complete, sourced, plausible, forgiving about spelling and clear about mistakes."""

import subprocess
import sys

import pytest

from cic.cost.catalogue import machine, machines
from cic.errors import CostError

WANTED = [
    "raspberry-pi-zero-2w", "raspberry-pi-3b+", "raspberry-pi-4b", "raspberry-pi-5", "raspberry-pi-4",
    "jetson-nano-cpu", "jetson-nano-gpu", "jetson-tx2-nx-gpu", "jetson-agx-xavier-gpu", "jetson-orin-nano-gpu",
    "snapdragon-410", "snapdragon-835", "snapdragon-855+", "snapdragon-8-gen2", "kirin-970",
    "epyc-7742-1-thread", "epyc-7742-64-threads", "i7-13700k", "rtx-3060-ti", "tesla-v100", "rtx-3090",
    "raspberry-pi-4-tensorflow", "i7-6700k-tensorflow",
]  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_the_promised_machines_are_there(name):
    assert machine(name) in machines()


def test_every_entry_names_its_source_and_its_error():
    for entry in machines():
        assert "github.com" in entry.source or "benchmarks/data" in entry.source, entry.name
        assert entry.fitted_families and entry.fitted_types, entry.name
        assert entry.fit_error is not None and entry.fit_error < 0.5, entry.name
        # The fitted figures stay within what any processor of today does.
        assert 1e9 < entry.flops_per_s < 2e14
        assert 1e8 < entry.memory_bytes_per_s < 4e12
        assert 0 <= entry.op_overhead_s < 0.02


def test_old_boards_say_that_they_lack_half_precision():
    assert "float16" in machine("raspberry-pi-4").lacks and "float16" in machine("epyc-7742").lacks
    assert "float16" not in machine("raspberry-pi-5").lacks and not machine("rtx-3090").lacks


def test_names_are_unique_and_sorted_by_speed():
    listed = machines()
    assert len({entry.name for entry in listed}) == len(listed)
    assert [entry.flops_per_s for entry in listed] == sorted(entry.flops_per_s for entry in listed)


@pytest.mark.parametrize("spelling", ["Raspberry Pi 4", "RASPBERRY-PI-4", " raspberry_pi_4 ", "rpi4"])
def test_spelling_is_forgiven(spelling):
    assert machine(spelling) == machine("raspberry-pi-4b")


def test_an_unknown_name_lists_near_ones():
    with pytest.raises(CostError, match="rtx-3090") as caught:
        machine("rtx-3091")
    assert "rtx-3091" in str(caught.value)


@pytest.mark.parametrize("name", ["", "   ", "zzzzzzzz", "../../etc/passwd"])
def test_nonsense_is_refused_and_points_to_the_list(name):
    with pytest.raises(CostError, match="cic machines"):
        machine(name)


@pytest.mark.real_interpreter
def test_prices_need_the_standard_library_only():
    code = (
        "import sys; from cic.cost.pricing import resolve; resolve('rpi4');"
        "print([m for m in ('torch', 'numpy', 'scipy', 'rich', 'numba') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
