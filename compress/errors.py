"""Errors of this package."""


class CompressError(Exception):
    """Root of the errors raised here."""


class NotExactError(CompressError):
    """A rule asked for something that cannot be exact: a bug in the rule."""
