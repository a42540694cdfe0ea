"""Every error CIC raises on purpose.

    CicError
    ├── ArgumentError    something of another kind than a function takes
    ├── InputError       what a person hands in, an option or a file, that cannot be used
    ├── UnitError        a bandwidth, time or size that cannot be understood
    ├── TraceError       a model that cannot be turned into a graph
    ├── CostError        a profile or machine description that is missing, damaged or does not fit the model
    ├── CompileError     pins or conditions that admit no cut
    ├── ArtifactError    a `.cic` file that is damaged, foreign or too new
    ├── DecisionError    a question `decide` cannot answer
    ├── EmitError        a cut that cannot be emitted, or whose halves differ from the whole
    ├── EngineError      a half that no engine here can run, or cannot run on what it is given
    ├── LinkError        a connection that failed or a peer that sent nonsense
    ├── ProtocolError    a request or an answer that is not what the Open Inference Protocol and the manifest say
    └── CodecError       a tensor that a codec does not take, or bytes that are no tensor

A message says what happened, the two values that disagree, and what to do about it. What is worth knowing but stops nothing
is a `CicWarning`.
"""


class CicError(Exception):
    """Root of all errors raised by CIC."""


class ArgumentError(CicError, TypeError):
    """A function was given something of another kind than it takes; names the argument."""


class InputError(CicError):
    """What a person handed in cannot be used: an option, a file, a picture, or a place to write; or a package is missing."""


class UnitError(CicError, ValueError):
    """A bandwidth, time or size cannot be understood."""


class TraceError(CicError):
    """A model cannot be turned into a graph; names the op and the source line."""


class CostError(CicError):
    """A profile or machine description is missing, damaged or does not fit the model."""


class CompileError(CicError):
    """Pins or conditions admit no cut."""


class ArtifactError(CicError):
    """A `.cic` file or an emitted directory is damaged, foreign or too new."""


class DecisionError(CicError, ValueError):
    """`decide` was asked something it cannot answer."""


class EmitError(CicError):
    """A cut cannot be emitted, or its halves differ from the whole model."""


class EngineError(CicError):
    """A half cannot be run: its engine is missing or cannot load it, or it was given what it does not take; names the cut."""


class LinkError(CicError):
    """A connection failed, or the peer sent nonsense."""


class ProtocolError(CicError):
    """A request or an answer is not what the Open Inference Protocol and the manifest say.

    status: of HTTP, with which a server refuses such a request; 502 if the server's answer is wrong.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class CodecError(CicError):
    """A tensor that a codec does not take, an unknown codec, or bytes that are not what the codec writes."""


class CicWarning(UserWarning):
    """What is worth knowing though nothing fails: too few samples for what is asked of the accuracy, say."""
