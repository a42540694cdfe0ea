"""Where a server is and how it is spoken to: its address, the token, and for TLS whom to trust and who we are."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cic.errors import InputError

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True)
class ServerAddress:
    """host, port: where it listens. path: what its paths begin with, without a slash at the end. token: sent with each request.
    security: None for plain HTTP."""

    host: str
    port: int
    path: str = ""
    token: str | None = field(default=None, repr=False)
    security: ssl.SSLContext | None = None

    @property
    def common_headers(self) -> str:
        """What every request has, as lines of HTTP."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = f"Host: {host}:{self.port}\r\n"
        return lines if self.token is None else f"{lines}Authorization: Bearer {self.token}\r\n"

    def __str__(self) -> str:
        return f"{'http' if self.security is None else 'https'}://{self.host}:{self.port}{self.path}"

    def resolve(self) -> list[tuple[int, tuple[object, ...]]]:
        """Families and addresses to connect to; may wait for a name server. Raises OSError."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    def resolved(self) -> list[tuple[int, tuple[object, ...]]] | None:
        """The same where the host is a number and needs no name server; else None."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            return None
        return [(family, address) for family, _, _, _, address in found]


def server_address(
    url: str,
    token: str | None = None,
    ca: str | Path | None = None,
    certificate: str | Path | tuple[str | Path, str | Path] | None = None,
) -> ServerAddress:
    """The address in a URL such as "https://host:8000".

    Args:
        token: sent as a bearer token.
        ca: a file of certificates to trust in place of the system's.
        certificate: a file with this device's certificate and key, or one of each, for a server that asks who we are.

    Raises:
        InputError: the URL, the token or a file cannot be used.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except (ValueError, AttributeError) as error:
        raise InputError(f"the server is {url!r:.200}, expected is a URL such as https://host:8000: {error}") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InputError(f"the server is {url!r:.200}, expected is a URL such as https://host:8000 or http://host:8000")
    if re.search(r"[^\x21-\x7e]", url):
        raise InputError(f"the server is {url!r:.200}, which has a letter that no URL has")
    if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
        raise InputError("the token has letters that a header of HTTP cannot have; take visible ones of ASCII")
    secure = parts.scheme == "https"
    if not secure and (ca is not None or certificate is not None):
        raise InputError(f"a certificate is given, and the server {url} is spoken to without TLS; write https")
    security = _security(ca, certificate) if secure else None
    return ServerAddress(parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"), token, security)


def _security(ca: str | Path | None, certificate: str | Path | tuple[str | Path, str | Path] | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            files = (certificate,) if isinstance(certificate, str | Path) else certificate
            context.load_cert_chain(*map(str, files))
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"the certificates {ca} and {certificate} cannot be used: {error}") from None
    return context
