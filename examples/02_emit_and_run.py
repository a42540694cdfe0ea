"""Write both halves of every cut, then run one: the head here, the tail as a server would.

Run it with `python examples/02_emit_and_run.py`.
"""

from __future__ import annotations

import tempfile

import torch
from models.small_network import make_network_and_image

import cic

model, image = make_network_and_image()
splitting_model = cic.compile(model, (image,), device="raspberry-pi-4", server="epyc-7742")

with tempfile.TemporaryDirectory() as directory, torch.no_grad():
    bundle = f"{directory}/small.split"
    # Each pair is run in fresh processes and compared with the whole model before the directory appears.
    manifest = cic.emit(model, splitting_model, bundle)
    for cut in manifest.cuts:
        error = max(check.max_relative_error for check in cut.verification)
        print(
            f"{cut.id:<20} sends {', '.join(f'{wire.dtype} {wire.shape}' for wire in cut.crossing) or 'nothing'}, {error=:.1e}"
        )

    decision = splitting_model.decide("20Mbps")
    halves = cic.load_cut(bundle, decision.cut_id)
    tensors = halves.head(image)  # on the device
    answer = halves.tail(*tensors)  # on the server
    error = ((answer - model(image)).abs().max() / model(image).abs().max()).item()

print(f"\n{decision.why}")
print(f"head and tail of {decision.cut_id} against the whole model: {error=:.1e}")
assert error < 1e-4
