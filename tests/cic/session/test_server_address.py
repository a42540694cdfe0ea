"""What a URL says of a server; and what no URL of a server is."""

from __future__ import annotations

import pytest

from cic.errors import InputError
from cic.session.server_address import server_address


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "shown"),
    [
        ("http://10.0.0.2:8000", "10.0.0.2", 8000, "", "http://10.0.0.2:8000"),
        ("http://some.host/below/", "some.host", 80, "/below", "http://some.host:80/below"),
        ("https://[::1]:9", "::1", 9, "", "https://::1:9"),
        ("https://some.host", "some.host", 443, "", "https://some.host:443"),
    ],
)
def test_a_url_is_taken_apart(url: str, host: str, port: int, path: str, shown: str) -> None:
    address = server_address(url)
    assert (address.host, address.port, address.path, str(address)) == (host, port, path, shown)
    assert (address.security is not None) == url.startswith("https")


@pytest.mark.parametrize(
    "url",
    ["", "host:8000", "ftp://host", "http://", "http://host:99999", "http://host:x", "http://host/?a=b", "http://ho st", "http://u:p@h",
     "http://host/\r\nX: y", "http://h\u00f6st"],
)  # fmt: skip
def test_other_texts_are_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"expected is a URL|which has a letter"):
        server_address(url)


def test_a_token_is_a_header_and_never_shown() -> None:
    address = server_address("http://host", token="s3cret")
    assert address.common_headers == "Host: host:80\r\nAuthorization: Bearer s3cret\r\n"
    assert "s3cret" not in repr(address)
    for token in ("", "a b", "a\r\nX: y", "\u00e4"):
        with pytest.raises(InputError, match="the token has letters"):
            server_address("http://host", token=token)


def test_certificates_need_tls_and_files() -> None:
    with pytest.raises(InputError, match="without TLS"):
        server_address("http://host", ca="ca.pem")
    with pytest.raises(InputError, match="cannot be used"):
        server_address("https://host", ca="no-such-file.pem")
    with pytest.raises(InputError, match="cannot be used"):
        server_address("https://host", certificate=("no.pem", "no.key"))


def test_numbers_need_no_name_server() -> None:
    assert server_address("http://127.0.0.1:5").resolved() == [(2, ("127.0.0.1", 5))]
    assert server_address("http://some.host").resolved() is None
