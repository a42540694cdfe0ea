"""Errors of this package."""


class MincutError(Exception):
    """Root of the errors raised here."""


class BadProblemError(MincutError, ValueError):
    """An array has the wrong shape, type or range; names the field."""


class InfeasibleError(MincutError):
    """Pins, tensors that may not cross and bounds leave no placement.

    tree: where bounds are to blame, the proof, see `mincut.bounded_certificate.certify_infeasible`; else empty.
    """

    def __init__(self, message: str, tree: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.tree = tree


class TooManyError(MincutError):
    """A search would have to look at more than it was allowed to."""


class CertificateError(MincutError):
    """A placement is not what it claims to be."""
