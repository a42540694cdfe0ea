"""Halves as TorchScript: traced, frozen, saved; optimised for this machine when loaded.

A program optimised for a processor (`codegen.formats.blocked_layout`) can neither be saved nor moved to another one, so the
file holds the frozen program and `load` optimises it. A TorchScript file is code: load only what a digest vouches for.

Which rows an answer has may hang on the last digit of a number, as where boxes of nearly equal scores compete. So halves of
a model whose answer has as many rows as the data decides (`EXACT`) compute op by op, to the bit as the model does: no batch
norm is folded into a convolution, and nothing is packed.

Halves with shared weights are read as `torch.package` reads the programs in its packages, for which torch can take the
contents of tensors from elsewhere: all programs of a process that use a weight have one copy of it. Optimising replaces
weights by copies in another layout; these are shared, too.

TorchScript is deprecated since torch 2.10 but remains what old fleets load; its warnings are silenced here
and nowhere else.
"""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import fx

from codegen.calls.torch_calls import LOADING, PROCESSOR, as_tensors, on_device
from codegen.errors import CodegenError
from codegen.files.memory_file import write_through_memory
from codegen.formats.blocked_layout import enter_blocked_layout
from codegen.formats.emitter import OpenAxes, Runner
from codegen.formats.honest_aliases import make_honest, make_trace_honest
from codegen.formats.memory_sharing import copied, observed_sharing
from codegen.formats.own_answers import give_own_answers
from codegen.formats.scripting import numbers_from_data, scripted
from codegen.formats.torchscript_guard import add_guard
from codegen.split import WireTensor
from codegen.weights.shared_weights import SharedHalf, stored_spans
from codegen.weights.torch_weights import pooled_weights
from codegen.weights.weight_pool import return_freed_memory

EXACT = "exact"
"""Key in the `meta` of a half that is to compute to the bit as the model does."""
_CONSTANTS = "constants/"
WEIGHT_RECORDS = r"constants/\d+"
# Operators on graphs that decide by values which way to go, or how often; torch.jit has none of them.
_DECIDE_ON_DATA = ("cond", "while_loop", "scan", "map_impl", "associative_scan")
# What `torch.package` uses is no public face of torch: without it every half gets its own copy of its weights.
CAN_BIND = all(hasattr(torch._C, name) for name in ("DeserializationStorageContext", "_import_ir_module_from_package"))


class TorchScriptEmitter:
    """Writes `.ts` files with `torch.jit.trace` → `freeze` → `save`, and runs them on a device of torch."""

    format = "torchscript"
    suffix = ".ts"

    def __init__(self, device: str = PROCESSOR) -> None:
        self.device = device

    def versions(self) -> dict[str, str]:
        """Return the version of torch."""
        return {"torch": torch.__version__}

    def write(self, half: fx.GraphModule, example: Sequence[torch.Tensor], path: Path, open_axes: OpenAxes = ()) -> None:
        """Trace `half` on `example`, freeze it and save it to `path`; CodegenError if torch cannot."""
        _refuse_regions(half, path)
        exact = bool(half.meta.get(EXACT))
        half = copied(half, flat=True)
        try:
            sharing = observed_sharing(half, example)
            make_honest(sharing, fixed=not any(open_axes))
            give_own_answers(half, sharing, folds=True)
            with quiet_torchscript(), torch.no_grad():
                write_through_memory(
                    path,
                    lambda name: freeze_to(name, half, tuple(example), guarded=True, exact=exact, open_axes=open_axes),
                )
        except RuntimeError as error:
            raise CodegenError(f"torch.jit cannot write {path.name}: {error}") from error

    def weight_spans(self, path: Path) -> Sequence[tuple[int, int]]:
        """Return where in a file the bytes of its weights are."""
        return stored_spans(path, WEIGHT_RECORDS)

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """Return the saved half as a function; with `optimize`, packed for this machine's processor."""
        return self._plain(str(path), path, inputs, optimize)

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """As `load`; each weight is in memory once, whatever number of halves use it."""
        if not CAN_BIND or self.device != PROCESSOR:
            return self._plain(half.plain_file(lambda sha256: memoryview(half.weight(sha256))), half.path, inputs, optimize)
        weights = pooled_weights(half)
        runner = _runner(lambda: _bind(half, weights), weights, half.path, inputs, optimize)
        weights.clear()
        return_freed_memory()
        return runner

    def _plain(self, source: str | IO[bytes], path: Path, inputs: Sequence[WireTensor], optimize: bool) -> Runner:
        blocked = optimize and self.device == PROCESSOR
        return _runner(lambda: torch.jit.load(source, map_location=self.device), {}, path, inputs, blocked, device=self.device)


