"""Why a model could not be traced, said in the user's terms: which op, which line of their code, what to do."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from types import TracebackType

import torch
from torch import fx

from cic.errors import TraceError

_TORCH = str(Path(torch.__file__).parent) + "/"
_OURS = str(Path(__file__).parents[3] / "cic") + "/", str(Path(__file__).parents[3] / "codegen") + "/"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_PACKED = ("pack_padded_sequence", "pack_sequence", "pad_packed_sequence")
_RUNNING = re.compile(r"While executing %(\w+)")
_ADVICE = {
    "packed": "a packed sequence has sizes that the data decides; run the layer on the padded tensor, and mask what it answers",
    "gradient": "the model computes gradients in its forward (torch.autograd.grad, backward()), which cannot be traced; write"
    " the derivative out as a part of the model, or split the network alone whose gradient it takes",
    "data-dependent": "control flow that depends on tensor values cannot be split; use torch.where, or trace a fixed branch",
    "higher-order": "a branch of torch.cond or of its kin reads what tracing cannot follow; give it all that it reads as"
    " operands, tensors and no .item() of one, or pass the program of torch.export.export(model, args, strict=True)",
    "other": "replace this op or rewrite the line, or pass a torch.export ExportedProgram of the model",
}


def is_user_file(path: str) -> bool:
    """Tell whether a file belongs to the model's author: neither torch, nor CIC, nor generated code."""
    return not path.startswith((_TORCH, *_OURS, "<"))


def last_user_line(stack_trace: str) -> str:
    """Return "file:line" of the last frame outside torch in a stack trace, else of its last frame, else ""."""
    frames = _FRAME.findall(stack_trace or "")
    theirs = [frame for frame in frames if is_user_file(frame[0])]
    return ":".join((theirs or frames)[-1]) if frames else ""


def explain(error: BaseException) -> str:
    """Return one sentence: op, source line and cause of a front end's failure."""
    source, op = _user_frame(error.__traceback__), _failing_op(error.__traceback__)
    line = linecache.getline(*source).strip() if source else ""
    where = f"{source[0]}:{source[1]}" + (f" (`{line}`)" if line else "") if source else "an unknown line"
    head = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return f"{op + ' at ' if op else ''}{where}: {type(error).__name__}: {head}"


def untraceable(name: str, failures: dict[str, BaseException], ran_backward: bool = False) -> TraceError:
    """Return the error for a model on which every front end failed. ran_backward: it computes gradients when it is called."""
    tried = "; ".join(f"{front_end}: {explain(error)}" for front_end, error in failures.items())
    return TraceError(f"{name} cannot be traced. What to do: {_ADVICE[_cause(failures, ran_backward)]}. What failed: {tried}")


def _cause(failures: dict[str, BaseException], ran_backward: bool) -> str:
    errors = list(failures.values())
    if any(frame.tb_frame.f_code.co_name in _PACKED for error in errors for frame in _frames(error.__traceback__)):
        return "packed"
    if ran_backward:
        return "gradient"
    if any(type(error).__name__ == "UncapturedHigherOrderOpError" for error in errors):
        return "higher-order"
    # The first front end's word: the others refuse far more, and take what is no decision on data for one.
    return "data-dependent" if _is_data_dependent(errors[0]) else "other"


def failing_node(error: BaseException, graph: fx.Graph) -> fx.Node | None:
    """Return the node at which running a graph failed: torch names it in the message."""
    named = _RUNNING.search(str(error))
    return next((node for node in graph.nodes if named is not None and node.name == named[1]), None)


def _is_data_dependent(error: BaseException) -> bool:
    text = f"{type(error).__name__} {error}"
    return "DataDependent" in text or "data-dependent" in text or "control flow" in text


def _frames(traceback: TracebackType | None) -> list[TracebackType]:
    frames = []
    while traceback is not None:
        frames.append(traceback)
        traceback = traceback.tb_next
    return frames


def _user_frame(traceback: TracebackType | None) -> tuple[str, int] | None:
    """Return file and line of the innermost frame of user code, skipping whoever called us."""
    frames = [(frame.tb_frame.f_code.co_filename, frame.tb_lineno) for frame in _frames(traceback)]
    ours = [index for index, (path, _) in enumerate(frames) if not is_user_file(path)]
    inside = frames[ours[0] :] if ours else frames
    theirs = [frame for frame in inside if is_user_file(frame[0])]
    return theirs[-1] if theirs else None


def _failing_op(traceback: TracebackType | None) -> str:
    """Return the innermost operator that was being dispatched, "" if none was."""
    for frame in reversed(_frames(traceback)):
        candidate = frame.tb_frame.f_locals.get("func")
        if isinstance(candidate, torch._ops.OpOverload):
            return str(candidate)
        if getattr(candidate, "__name__", None) and isinstance(candidate, type(torch.Tensor.__bool__)):
            return f"Tensor.{candidate.__name__}"
    return ""
