"""Errors of this package."""


class CompressError(Exception):
    """Root of the errors raised here."""


class NotExactError(CompressError):
    """A merge was asked for that cannot be exact: from a rule, a bug in it."""
