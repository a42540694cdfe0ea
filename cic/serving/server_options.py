"""How a tail server is to be reached, by whom, and how long it is patient."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cic.errors import InputError


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server listens, what it loads, who may ask, and what is too much.

    name: what the names of the models begin with; None: the name of the model in the bundle's manifest.
    engine, threads: see `cic.engine.opening.open_half`. queue: so many requests wait for the one that is computed; more are
        refused. max_body: bytes of a request; None: what the manifest allows.
    insecure: may be reached from elsewhere without TLS.
    header_timeout_s: from a request's first byte to the end of its header. idle_timeout_s: without a request.
    body_timeout_s: in each such time a body must come on, and an answer be read, by at least_bytes_per_s or to the end.
    compute_timeout_s: after so long in one inference the server says that it does not live. grace_s: for what is in flight
        when the server is told to end. connections: at once; a new one takes the place of the longest idle one, or is closed.

    Raises InputError naming the option that cannot be.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    engine: str | None = None
    threads: int = 1
    queue: int = 16
    max_body: int | None = None
    insecure: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    token_file: Path | None = None
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    body_timeout_s: float = 10.0
    least_bytes_per_s: float = 500.0
    compute_timeout_s: float = 60.0
    grace_s: float = 30.0
    connections: int = 512

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise InputError(f"--port {self.port} is no port; give 1 to 65535, or 0 for any that is free")
        counts = {"--threads": self.threads, "--queue": self.queue, "--connections": self.connections}
        for option, value in {**counts, "--max-body": 1 if self.max_body is None else self.max_body}.items():
            if value < 1:
                raise InputError(f"{option} {value} must be at least 1")
        times = {
            "header timeout": self.header_timeout_s,
            "idle timeout": self.idle_timeout_s,
            "body timeout": self.body_timeout_s,
            "compute timeout": self.compute_timeout_s,
            "least rate": self.least_bytes_per_s,
            "grace": self.grace_s,
        }
        for what, number in times.items():
            if not 0 < number < 1e9:
                raise InputError(f"the {what} is {number}; give more than 0")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InputError("TLS needs both --tls-certificate and --tls-key")
        if self.client_ca is not None and not self.encrypted:
            raise InputError("--client-ca needs --tls-certificate and --tls-key: certificates of clients are part of TLS")
        if not (self.encrypted or self.insecure or is_loopback(self.host)):
            raise InputError(
                f"--host {self.host} can be reached from elsewhere, and anybody on the way could read and change what is sent;"
                " give --tls-certificate and --tls-key, or --insecure if something else protects the connection"
            )

    @property
    def encrypted(self) -> bool:
        return self.tls_certificate is not None


def is_loopback(host: str) -> bool:
    """Does an address lead to this machine alone? A name but "localhost" may not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
