"""Draws docs/latency.svg, the picture in README.md: `python -m docs.latency_picture`.

It compiles a small trained network between a Raspberry Pi 4 and a desktop, with an accuracy to keep. The network is trained
first if its weights are not there, which takes some minutes.
"""

from __future__ import annotations

from pathlib import Path

import torch

import cic
from cic.pictures.latency import latency_picture
from examples import trained

PICTURE = Path(__file__).with_name("latency.svg")
# It takes some 1,000 pictures to show that 99 % of the accuracy is kept.
CALIBRATION = 1500


def main() -> None:
    torch.set_num_threads(1)
    network = trained.load("residual", calibration=CALIBRATION)
    pictures, labels = (torch.cat([batch[part] for batch in network.calibration]) for part in (0, 1))
    splitting_model = cic.compile(
        network.model,
        (pictures[:1],),
        device="raspberry-pi-4b",
        server="i7-13700k",
        box=cic.Box(uplink=("100kbps", "1Gbps")),
        precision=cic.Precision(calibration=[(pictures, labels)], accuracy="top1>=0.99", input=network.input),
        name="a residual network",
    )
    latency_picture(splitting_model, PICTURE)


if __name__ == "__main__":
    main()
