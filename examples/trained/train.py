"""Train the networks: `python -m examples.trained.train NAME…`, or all of them; some seven minutes on one core.

Weights go to `examples/trained/weights`, which git ignores, or to the folder that CIC_TRAINED_WEIGHTS names. Seeds are fixed;
another processor or another torch may still round differently, so digests and accuracies are written down for comparison in
`examples/trained/record.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cic.cost.host import describe_host
from examples.trained.pictures import HELD_OUT, TRAINING, Pictures
from examples.trained.recipes import RECIPES, SEED, Recipe

RECORD = Path(__file__).with_name("record.json")


def weights_folder() -> Path:
    return Path(os.environ.get("CIC_TRAINED_WEIGHTS") or Path(__file__).with_name("weights"))


def weights_path(name: str) -> Path:
    return weights_folder() / f"{name}.pt"


def train(recipe: Recipe, *, pictures: int | None = None, report: bool = True) -> nn.Module:
    """A trained network in eval mode.

    Args:
        pictures: train on so many only (for a test).
    """
    network = recipe.network().to(memory_format=torch.channels_last).train()
    data = recipe.pictures(TRAINING, pictures or recipe.training)
    generator = torch.Generator().manual_seed(SEED)
    steps = recipe.epochs * (len(data) // recipe.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps, pct_start=0.25)
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(data), generator=generator)
        for chosen in order[: len(data) // recipe.batch * recipe.batch].split(recipe.batch):
            pixels, labels = data.pixels[chosen], data.labels[chosen]
            if recipe.symmetric:
                pixels, labels = _turned(pixels, labels, generator)
            images = recipe.normalisation.apply(pixels).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(network(images), labels, label_smoothing=0.05)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        if report:
            print(f"  epoch {epoch + 1} of {recipe.epochs}: loss {total / (len(data) // recipe.batch):.3f}", file=sys.stderr)
    return network.to(memory_format=torch.contiguous_format).eval()


def accuracy(network: nn.Module, recipe: Recipe, data: Pictures) -> float:
    """Share of pictures (of pixels, for segmentation) whose highest score is the right one."""
    right = 0
    with torch.inference_mode():
        for pixels, labels in zip(data.pixels.split(100), data.labels.split(100), strict=True):
            right += int((network(recipe.normalisation.apply(pixels)).argmax(1) == labels).sum())
    return right / data.labels.numel()


def digest(state: dict[str, Tensor]) -> str:
    """SHA-256 of names and values."""
    sums = hashlib.sha256()
    for name, values in sorted(state.items()):
        sums.update(name.encode())
        sums.update(values.contiguous().numpy().tobytes())
    return sums.hexdigest()


def _turned(pixels: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One of the eight symmetries of a square, for the whole batch."""
    turns, mirrored = (int(torch.randint(high, (), generator=generator)) for high in (4, 2))
    if mirrored:
        pixels = pixels.flip(-1)
        labels = labels.flip(-1) if labels.dim() > 1 else labels
    return pixels.rot90(turns, (-2, -1)), labels.rot90(turns, (-2, -1)) if labels.dim() > 1 else labels


def train_and_keep(name: str) -> dict[str, Any]:
    """Train one network, save its weights, and say how it went."""
    torch.set_num_threads(1)
    recipe = RECIPES[name]
    started, processor_started = time.perf_counter(), time.process_time()
    network = train(recipe)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - processor_started
    state = {key: values.clone() for key, values in network.state_dict().items()}
    path = weights_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)
    return {
        "accuracy": round(accuracy(network, recipe, recipe.pictures(HELD_OUT, recipe.held_out)), 4),
        "held_out": recipe.held_out,
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "parameters": sum(values.numel() for values in network.parameters()),
        "digest": digest(state),
        "torch": torch.__version__,
        "processor": describe_host().processor,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m examples.trained.train", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all of them when none is given")
    parser.add_argument("--record", action="store_true", help=f"write digests and accuracies to {RECORD.name}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in RECIPES]
    if unknown:
        parser.error(f"there is no network {unknown[0]!r}; there are {', '.join(RECIPES)}")
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    for name in arguments.names or RECIPES:
        print(f"{name}:", file=sys.stderr)
        record[name] = train_and_keep(name)
        print(f"{name}: {record[name]['accuracy']:.1%} right on pictures it has not seen, {record[name]['seconds']:.0f} s")
        if arguments.record:
            temporary = RECORD.with_suffix(".part")
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            temporary.replace(RECORD)


if __name__ == "__main__":
    main()