def _runner(
    read: Callable[[], Any],
    weights: dict[str, torch.Tensor],
    path: Path,
    inputs: Sequence[WireTensor],
    optimize: bool,
    *,
    device: str = PROCESSOR,
) -> Runner:
    """Return a program as a function. It keeps those of `weights`, and of their copies in other layouts, that it uses."""
    try:
        with LOADING, quiet_torchscript(), torch.no_grad():
            program = read()
            program.eval()
            move_made_tensors(program, device)
            digests = {weight.data_ptr(): sha256 for sha256, weight in weights.items()}
            kept = enter_blocked_layout(program, inputs, digests) if optimize else []
            used = {constant.data_ptr() for constant in constants_of(program)}
    except RuntimeError as error:
        raise CodegenError(f"{path} is not TorchScript that torch {torch.__version__} can load: {error}") from error
    kept += [weight for weight in weights.values() if weight.data_ptr() in used]

    program = plain_on_card(program, device)

    def run(*tensors: Any, _kept: Sequence[torch.Tensor] = tuple(kept)) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return tuple(program(*on_device(as_tensors(tensors), device)))

    return run


def plain_on_card(program: Callable[..., Any], device: str) -> Callable[..., Any]:
    """Let a program run op by op if it is elsewhere than on the processor.

    For a card torch's executor compiles groups of ops at the second run of each program. On an H100 (torch 2.11) that took
    0.3 s for ResNet-18 and over a minute for DenseNet-121, for a half each, and made ResNet-18 0.3 ms faster (1.5 for 1.8 ms).
    A server has a dozen tails to warm up, and no session waits a minute for the second answer.
    """
    if device == PROCESSOR:
        return program

    def run(*tensors: torch.Tensor) -> Any:
        with torch.jit.optimized_execution(False):
            return program(*tensors)

    return run


def move_made_tensors(program: Any, device: str) -> None:
    """Let a program make its new tensors on a device: a trace says where each was made, its weights were moved when read."""
    if device == PROCESSOR:
        return
    for node in program.graph.findAllNodes("prim::Constant"):
        if node.output().type().kind() == "DeviceObjType":
            node.s_("value", device)


def freeze_to(
    file: str | io.BytesIO,
    module: fx.GraphModule,
    example: Sequence[torch.Tensor],
    *,
    guarded: bool = False,
    exact: bool = False,
    open_axes: OpenAxes = (),
) -> None:
    """Trace a module on example tensors, or script it (`codegen.formats.scripting`), freeze it and save it.

    guarded: let it refuse what is unlike the example (`codegen.formats.torchscript_guard`).
    exact: fold nothing that would be rounded in another way then.

    What torch traces belongs to one compilation unit that lasts as long as the process, and so would the weights that
    freezing makes of the model's own, as when it folds batch norm into a convolution: one more model in memory for each
    half. So they are taken out of the program once it is saved.
    """
    traced = _program(module, example).eval()
    make_trace_honest(traced)
    _split_addmm(traced)
    program = torch.jit.freeze(traced, optimize_numerics=not exact)
    if guarded:
        add_guard(program, example, open_axes)
    torch.jit.save(program, file)
    for node in program.graph.findAllNodes("prim::Constant"):
        if node.hasAttribute("value") and node.kindOf("value") == "t":
            node.t_("value", torch.empty(0))
    return_freed_memory()


