"""Silero's network that hears whether somebody speaks, on recordings of a person who does."""

from __future__ import annotations

import warnings
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.pay.materials import debian_folder, python_folder
from benchmarks.pay.real_network import RealNetwork, Tensors
from cic.precision.accuracy import Answer

# The network takes 32 ms at a time, after the last 4 ms of what came before, and a state that it answers for the next time.
RATE, FRAME, CONTEXT = 16_000, 512, 64
SPEAKS = 0.5
RECORDINGS = (30, 30)
# Every fifth frame of a recording: neighbours are alike.
STRIDE = 5


def load(materials: Path) -> RealNetwork:
    """Kept is the share of frames with the same verdict. No recording is in both parts."""
    path = python_folder(materials) / "silero_vad" / "data" / "silero_vad_16k_op15.onnx"
    files = sorted(debian_folder(materials).rglob("*.wav"))
    if not path.exists() or len(files) < sum(RECORDINGS):
        raise SystemExit(f"{path} or recordings are missing; `python -m benchmarks.pay.materials` installs them")
    rng = np.random.default_rng(3)
    rng.shuffle(files)  # type: ignore[arg-type]
    calibration, held_out = files[: RECORDINGS[0]], files[RECORDINGS[0] : sum(RECORDINGS)]
    return RealNetwork(
        "speech-detector", path, None, _frames(path, calibration, rng), _frames(path, held_out, rng), _same_verdict, "verdicts"
    )


def _frames(model: Path, recordings: Sequence[Path], rng: np.random.Generator) -> list[Tensors]:
    """What the network is given, frame after frame: float32[1, 576], its state float32[2, 1, 128], and the rate."""
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = onnxruntime.InferenceSession(str(model))
    found: list[Tensors] = []
    rate = np.array(RATE, dtype=np.int64)
    for recording in recordings:
        samples = _samples(recording)
        samples = samples * rng.uniform(0.1, 1.0) + rng.normal(0, 10 ** rng.uniform(-4, -1.7), len(samples)).astype(np.float32)
        state = np.zeros((2, 1, 128), dtype=np.float32)
        padded = np.concatenate([np.zeros(CONTEXT, np.float32), samples.astype(np.float32)])
        for number, start in enumerate(range(0, len(samples) - FRAME, FRAME)):
            frame = padded[None, start : start + CONTEXT + FRAME]
            if number % STRIDE == 0:
                found.append((torch.from_numpy(frame.copy()), torch.from_numpy(state.copy()), torch.tensor(RATE)))
            _, state = session.run(None, {"input": frame, "state": state, "sr": rate})
    rng.shuffle(found)  # type: ignore[arg-type]
    return found


def _samples(recording: Path) -> np.ndarray:
    """float32[n] at 16 kHz, between -1 and 1."""
    from scipy.signal import resample_poly

    with wave.open(str(recording)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise SystemExit(f"{recording}: recordings have one channel of 16 bits")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        return np.asarray(resample_poly(values, RATE, file.getframerate()), dtype=np.float32)


def _same_verdict(answers: Sequence[Answer], whole: Sequence[Answer]) -> float:
    same = [
        bool((torch.as_tensor(mine[0]) > SPEAKS).equal(torch.as_tensor(theirs[0]) > SPEAKS))
        for mine, theirs in zip(answers, whole, strict=True)
    ]
    return sum(same) / len(same)
