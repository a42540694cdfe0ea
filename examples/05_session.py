"""Answer with a server, wherever that is fastest: a session decides for each call, and goes on when the server is gone.

Run it with `python examples/05_session.py`. Its server needs aiohttp: `pip install 'cic-compiler[compile,serve]'`.
"""

from __future__ import annotations

import tempfile
from collections import Counter

import torch
from models.small_network import make_network_and_image

import cic
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer

model, image = make_network_and_image()
splitting_model = cic.compile(model, (image,), device="raspberry-pi-4", server="epyc-7742")

with tempfile.TemporaryDirectory() as directory, torch.no_grad():
    bundle = f"{directory}/small.split"
    cic.emit(model, splitting_model, bundle)
    expected = model(image)

    # On a server: cic serve small.split. Here it is a thread of this process.
    with (
        TailServer(bundle, ServerOptions(port=0)) as server,
        cic.Session(bundle, splitting_model, server.address, deadline_s=1.0) as session,
    ):
        session.warm_up()  # until then the device would answer
        inferences = [session.infer(image) for _ in range(50)]
        print("decided:", dict(Counter(f"{each.cut_id}, {each.record.kind}" for each in inferences)))
        print(inferences[-1].why)
        print(session.conditions)

    # The server is gone. Every call is answered all the same, by the head and the local tail, or by the whole network here.
    with cic.Session(bundle, splitting_model, server.address) as session:
        inferences += [session.infer(image) for _ in range(5)]
        print("without the server:", dict(Counter(each.record.kind for each in inferences[-5:])))

    # While one input is on the link, the next is on the device.
    with cic.Session(bundle, splitting_model) as session:
        inferences += session.stream([image] * 5)

error = max(((each.output - expected).abs().max() / expected.abs().max()).item() for each in inferences)
print(f"\n{len(inferences)} answers against the whole model: {error=:.1e}")
assert error < 1e-4
