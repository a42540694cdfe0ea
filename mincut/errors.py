"""Errors of this package."""


class MincutError(Exception):
    """Root of the errors raised here."""


class BadProblemError(MincutError, ValueError):
    """An array has the wrong shape, type or range; names the field."""


class InfeasibleError(MincutError):
    """Pins and tensors that may not cross leave no placement."""


class CertificateError(MincutError):
    """A placement is not what it claims to be."""
