"""The key-value caches of transformers, taken apart into their keys and values, and put together again.

They are no containers, but their state is: `DynamicCache` holds keys and values for each layer, `EncoderDecoderCache` two
such caches. Where transformers has not been imported, as on a server that runs tails, what comes back is the pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from codegen.errors import CodegenError

MODULE = "transformers.cache_utils"
_DYNAMIC, _BOTH = "DynamicCache", "EncoderDecoderCache"


def is_cache(value: Any) -> bool:
    """Tell whether a value is a cache of transformers, of any class."""
    return any(kind.__module__ == MODULE and kind.__name__ in ("Cache", _BOTH) for kind in type(value).__mro__)


def parts_of(value: Any, where: str) -> tuple[str, tuple[Any, ...]]:
    """Return the class of a cache as "module:name" and what it holds: a pair (keys, values) a layer, or two caches.

    Raises CodegenError naming the place for a cache that is not only its keys and values, such as a sliding or a static one.
    """
    name = type(value).__name__
    if type(value).__module__ == MODULE and name == _BOTH:
        return f"{MODULE}:{_BOTH}", (value.self_attention_cache, value.cross_attention_cache)
    layers = getattr(value, "layers", None)
    if name != _DYNAMIC or layers is None or any(type(layer).__name__ != "DynamicLayer" for layer in layers):
        kinds = sorted({type(layer).__name__ for layer in layers or ()})
        among = f" with {', '.join(kinds)}" if kinds else ""
        raise CodegenError(
            f"{where} is a {name} of transformers{among}, which is more than its keys and values;"
            " pass use_cache=False to the model, or a DynamicCache without sliding layers"
        )
    return f"{MODULE}:{_DYNAMIC}", tuple((layer.keys, layer.values) for layer in layers if layer.is_initialized)


def cache_of(path: str, parts: Sequence[Any]) -> Any:
    """Return a cache with these parts, or the parts if transformers has not been imported."""
    known = vars(sys.modules[MODULE]) if MODULE in sys.modules else {}
    if path == f"{MODULE}:{_BOTH}":
        return known[_BOTH](*parts) if _BOTH in known else tuple(parts)
    if _DYNAMIC not in known:
        return tuple(parts)
    cache = known[_DYNAMIC](list(parts)) if parts else known[_DYNAMIC]()
    for layer, (keys, values) in zip(cache.layers, parts, strict=True):
        layer.keys, layer.values = keys, values  # the very tensors, not what a layer has made of them
    return cache
