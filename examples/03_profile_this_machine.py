"""Measure a model on this machine and use the measurement as one side of a compilation.

Run it with `python examples/03_profile_this_machine.py`. `cic profile` does the same from the command line; run it on the
device and on the server, and bring both files together to compile.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from models.small_network import make_network_and_image

import cic

model, image = make_network_and_image()
# Traced once, and named, for both the measurement and the compilation.
traced = cic.trace_model(model, (image,), name="small")

with tempfile.TemporaryDirectory() as directory:
    path = Path(directory) / "small.profile.json"
    # The default of 0.1 s an op is steadier; this is an example, and short.
    cic.profile(traced, threads=1, seconds_per_op=0.01).save(path)
    profile = cic.load_profile(path)
    print(f"{profile.name}, torch {profile.torch_version}: the whole model takes {profile.whole_s * 1e3:.2f} ms")
    for op in sorted(profile.ops, key=lambda op: -op.seconds)[:3]:
        print(f"  {op.seconds * 1e3:6.2f} ms  {', '.join(op.names)}")
    splitting_model = cic.compile(traced, device="raspberry-pi-4", server=path)

for bandwidth in ("1Mbps", "10Mbps", "100Mbps"):
    print(splitting_model.decide(bandwidth).why)
