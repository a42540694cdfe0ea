"""Free views: nodes that only lay out one tensor anew, all its bytes and no others, or scale what was quantised.

They are not ops: whoever reads a view reads its base, and each half that needs the view makes it for itself.
"""

from __future__ import annotations

import torch
from torch import fx
from torch.fx.experimental.symbolic_shapes import statically_known_true

from cic.trace.fx.schema import arguments, base_name, is_dequantisation, is_identity_dropout

_LAYOUT_NAMES = (
    "view reshape _reshape_alias _unsafe_view flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes swapdims"
    " movedim moveaxis t numpy_T mT matrix_H adjoint detach alias lift_fresh lift_fresh_copy contiguous clone positive"
    " view_copy permute_copy transpose_copy t_copy squeeze_copy unsqueeze_copy atleast_1d atleast_2d atleast_3d"
    " expand slice select narrow to _to_copy pad constant_pad_nd channel_shuffle pixel_shuffle pixel_unshuffle real"
)
_LAYOUT = frozenset(_LAYOUT_NAMES.split())


def is_free_view(node: fx.Node) -> bool:
    """Tell whether the node's value is its first argument's, byte for byte, at most in another order or shape.

    `expand`, `slice`, `select`, `narrow`, `pad` and `to` are free where they neither add nor drop a byte. So is making floats
    of quantised values: a runtime does that within the op that reads them, and each half that needs the floats makes them
    from the small form. An answer of the model is the exception: it is sent back as it is.
    """
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], fx.Node):
        return False
    if is_dequantisation(node):
        return not _is_returned(node)
    if base_name(node) not in _LAYOUT and not is_identity_dropout(node):
        return False
    after, before = node.meta.get("val"), node.args[0].meta.get("val")
    if not isinstance(after, torch.Tensor) or not isinstance(before, torch.Tensor):
        return False
    # Where the data decides a size, two that may differ do not count as the same.
    same_bytes = statically_known_true(after.numel() == before.numel()) and after.dtype == before.dtype
    return same_bytes and after.layout == before.layout and after.device == before.device and not _shifts(node)


def dequantised(node: fx.Node) -> fx.Node:
    """Return the quantised value that a node shows as floats, perhaps in another layout; the node itself if it shows none."""
    shown = node
    while is_free_view(shown):
        if is_dequantisation(shown):
            return shown.args[0]  # type: ignore[return-value]
        shown = shown.args[0]  # type: ignore[assignment]
    return node


def _is_returned(node: fx.Node) -> bool:
    """Tell whether the node's value, or a view of it, is an answer of the model."""
    return any(user.op == "output" or (is_free_view(user) and _is_returned(user)) for user in node.users)


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
