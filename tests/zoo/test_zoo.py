"""The whole path on real networks: compile, save, load, decide, emit, verify, run.

Pictures are small and at most four cuts are emitted: `make zoo` takes the same way at full size, with all cuts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

import cic
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from codegen.torchvision_import import import_torchvision
from examples.models.encoder import Encoder, example_call
from examples.models.meaningful import make_meaningful

TOLERANCE = 1e-4
BANDWIDTHS = ("0.1Mbps", "1Mbps", "10Mbps", "100Mbps", "1Gbps")
FEW_CUTS = 4

Call = tuple[tuple[Any, ...], dict[str, Any]]


def vision(name: str, size: int = 96, **kinds: Any) -> Callable[[], tuple[nn.Module, Call]]:
    def make() -> tuple[nn.Module, Call]:
        torch.manual_seed(0)
        models = import_torchvision().models
        model = models.VisionTransformer(size, **kinds) if kinds else models.get_model(name, weights=None, **fast(name))
        make_meaningful(model, (torch.randn(4, 3, size, size),))
        return model, ((torch.randn(1, 3, size, size),), {})

    return make


def fast(name: str) -> dict[str, bool]:
    """Without an initialisation of weights that takes longer than all else."""
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def encoder() -> tuple[nn.Module, Call]:
    torch.manual_seed(0)
    call = example_call(length=64, words=1000)
    return Encoder(layers=4, width=256, heads=4, words=1000, longest=64).eval(), call


SMALL_TRANSFORMER = {"patch_size": 16, "num_layers": 4, "num_heads": 4, "hidden_dim": 128, "mlp_dim": 256}
ZOO: dict[str, Callable[[], tuple[nn.Module, Call]]] = {
    "resnet18": vision("resnet18"),
    "resnet50": vision("resnet50", 160),
    "mobilenet_v3_large": vision("mobilenet_v3_large"),
    "googlenet": vision("googlenet"),
    "inception_v3": vision("inception_v3"),
    "densenet121": vision("densenet121"),
    "efficientnet_b0": vision("efficientnet_b0"),
    "vision_transformer": vision("vision_transformer", 64, **SMALL_TRANSFORMER),
    "swin_t": vision("swin_t"),
    "encoder": encoder,
}


@pytest.fixture
def bundle(tmp_path: Path):
    """A place for an emitted model, emptied afterwards: pytest keeps the directories of its last runs."""
    yield tmp_path / "bundle"
    shutil.rmtree(tmp_path / "bundle", ignore_errors=True)


@pytest.mark.parametrize("name", ZOO)
def test_compile_save_load_decide_emit_verify_run(name: str, tmp_path: Path, bundle: Path) -> None:
    model, (args, kwargs) = ZOO[name]()
    with torch.no_grad():
        whole = model(*args, **kwargs)
    traced = trace(model, args, kwargs, name=name)
    model_file = tmp_path / f"{name}.cic"
    compile_with_a_true_split(traced).save(model_file)
    splitting_model = cic.load(model_file)

    never_slower_than_either_side_alone(splitting_model)
    cuts = [cut.id for cut in splitting_model.cuts]
    cuts = [cuts[0], *cuts[1:-1][: FEW_CUTS - 2], cuts[-1]]
    manifest = cic.emit(traced, splitting_model, bundle, cuts=cuts)

    assert [cut.id for cut in manifest.cuts] == cuts
    for cut in manifest.cuts:
        assert cut.verification, f"cut {cut.id} was not verified"
        for check in cut.verification:
            assert check.max_relative_error <= TOLERANCE
            assert all(output.informative for output in check.outputs), f"cut {cut.id}: nothing was shown by {check.outputs}"
    for cut_id in cuts[:2]:
        loaded = cic.load_cut(bundle, cut_id)
        same_answer(loaded.tail(*loaded.head(*args, **kwargs)), whole)


def compile_with_a_true_split(traced: TracedModel) -> cic.SplittingModel:
    """Between a slow and a fast machine, so far apart in speed that some true split is the fastest somewhere."""
    server = cic.Machine("server", flops_per_s=3e11, memory_bytes_per_s=2e10, op_overhead_s=5e-6)
    splitting_model = cic.compile(traced, device="raspberry-pi-4", server=server)
    ids = {cut.id for cut in splitting_model.cuts}
    assert {"device-only", "server-only"} <= ids
    assert len(ids) > 2, f"{traced.graph.name}: no true split among {ids}"
    return splitting_model


def never_slower_than_either_side_alone(splitting_model: cic.SplittingModel) -> None:
    for bandwidth in BANDWIDTHS:
        decision = splitting_model.decide(bandwidth)
        alone = [splitting_model.cut_by_id[cut_id].latency_s(decision.conditions) for cut_id in ("device-only", "server-only")]
        assert decision.optimal
        assert decision.latency_s <= min(alone) * (1 + 1e-12)


def same_answer(answer: Any, whole: Any) -> None:
    """Same structure, and each tensor within the tolerance of the eager model's, relative to its largest entry."""
    leaves, structure = pytree.tree_flatten(answer)
    expected, expected_structure = pytree.tree_flatten(whole)
    assert structure == expected_structure
    for leaf, reference in zip(leaves, expected, strict=True):
        if reference is None:
            assert leaf is None
            continue
        assert leaf.shape == reference.shape and leaf.dtype == reference.dtype
        assert (leaf - reference).abs().max() <= TOLERANCE * reference.abs().max()
