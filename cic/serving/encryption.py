"""TLS of the server: its certificate, and, where clients must show one, whose they trust."""

from __future__ import annotations

import ssl
from pathlib import Path

from cic.errors import InputError
from cic.serving.server_options import ServerOptions


def tls_context(options: ServerOptions) -> ssl.SSLContext | None:
    """What the server speaks TLS with, 1.2 and newer; None if it does not. Raises InputError naming the file."""
    if options.tls_certificate is None or options.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    for path in (options.tls_certificate, options.tls_key):
        _check_readable(path)
    try:
        # Without a password for the key, which nobody is there to type.
        context.load_cert_chain(options.tls_certificate, options.tls_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise InputError(
            f"{options.tls_certificate} and {options.tls_key} are no certificate with its key, in PEM and without a password:"
            f" {error}"
        ) from error
    if options.client_ca is not None:
        _check_readable(options.client_ca)
        try:
            context.load_verify_locations(options.client_ca)
        except ssl.SSLError as error:
            raise InputError(f"{options.client_ca} holds no certificates in PEM: {error}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
