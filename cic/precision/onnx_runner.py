"""An ONNX model on calibration samples: the file, and the halves cut from it, run by ONNX Runtime, one sample at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import NoReturn

import onnx_ir as ir
import torch

from cic.errors import CompileError
from cic.precision.model_runner import Change, See, Tensors
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.values import bytes_of
from codegen.bundle.source import Whole
from codegen.errors import CodegenError
from codegen.formats.onnx_in_memory import answering, session_of
from codegen.formats.onnx_session import runner_of
from codegen.split import Split, WireTensor

# ONNX Runtime holds everything that a run answers at once.
MOST_SHOWN_BYTES = 256 * 2**20


class OnnxRunner:
    """See `cic.precision.model_runner.ModelRunner`. Sessions that show tensors are kept for the next sample."""

    def __init__(self, traced: OnnxModel) -> None:
        self.traced = traced
        self._shown: frozenset[str] = frozenset()
        self._sessions: list[tuple[list[str], Whole]] = []

    def observe(self, sample: Tensors, names: Collection[str], see: See) -> None:
        wanted = frozenset(names)
        if wanted != self._shown:
            self._shown, self._sessions = wanted, self._showing(wanted)
        for wire, value in zip(self.traced.source.inputs, sample, strict=True):
            if wire.name in wanted:
                see(wire.name, value)
        for shown, run in self._sessions:
            for name, value in zip(shown, run(*sample), strict=True):
                see(name, value)

    def gradients(
        self, sample: Tensors, names: Collection[str], generator: torch.Generator, *, of_classes: bool
    ) -> Mapping[str, torch.Tensor] | None:
        return None  # ONNX Runtime as it is installed for inference has no gradients

    def changed(self, sample: Tensors, name: str, change: Change) -> Sequence[torch.Tensor]:
        self.check_trainable()

    def check_trainable(self) -> NoReturn:
        raise CompileError(
            f"transforms of {self.traced.path} cannot be trained, as ONNX Runtime has no gradients; compile the model "
            "from torch, or leave out train=…"
        )

    def whole(self, sample: Tensors) -> Sequence[torch.Tensor]:
        with self._told():
            return self._whole(*sample)

    def halves(self, device_nodes: Collection[str]) -> Split:
        split = self.traced.source.split(device_nodes)
        return replace(
            split,
            head=self._run_of(split.head, "the head of a cut", split.inputs),
            tail=self._run_of(split.tail, "the tail of a cut", split.crossing),
        )

    def most_together(self, samples: Sequence[Tensors], most: int) -> int:
        return 1  # a half is made for the shapes of one sample

    @cached_property
    def _whole(self) -> Whole:
        return self.traced.source.whole()

    def _run_of(self, model: ir.Model, what: str, inputs: Sequence[WireTensor]) -> Whole:
        with self._told():
            return self._telling(runner_of(session_of(model, what), what, inputs=inputs))

    def _telling(self, run: Whole) -> Whole:
        def told(*tensors: torch.Tensor) -> Sequence[torch.Tensor]:
            with self._told():
                return run(*tensors)

        return told

    def _showing(self, names: Collection[str]) -> list[tuple[list[str], Whole]]:
        """Runs of the whole model that together answer the named values, each with the names of those it answers."""
        made = [value for node in self.traced.model.graph for value in node.outputs if value.name in names]
        return [([str(value.name) for value in group], self._answering(group)) for group in _groups(made)]

    def _answering(self, wanted: Sequence[ir.Value]) -> Whole:
        model, path = self.traced.model, self.traced.path
        with self._told(), answering(model, wanted):
            # Only basic optimisations, so that ops are not fused with what they would be apart from in the halves.
            session = session_of(model, path, optimize=False)
        answered = [output.name for output in session.get_outputs()]
        places = [answered.index(str(value.name)) for value in wanted]
        run = self._telling(runner_of(session, path))

        def shown(*tensors: torch.Tensor) -> Sequence[torch.Tensor]:
            values = run(*tensors)
            return [values[place] for place in places]

        return shown

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except CodegenError as error:
            raise CompileError(f"{self.traced.path} cannot be run on calibration samples: {error}") from error
        except OSError as error:
            raise CompileError(
                f"cannot write parts of {self.traced.path} to the directory for temporary files: {error.strerror or error}"
            ) from error


def _groups(values: Sequence[ir.Value]) -> Iterator[list[ir.Value]]:
    """The values in graph order, in runs of at most `MOST_SHOWN_BYTES`, or of one value."""
    group: list[ir.Value] = []
    size = 0
    for value in values:
        if group and size + bytes_of(value) > MOST_SHOWN_BYTES:
            yield group
            group, size = [], 0
        group.append(value)
        size += bytes_of(value)
    if group:
        yield group
