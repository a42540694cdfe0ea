"""A server that could be reached by anybody in the clear is not started, nor one with options that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cic.errors import InputError
from cic.serving.server_options import ServerOptions, is_loopback

FILE = Path("file.pem")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", "", "127.0.0.1.example.org", "2130706433"])
def test_a_public_address_needs_tls_or_a_word(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(InputError, match="can be reached from elsewhere"):
        ServerOptions(host=host)
    assert ServerOptions(host=host, insecure=True).host == host
    assert ServerOptions(host=host, tls_certificate=FILE, tls_key=FILE).encrypted


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_neither(host: str) -> None:
    assert not ServerOptions(host=host).encrypted


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"port": -1}, "--port -1"),
        ({"port": 65536}, "--port 65536"),
        ({"threads": 0}, "--threads 0"),
        ({"queue": 0}, "--queue 0"),
        ({"connections": -2}, "--connections -2"),
        ({"max_body": -1}, "--max-body -1"),
        ({"max_body": 0}, "--max-body 0"),
        ({"header_timeout_s": 0.0}, "header timeout"),
        ({"grace_s": float("nan")}, "grace"),
        ({"least_bytes_per_s": float("inf")}, "least rate"),
        ({"tls_certificate": FILE}, "needs both"),
        ({"tls_key": FILE}, "needs both"),
        ({"client_ca": FILE}, "--client-ca needs"),
    ],
)
def test_options_that_cannot_be_are_named(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        ServerOptions(**options)
