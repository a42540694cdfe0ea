"""Free views: nodes that only lay out one tensor anew, all its bytes and no others.

They are not ops: whoever reads a view reads its base, and each half that needs the view makes it for itself.
"""

from __future__ import annotations

import torch
from torch import fx

from cic.trace.schema import arguments, base_name, is_identity_dropout

_LAYOUT_NAMES = (
    "view reshape _reshape_alias _unsafe_view flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes swapdims"
    " movedim moveaxis t numpy_T mT matrix_H adjoint detach alias lift_fresh lift_fresh_copy contiguous clone positive"
    " view_copy permute_copy transpose_copy t_copy squeeze_copy unsqueeze_copy atleast_1d atleast_2d atleast_3d"
    " expand slice select narrow to _to_copy pad constant_pad_nd channel_shuffle pixel_shuffle pixel_unshuffle real"
)
_LAYOUT = frozenset(_LAYOUT_NAMES.split())


def is_free_view(node: fx.Node) -> bool:
    """Tell whether the node's value is its first argument's, byte for byte, at most in another order or shape.

    `expand`, `slice`, `select`, `narrow`, `pad` and `to` are free where they neither add nor drop a byte.
    """
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if base_name(node) not in _LAYOUT and not is_identity_dropout(node):
        return False
    after, before = node.meta.get("val"), node.args[0].meta.get("val")
    if not isinstance(after, torch.Tensor) or not isinstance(before, torch.Tensor):
        return False
    same_bytes = after.numel() == before.numel() and after.dtype == before.dtype
    return same_bytes and after.layout == before.layout and after.device == before.device and not _shifts(node)


def _shifts(node: fx.Node) -> bool:
    """Tell whether a pad drops on one side what it adds on another, keeping the size but not the values."""
    return base_name(node) in ("pad", "constant_pad_nd") and any(arguments(node)["pad"])


def base_of(node: fx.Node) -> fx.Node:
    """Return the node behind a chain of free views."""
    while is_free_view(node):
        node = node.args[0]  # type: ignore[assignment]
    return node


def view_chain(node: fx.Node) -> list[fx.Node]:
    """Return the free views between a node's base and itself, the outermost last."""
    chain: list[fx.Node] = []
    while is_free_view(node):
        chain.append(node)
        node = node.args[0]  # type: ignore[assignment]
    return chain[::-1]
