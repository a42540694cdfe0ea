"""`Precision`: in which codecs tensors may cross, what every cut must keep, and the inputs on which both are measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cic.decision.arguments import check_text, check_texts
from cic.errors import ArgumentError, CompileError
from cic.precision.accuracy import Judge, Target, parse_target
from cic.precision.picture_input import PictureInput, picture_input
from cic.precision.training_budget import budget_seconds
from cic.precision.wire_form import allows_transforms, codecs_for
from codegen.checked_json import shown


@dataclass(frozen=True, eq=False)
class Precision:
    """What may be lost where tensors cross the link. With none of the four given, tensors cross as they are.

    codecs: the coarsest form in which tensors may cross, "fp32", "fp16", "int8", "int4" or "transform", with or without
        compression, or a list of codecs (`cic.codec.registry`); the fastest is chosen for each tensor and condition. None:
        tensors cross as they are; "transform" if an accuracy is asked for.
    calibration: real inputs, see `cic.precision.calibration.calibration_of`; payloads are measured and cuts compared on them.
        None: the example inputs, which say little about either.
    accuracy: what every cut must keep, "top1>=0.99" or "rel<=0.01" of the whole model, or a function of the cut's and the whole
        model's answers (see `cic.precision.accuracy`). None: it is measured if there are calibration inputs, and not judged.
    input: the form in which the device has the pictures that the model takes, such as "uint8, mean=0.485 0.456 0.406,
        std=0.229 0.224 0.225". Then the model that is cut takes pixels, and normalises them itself. "png, …", "jpeg90, …" or
        "webp75, …" where the device has files; a lossy one is judged as codecs are. Calibration inputs, or if there are none
        the example inputs, are such pictures, as pixels or normalised.
    train: how long transforms are trained, such as "5min", once a first table says which ones its cuts use; a second table uses
        those that gain by it, too (`cic.precision.transforms.training`). For models of torch. None: not at all.

    Raises:
        CompileError: an accuracy that cannot be understood or measured, or calibration inputs without a codec to try on them.
        CodecError: an unknown codec. ArgumentError: something of another kind.
    """

    codecs: str | Sequence[str] | None = None
    calibration: Sequence[Any] | None = None
    accuracy: str | Judge | None = None
    input: str | None = None
    train: str | None = None

    def __post_init__(self) -> None:
        check_text(self.input, "the form of the input", or_none=True)
        check_text(self.train, "the time for training", or_none=True)
        if not isinstance(self.codecs, str):
            check_texts(self.codecs, "the codecs allowed")
        if not (self.accuracy is None or isinstance(self.accuracy, str) or callable(self.accuracy)):
            raise ArgumentError(f"the accuracy is {shown(self.accuracy)}; give a target such as 'top1>=0.99', or a function")
        if self.codecs is not None:
            codecs_for(self.codecs)
        if self.input is not None:
            picture_input(self.input)
        target = self.target
        if target is not None and self.calibration is None:
            raise CompileError(
                f"accuracy {target.text!r} is asked for but there is nothing to measure it on; pass calibration=…"
            )
        if self.calibration is not None and not self.allows_codecs:
            raise CompileError(
                "calibration inputs are given but no codec is allowed; name codecs, as in cic.Precision('int8', calibration=…),"
                " or an accuracy"
            )

        if self.train is not None:
            budget_seconds(self.train)
            if self.calibration is None or not self.makes_transforms:
                raise CompileError(
                    f"train={self.train!r} trains transforms, and none are made: that takes calibration=… with an accuracy, or"
                    " with 'transform' among the codecs"
                )

    @property
    def makes_transforms(self) -> bool:
        """Are transforms made, where calibration inputs are enough?"""
        return self.accuracy is not None if self.codecs is None else allows_transforms(self.codecs)

    @property
    def target(self) -> Target | None:
        """The accuracy as it is judged."""
        return parse_target(self.accuracy)

    @property
    def pictures(self) -> PictureInput | None:
        """The input as it is declared; None if it is not."""
        return None if self.input is None else picture_input(self.input)

    @property
    def allows_codecs(self) -> bool:
        """May any tensor cross otherwise than as it is?"""
        return not (self.codecs is None and self.accuracy is None and self.input is None)


def precision_of(asked: Precision | str | Sequence[str] | None) -> Precision:
    """What a person asked for: codecs alone stand for a `Precision` of them. Raises as `Precision` does."""
    if isinstance(asked, Precision):
        return asked
    if not (asked is None or isinstance(asked, str | list | tuple)):
        raise ArgumentError(f"the precision is {shown(asked)}; give a cic.Precision, or the codecs allowed")
    return Precision(asked)
