"""Let tensors cross in fewer bits, and keep 98 % of the network's accuracy.

Run it with `python examples/04_codecs_and_accuracy.py`. A small network learns to read scikit-learn's handwritten digits in a
few seconds; what its tensors weigh under each codec, and what every cut still gets right, is measured on digits that it has
not seen. It needs scikit-learn: `pip install 'cic-compiler[trained]'`.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import cic

torch.manual_seed(0)
pixels, labels = (torch.from_numpy(values) for values in load_digits(return_X_y=True))
images = nn.functional.interpolate(pixels.float().reshape(-1, 1, 8, 8) / 16, scale_factor=6, mode="bilinear")
shuffled = torch.randperm(len(images))
training, calibration, held_out = shuffled[:800], shuffled[800:1500], shuffled[1500:]

layers = nn.Conv2d(1, 24, 5, 2), nn.ReLU(), nn.Conv2d(24, 48, 3, 2), nn.ReLU(), nn.Conv2d(48, 64, 3, 2), nn.ReLU()
model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 10))
optimiser = torch.optim.Adam(model.parameters(), lr=0.003)
for _ in range(12):
    for chosen in training[torch.randperm(len(training))].split(60):
        loss = nn.functional.cross_entropy(model(images[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
model.eval()
with torch.no_grad():
    print(f"{float((model(images[held_out]).argmax(1) == labels[held_out]).double().mean()):.1%} right on held-out digits")

# A camera's microcontroller-like core, and a server.
camera, server = cic.Machine("camera", 5e8, 4e8, 2e-5), cic.Machine("server", 2e11, 2e10, 2e-6)
digits = cic.trace_model(model, (images[:1],), name="digits")
plain = cic.compile(digits, device=camera, server=server)
kept = cic.Precision(calibration=[(images[calibration], labels[calibration])], accuracy="top1>=0.98")
small = cic.compile(digits, device=camera, server=server, precision=kept)

for bandwidth in ("200kbps", "1Mbps", "5Mbps", "20Mbps"):
    before, after = plain.decide(bandwidth), small.decide(bandwidth)
    kept = after.cut.accuracy["top1"]
    print(f"{bandwidth:>8}: {before.latency_s * 1e3:6.2f} ms with float32 tensors ({before.cut.label}),")
    print(f"{'':>8}  {after.latency_s * 1e3:6.2f} ms with codecs ({after.cut.label}), keeping {kept:.2%} of the accuracy")
