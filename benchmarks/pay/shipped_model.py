"""Writes the splitting model that `make demo` begins with, of EfficientNet-Lite0, from photographs that a demo cannot load.

`python -m benchmarks.pay.shipped_model` loads 180 MB and takes some minutes. `--renew` carries the file over to the present
format of `.cic` files instead, in seconds, where `renewed` knows what that has more. `tests/examples/test_paying_split.py`
says when one of both is due.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

import cic
from benchmarks.pay import materials, photographs
from benchmarks.pay.gains import trace
from benchmarks.pay.remembered_runs import Memory, remembered
from cic.compilation.verification import verify
from cic.decision.cic_file import pack
from cic.engine.roomy_memory import keep_freed_memory
from cic.progress import Progress
from examples.paying_split import DOWNLINK_RATIO, SHIPPED

DEVICE, SERVER = "raspberry-pi-4", "i7-13700k"
SHARE = 0.95
LOWEST_BPS, HIGHEST_BPS = 1e4, 2e7


def main() -> None:
    """Compile the network and save it where the demo looks for it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--materials", type=Path, default=materials.DEFAULT, help="where weights and photographs are installed to"
    )
    options.add_argument("--runs", type=Path, help="where is kept what cuts reached; default: runs in the materials")
    options.add_argument("--renew", action="store_true", help="write the file anew in the present format, as it is")
    given = options.parse_args()
    if given.renew:
        SHIPPED.write_bytes(renewed(SHIPPED.read_bytes()))
        verify(cic.load(SHIPPED))
        return
    torch.set_num_threads(1)
    keep_freed_memory()
    materials.install(given.materials)
    network = photographs.load(given.materials)
    with remembered(Memory(given.runs or given.materials / "runs", network)):
        model = cic.compile(
            trace(network),
            device=DEVICE,
            server=SERVER,
            # The machines of whoever runs the demo are slower than those, by factors that nobody knows here.
            box=cic.Box(
                (LOWEST_BPS, HIGHEST_BPS), downlink_ratio=(2, 50), rtt=(0, 0), device_slowdown=(1, 10), server_slowdown=(1, 20)
            ),
            defaults=cic.Conditions(LOWEST_BPS, DOWNLINK_RATIO * LOWEST_BPS),
            precision=network.precision(SHARE, None),
            progress=_tell,
        )
    model.save(SHIPPED)
    print(f"{SHIPPED}: {', '.join(cut.label for cut in model.cuts)}")


def renewed(content: bytes) -> bytes:
    """The content of a `.cic` file of an earlier format in the present one."""
    header, *lines, _ = content.split(b"\n")
    table, graph, stored = map(json.loads, lines)
    # What versions of the format added, from 6 on; whoever adds more continues this.
    for side in ("device", "server"):
        table["information"][side].setdefault("engine", None)
    # From 7 on the header has date and timings.
    made, information = json.loads(header).get("made"), table["information"]
    if made is None:
        made = " ".join(str(information.pop(name)) for name in ("date", "trace_s", "measure_s", "solve_s"))
    return pack(str(SHIPPED), table, graph, stored, made)


def _tell(progress: Progress) -> None:
    if not progress.done:
        print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
