"""Every real model: which of torchvision's, of transformers' and of ONNX files are split, and how well?

    python -m benchmarks.zoo_table --jobs 2             # all, two at a time; writes docs/zoo.md
    python -m benchmarks.zoo_table --resume             # those without a row yet
    python -m benchmarks.zoo_table --only 'resnet*'     # these (again)
    python -m benchmarks.zoo_table --render             # docs/zoo.md from the rows there are

A model is built with random weights that make it answer something (`examples/models/meaningful.py`), traced, compiled between
two machines of the catalogue over the default box, saved, loaded, and every cut of the table is emitted. The halves are loaded
and run in processes that never imported the model's code, on random numbers in two orders and on natural inputs, and compared
with the whole model. A model that takes too much time or memory, or crashes, costs its own row only: rows are JSON lines,
added as models finish, the last one of a model counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.harness.report import RESULTS, describe_setting
from benchmarks.zoo_table.one_model import take_the_whole_way, warm_up
from benchmarks.zoo_table.page import Page, families_of
from benchmarks.zoo_table.processes import Limits, run_limited, share_out, verifier
from benchmarks.zoo_table.specimen import Specimen

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {
    "torchvision": "benchmarks.zoo_table.torchvision_models",
    "transformers": "benchmarks.zoo_table.transformers_models",
    "onnx": "benchmarks.zoo_table.onnx_models",
}
PACKAGES = ("torch", "torchvision", "transformers", "onnx", "onnxruntime")
BIG_TAKES = 4  # times the limit of others


def main() -> None:
    """Run what is asked for and write the page."""
    options = _options()
    families = {family: import_module(module) for family, module in options.families.items()}
    if not options.render:
        wanted = list(_wanted(options, families))
        warm_up()
        share_out(len(wanted), options.jobs, partial(_run_some, wanted, options))
    rows = families_of(read_rows(options.rows), {family: list(module.MODELS) for family, module in families.items()})
    left_out = {what: why for module in families.values() for what, why in getattr(module, "LEFT_OUT", {}).items()}
    sys.exit(0 if Page(rows, left_out, describe_setting(PACKAGES)).write(options.page) else 1)


def _run_some(wanted: Sequence[tuple[str, str, Specimen]], options: argparse.Namespace, numbers: Iterator[int]) -> None:
    """Run those of the models whose numbers come."""
    with verifier() as verifying:
        for number in numbers:
            family, name, specimen = wanted[number]
            limits = Limits(options.seconds * (BIG_TAKES if specimen.big else 1), options.gigabytes * 1e9)
            row = run_limited(partial(take_the_whole_way, name, specimen, verifying), limits, verifying)
            row = {"family": family, "model": name, **row}
            add_row(options.rows, row)
            print(f"{number + 1}/{len(wanted)} {_one_line(row)}", flush=True)


def read_rows(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The last row of each model."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {(row["family"], row["model"]): row for row in rows}


def add_row(path: Path, row: dict[str, Any]) -> None:
    """One more line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:  # in one piece: other jobs add theirs
        file.write(f"{json.dumps(row)}\n".encode())


def _wanted(options: argparse.Namespace, families: Mapping[str, ModuleType]) -> Iterator[tuple[str, str, Specimen]]:
    """Models to run, the big ones last; a new run of everything starts with an empty file."""
    found = [
        (family, name, specimen)
        for family, module in families.items()
        for name, specimen in module.MODELS.items()
        if not options.only or any(fnmatch(name, pattern) for pattern in options.only)
    ]
    known = read_rows(options.rows) if options.resume else {}
    if not options.resume and not options.only:
        options.rows.unlink(missing_ok=True)
    yield from sorted((each for each in found if each[:2] not in known), key=lambda each: each[2].order)


def _one_line(row: dict[str, Any]) -> str:
    told = [row["family"], row["model"], row["status"], f"{row['wall_s']:.0f} s, {row['peak_bytes'] / 1e9:.1f} GB"]
    return "  ".join([*told, row.get("error", "")[:150]])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="PATTERN", help="models whose names match; may be repeated")
    parser.add_argument("--resume", action="store_true", help="leave out models that have a row")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page from the rows")
    parser.add_argument("--rows", type=Path, default=RESULTS / "zoo.jsonl")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "zoo.md")
    parser.add_argument("--seconds", type=float, default=600.0, help="wall time a model may take (the big ones: four times)")
    parser.add_argument("--gigabytes", type=float, default=12.0, help="memory a model may take")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    parser.add_argument(
        "--families",
        type=lambda text: dict(pair.split("=") for pair in text.split(",")),
        default=FAMILIES,
        metavar="NAME=MODULE,…",
        help="modules with MODELS: names and specimens",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