def _program(module: fx.GraphModule, example: Sequence[torch.Tensor]) -> Any:
    if any(True for _ in numbers_from_data(module)):
        return scripted(module)
    # The module is straight-line code of tensor ops: a second run to compare traces would show nothing. It may return a list.
    return torch.jit.trace(module, tuple(example), check_trace=False, strict=False)


def _split_addmm(program: Any) -> None:
    """Write `addmm` as the product and the sum that torch's executor makes of it anyway, in place.

    When it does so itself, torch 2.13 takes the product for as large as its second factor, and fails to add a constant matrix
    of other sizes. It leaves alone what has factors (alpha, beta) other than 1.
    """
    for part in program.modules():
        if not part._c._has_method("forward"):
            continue
        for node in part.graph.findAllNodes("aten::addmm"):
            summand, *factors, beta, alpha = node.inputs()
            if beta.toIValue() == alpha.toIValue() == 1:
                product = part.graph.create("aten::mm", factors, 1)
                total = part.graph.create("aten::add", [summand, product.output(), alpha], 1)
                product.insertBefore(node)
                total.insertBefore(node)
                total.output().setType(node.output().type())
                node.output().replaceAllUsesWith(total.output())
                node.destroy()


def constants_of(program: Any) -> list[torch.Tensor]:
    """Return the tensors a frozen program holds, those in the processor's own layout left out."""
    constants = [node for node in program.graph.findAllNodes("prim::Constant") if node.hasAttribute("value")]
    return [node.t("value") for node in constants if node.kindOf("value") == "t"]


def _bind(half: SharedHalf, weights: dict[str, torch.Tensor]) -> Any:
    """Read a program whose weights are in memory already.

    In a package, a program's code, pickles and tensors have other names than in a file of its own.
    """
    context = torch._C.DeserializationStorageContext()
    places = half.places_by_record()
    package = io.BytesIO()
    with half.archive() as archive, zipfile.ZipFile(package, "w") as renamed:
        for entry in archive.infolist():
            root, _, name = entry.filename.partition("/")
            if entry.filename in places:
                context.add_storage(name.removeprefix(_CONSTANTS), weights[places[entry.filename].sha256])
            else:
                renamed.writestr(f"{root}/{_name_in_package(name)}", archive.read(entry))
    package.seek(0)
    reader = torch._C.PyTorchFileReader(package)
    unit = torch._C.CompilationUnit()
    program = torch._C._import_ir_module_from_package(unit, reader, context, torch.device("cpu"), "0")
    return torch.jit._recursive.wrap_cpp_module(program)


def _name_in_package(name: str) -> str:
    if name.startswith(_CONSTANTS):
        return f".data/{name.removeprefix(_CONSTANTS)}"
    if name.startswith("code/"):
        return f".data/ts_code/{name}"
    if name.endswith(".pkl"):
        return f".data/ts_code/0/{name}"
    return name


@contextmanager
def quiet_torchscript() -> Iterator[None]:
    """Silence the deprecation of TorchScript, and the tracer's remarks on shapes, which are fixed here by intent."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=FutureWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        yield


def _refuse_regions(half: fx.GraphModule, path: Path) -> None:
    """Raise CodegenError if the half holds an operator such as torch.cond, of which a trace would keep one way only.

    Other operators on graphs, such as a region under autocast, leave in a trace what they did.
    """
    for node in half.graph.nodes:
        if isinstance(node.target, torch._ops.HigherOrderOperator) and node.target.name() in _DECIDE_ON_DATA:
            raise CodegenError(
                f"{path.name} cannot be TorchScript, which has no torch.{node.target.name()} (node {node.name}); emit it in the"
                " format exported_program instead"
            )
