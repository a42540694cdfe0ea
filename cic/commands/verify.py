"""verify: prove again that a splitting model holds every optimal cut, believing neither compiler nor solver."""

from __future__ import annotations

import json
from time import perf_counter

from cic.commands.progress_bar import shown_progress
from cic.decision.splitting_model import load
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "prove again that a splitting model holds every optimal cut, believing neither compiler nor solver"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a splitting model, such as model.cic")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: Namespace) -> int:
    model = load(arguments.file)
    try:
        from cic.compilation.verification import verify
    except ImportError as error:
        raise InputError(f"verify needs the solver ({error}): pip install 'cic-compiler[solve]'") from error
    started = perf_counter()
    with shown_progress() as tell:
        found = verify(model, progress=tell)
    if arguments.json:
        print(json.dumps({"cuts": found.cuts, "minimum_cuts": found.minimum_cuts, "gap": found.gap}))
        return 0
    print(f"{found.cuts} cuts are allowed and priced as their ops and tensors say")
    print(
        f"{found.minimum_cuts} minimum cuts, each with a flow that proves it, span the whole box: no other cut is faster "
        f"anywhere in it by more than {found.gap:.1e} of the optimum ({perf_counter() - started:.2f} s)"
    )
    return 0
