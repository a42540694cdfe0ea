"""One emitted cut, ready to run, speaking CIC's errors."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cic.errors import CodecError, EmitError
from codegen.errors import codegen_error_as, needing
from codegen.loading import LoadedCut
from codegen.split import WireTensor

if TYPE_CHECKING:
    from cic.codec.codec import Codec

_MADE_BY = "_cic_weights_digest"


@dataclass(frozen=True, repr=False)
class EmittedCut:
    """Head and tail of a cut; `cut.tail(*cut.head(*args, **kwargs))` is what the whole model would answer.

    loaded: the halves as `codegen` knows them, for running them on flat tensors over a link.
    Every method raises EmitError when given what the model was not compiled for, naming the argument.
    """

    loaded: LoadedCut

    @property
    def id(self) -> str:
        return self.loaded.id

    def __repr__(self) -> str:
        sent = ", ".join(f"{tensor.name}: {tensor.dtype} {list(tensor.shape)}" for tensor in self.crossing)
        return f"EmittedCut({self.id!r}, crossing: {sent or 'nothing'})"

    @property
    def crossing(self) -> tuple[WireTensor, ...]:
        """The tensors to send from device to server: the first of what `head` returns."""
        return self.loaded.crossing

    @property
    def kept(self) -> tuple[WireTensor, ...]:
        """Outputs of the model that stay on the device: the rest of what `head` returns."""
        return self.loaded.kept

    def codec(self, name: str) -> Codec:
        """The codec of this name, such as `decision.codecs` has for each crossing tensor, from what the bundle stores for it.

        Raises CodecError if there is no such codec, the cut was emitted without what it is made from, or numpy is not
        installed.
        """
        with needing(f"the codec {name}", "codec", CodecError):
            from cic.codec.registry import codec  # a cut that is run whole needs none
        return codec(name, self.loaded.codecs)

    @property
    def weights_digest(self) -> str:
        """Of the training that both halves are of. A tail elsewhere must have the same, or its answers are wrong."""
        return self.loaded.manifest.weights_digest

    def head(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run the device half on the model's own arguments; returns the tensors (*crossing, *kept)."""
        with codegen_error_as(EmitError):
            inputs = self.loaded.flatten_inputs(*args, **kwargs)
            results = self.loaded.run_head_flat(inputs)
        given = set(map(id, inputs))
        for tensor in results:
            if id(tensor) not in given:  # what only passes through is of no training
                with suppress(AttributeError):  # an array of numpy takes no mark
                    setattr(tensor, _MADE_BY, self.weights_digest)
        return results

    def tail(self, *tensors: Any) -> Any:
        """Run the server half on what `head` returned; returns the model's own output structure.

        What another training's head returned is refused, as long as nothing was made of it in between.
        """
        for tensor in tensors:
            made_by = getattr(tensor, _MADE_BY, self.weights_digest)
            if made_by != self.weights_digest:
                raise EmitError(
                    f"the tail of cut {self.id} has weights of the digest {self.weights_digest[:12]}, the head that made what"
                    f" it is given has {made_by[:12]}; take both halves from one emission"
                )
        with codegen_error_as(EmitError):
            return self.loaded.tail(*tensors)
