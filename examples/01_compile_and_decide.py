"""Compile a model for two machines, then ask for the best cut as the network changes.

Run it with `python examples/01_compile_and_decide.py`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.small_network import make_network_and_image

import cic

model, image = make_network_and_image()

# Either machine is a name of the catalogue (`cic machines`), a profile file (example 03), or a few figures:
server = cic.Machine("workstation", flops_per_s=5e11, memory_bytes_per_s=3e10, op_overhead_s=5e-6)
compiled = cic.compile(model, (image,), device="raspberry-pi-4", server=server)

with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "small.cic"
    compiled.save(path)
    print(f"{path.name}: {path.stat().st_size:,} bytes, cuts {', '.join(cut.id for cut in compiled.cuts)}")

    # From here on nothing but the standard library is needed: this part runs on the device.
    splitting_model = cic.load(path)

for bandwidth in ("50kbps", "1Mbps", "20Mbps", "1Gbps"):
    print(splitting_model.decide(bandwidth).why)

print("\nThe same uplink with a slow round trip, then beside a busy server:")
print(splitting_model.decide("20Mbps", rtt="10ms"))
print(splitting_model.decide("20Mbps", server_slowdown=2))
