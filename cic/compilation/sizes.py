"""`compile_sizes`: one model at several sizes of its inputs, each compiled for itself, since tracing fixes the shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from cic.compilation.pipeline import compile
from cic.cost.pricing import Source
from cic.decision.sized_model import SizedModel, check_size
from cic.decision.splitting_model import SplittingModel
from cic.errors import ArgumentError, ArtifactError, CompileError
from codegen.checked_json import shown


def compile_sizes(
    model: Any,
    sizes: Mapping[str | int, Sequence[Any] | Mapping[str, Any]],
    *,
    device: Source,
    server: Source,
    each: Mapping[str | int, Mapping[str, Any]] = MappingProxyType({}),
    **options: Any,
) -> SizedModel:
    """Work out the cuts of a model at several sizes of its inputs, such as {224: (image,), 320: (large_image,)}.

    Args:
        model: as for `cic.compile`, but neither exported nor traced, which fixes the shapes.
        sizes: example inputs by what the size is called: args, or kwargs.
        device, server, options: as for `cic.compile`, of all sizes.
        each: options of one size, by its name, that come before the others: profiles or calibration pictures of that size, say.

    Returns:
        A splitting model for each size, called by the model's name and the size.

    Raises:
        ArgumentError: a size cannot be called so, or `each` names one that is not there. CompileError: two sizes come to the
            same graph. TraceError, CostError, CompileError: as of `cic.compile`.
    """
    if not isinstance(sizes, Mapping) or not sizes:
        raise ArgumentError(f"sizes are {shown(sizes)}; give example inputs by size, such as {{224: (image,)}}")
    named = {str(size): value for size, value in sizes.items()}
    given = {str(size): value for size, value in each.items()}
    for size in (*named, *given):
        _check_named(size)
    if unknown := given.keys() - named.keys():
        raise ArgumentError(f"each names the size {min(unknown)}; there are {', '.join(named)}")
    compiled: dict[str, SplittingModel] = {}
    for size, inputs in named.items():
        call = ((), inputs) if isinstance(inputs, Mapping) else (inputs, None)
        found = compile(model, *call, **{"device": device, "server": server, **options, **given.get(size, {})})
        _check_distinct(found, size, compiled)
        compiled[size] = _called(found, f"{found.name}-{size}")
    return SizedModel(compiled)


def _called(model: SplittingModel, name: str) -> SplittingModel:
    return SplittingModel(model.table.replaced(name=name), model.graph, lambda: model.stored_codecs)


def _check_named(size: str) -> None:
    try:
        check_size(size)
    except ArtifactError as error:
        raise ArgumentError(str(error)) from error


def _check_distinct(found: SplittingModel, size: str, compiled: Mapping[str, SplittingModel]) -> None:
    for other, model in compiled.items():
        if model.information.graph_digest == found.information.graph_digest:
            raise CompileError(
                f"the sizes {other} and {size} of {found.name} come to the same graph, with the digest "
                f"{found.information.graph_digest[:12]}; give inputs of other shapes, and the model neither exported nor traced"
            )
