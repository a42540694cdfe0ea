"""One emitted cut, ready to run, speaking CIC's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cic.errors import EmitError
from codegen.errors import CodegenError
from codegen.loading import LoadedCut
from codegen.split import WireTensor


@dataclass(frozen=True)
class EmittedCut:
    """Head and tail of a cut; `cut.tail(*cut.head(*args, **kwargs))` is what the whole model would answer.

    loaded: the halves as `codegen` knows them, for running them on flat tensors over a link.
    Every method raises EmitError when given what the model was not compiled for, naming the argument.
    """

    loaded: LoadedCut

    @property
    def id(self) -> str:
        return self.loaded.id

    @property
    def crossing(self) -> tuple[WireTensor, ...]:
        """The tensors to send from device to server: the first of what `head` returns."""
        return self.loaded.crossing

    @property
    def kept(self) -> tuple[WireTensor, ...]:
        """Outputs of the model that stay on the device: the rest of what `head` returns."""
        return self.loaded.kept

    def head(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run the device half on the model's own arguments; returns the tensors (*crossing, *kept)."""
        with _as_emit_error():
            return self.loaded.head(*args, **kwargs)

    def tail(self, *tensors: Any) -> Any:
        """Run the server half on what `head` returned; returns the model's own output structure."""
        with _as_emit_error():
            return self.loaded.tail(*tensors)


@contextmanager
def _as_emit_error() -> Iterator[None]:
    try:
        yield
    except CodegenError as error:
        raise EmitError(str(error)) from error
