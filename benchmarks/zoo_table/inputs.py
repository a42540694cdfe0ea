"""Inputs as they occur, for the models of the zoo: a photograph, a pan over it, a text, a voice."""

from __future__ import annotations

import math
import re
import zlib
from itertools import pairwise

import torch

from cic.inputs.photo import read_photo

# The opening of "On the Origin of Species" (1859).
TEXT = """When on board H.M.S. Beagle, as naturalist, I was much struck with certain facts in the distribution of the
inhabitants of South America, and in the geological relations of the present to the past inhabitants of that continent.
These facts seemed to me to throw some light on the origin of species, that mystery of mysteries, as it has been called by
one of our greatest philosophers. On my return home, it occurred to me, in 1837, that something might perhaps be made out on
this question by patiently accumulating and reflecting on all sorts of facts which could possibly have any bearing on it."""


def photo(height: int, width: int, channels: int = 3) -> torch.Tensor:
    """The photograph that comes with matplotlib as normalised float32 (1, channels, height, width)."""
    return read_photo(None, [(1, 3, height, width)])[:, :channels].contiguous()


def clip(frames: int, height: int, width: int) -> torch.Tensor:
    """A slow pan over that photograph, as float32 (1, 3, frames, height, width)."""
    wide = photo(height, width + 2 * frames)
    return torch.stack([wide[..., 2 * index : 2 * index + width] for index in range(frames)], dim=2)


def token_ids(words: int, length: int, *, start: int = 0, end: int = 1, first: int = 10, padding: int = 0) -> torch.Tensor:
    """The text as int64 (1, length): a start token, an id per word from `first` on, an end token; the last `padding` are 0.

    Ids come from checksums of the words, so a word that occurs twice has one id, and frequent words are frequent ids.
    """
    told = re.findall(r"\w+|[^\w\s]", TEXT.lower())
    ids = [first + zlib.crc32(word.encode()) % (words - first) for word in told][: length - padding - 2]
    row = [start, *ids, end]
    return torch.tensor([row + [0] * (length - len(row))])


def mask(length: int, padding: int) -> torch.Tensor:
    """What tells a text from its padding: int64 (1, length), ones and then `padding` zeros."""
    return torch.tensor([[1] * (length - padding) + [0] * padding])


def voice(samples: int, rate: int = 16_000) -> torch.Tensor:
    """A sung vowel that slides and breathes, as float32 (1, samples), of mean 0 and deviation 1."""
    time = torch.arange(samples) / rate
    pitch = 140 * (1 + 0.03 * torch.sin(2 * math.pi * 5 * time) + 0.2 * time)
    phase = 2 * math.pi * torch.cumsum(pitch, 0) / rate
    formants = ((700, 130), (1220, 70), (2600, 160))
    sound = torch.zeros(samples)
    for harmonic in range(1, 25):
        strength = sum(math.exp(-(((140 * harmonic - centre) / (3 * width)) ** 2)) for centre, width in formants)
        sound += (0.1 + strength) / harmonic * torch.sin(harmonic * phase)
    breath = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    sound = sound * (0.6 + 0.4 * torch.sin(2 * math.pi * 3 * time)) + 0.02 * breath
    return ((sound - sound.mean()) / sound.std()).unsqueeze(0)


def spectrogram(bands: int, frames: int, rate: int = 16_000) -> torch.Tensor:
    """The voice as a log spectrogram of bands on a mel-like scale, float32 (1, bands, frames), of mean 0 and deviation 1."""
    hop, window = rate // 100, 400
    sound = voice(frames * hop + window)[0]
    power = torch.stft(sound, window, hop, window=torch.hann_window(window), center=False, return_complex=True).abs() ** 2
    edges = 700 * (10 ** (torch.linspace(0, 2840, bands + 1) / 2595) - 1) / (rate / 2) * (power.shape[0] - 1)
    rows = [power[int(low) : max(int(high), int(low) + 1)].mean(0) for low, high in pairwise(edges.tolist())]
    log = torch.log10(torch.stack(rows).clamp(min=1e-8))[:, :frames]
    return ((log - log.mean()) / log.std()).unsqueeze(0)
