"""Peers are let in that the certificates say may come, and no others; who is refused disturbs nobody."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest

from cic.errors import InputError
from cic.protocol.spoken_tail import SpokenTail
from cic.serving.encryption import tls_context
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from tests.cic.certificates import AVAILABLE, Certificates, make_certificates
from tests.cic.serving.conftest import Serving
from tests.cic.serving.talking import ask, connect, exchange, open_socket, raw_request, until_closed, zeros

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="certificates are made by the command openssl")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def encrypted(serving: Serving, certificates: Certificates) -> TailServer:
    return serving(**certificates.options())


@pytest.fixture
def mutual(serving: Serving, certificates: Certificates) -> TailServer:
    return serving(**certificates.options(), client_ca=certificates.file("ca.pem"))


def test_answers_come_over_tls(encrypted: TailServer, certificates: Certificates, tail: SpokenTail) -> None:
    assert encrypted.address.startswith("https://")
    assert ask(connect(encrypted, tls=certificates.trusting()), tail, zeros(tail)).outputs


def test_a_client_finds_out_whom_it_must_not_trust(encrypted: TailServer, serving: Serving, certificates: Certificates) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        exchange(connect(encrypted, tls=ssl.create_default_context()), "/v2")
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        exchange(connect(serving(**certificates.options("elsewhere")), tls=certificates.trusting()), "/v2")


@pytest.mark.parametrize("client", [None, "stranger"])
def test_strangers_are_not_let_in(mutual: TailServer, certificates: Certificates, tail: SpokenTail, client: str | None) -> None:
    good = connect(mutual, tls=certificates.trusting("client"))
    assert ask(good, tail, zeros(tail)).outputs
    with pytest.raises((ssl.SSLError, ConnectionError)):
        exchange(connect(mutual, tls=certificates.trusting(client)), "/v2/health/live")
    assert ask(good, tail, zeros(tail)).outputs


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_not_spoken(encrypted: TailServer, certificates: Certificates) -> None:
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        old = certificates.trusting()
        old.minimum_version = old.maximum_version = version
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            exchange(connect(encrypted, tls=old), "/v2")
    assert exchange(connect(encrypted, tls=certificates.trusting()), "/v2").status == 200


def test_what_is_no_tls_is_closed(encrypted: TailServer, certificates: Certificates) -> None:
    for content in (b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(500), bytes(64)):
        with open_socket(encrypted) as link:
            link.sendall(content)
            assert b"HTTP" not in until_closed(link)
    assert exchange(connect(encrypted, tls=certificates.trusting()), "/v2").status == 200


def test_half_a_handshake_is_not_waited_for(encrypted: TailServer) -> None:
    with open_socket(encrypted) as link:
        link.sendall(b"\x16\x03\x01\x02\x00\x01")
        link.settimeout(5)
        try:
            said = until_closed(link)
        except TimeoutError:
            pytest.fail("the server waits for the rest of a handshake")
        assert b"HTTP" not in said


def test_files_that_hold_no_certificate_are_named(certificates: Certificates, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    options = certificates.options()
    for wrong, told in (
        ({**options, "tls_key": tmp_path / "absent.key"}, "cannot read .*absent.key"),
        ({**options, "tls_certificate": nothing}, "nothing.pem and .* are no certificate with its key"),
        ({**options, "tls_key": certificates.file("client.key")}, "are no certificate with its key"),
        ({**options, "client_ca": nothing}, "nothing.pem holds no certificates"),
        ({**options, "client_ca": tmp_path}, "cannot read"),
    ):
        with pytest.raises(InputError, match=told):
            tls_context(ServerOptions(**wrong))
    assert tls_context(ServerOptions()) is None


def test_requests_that_come_at_once_are_told_apart(encrypted: TailServer, certificates: Certificates, tail: SpokenTail) -> None:
    """Though the rest of a body, and the request after it, are decrypted in one go."""
    content = raw_request(tail, zeros(tail))
    for cut in (content.index(b"\r\n\r\n") + 4, len(content) - 1):
        with certificates.trusting().wrap_socket(open_socket(encrypted), server_hostname="127.0.0.1") as link:
            link.sendall(content[:cut])
            time.sleep(0.05)
            link.sendall(content[cut:] + content + b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            said = until_closed(link)
        assert [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]] == [200] * 3


def test_a_connection_that_is_closed_twice_is_no_error(
    serving: Serving, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Once as its peer spoke no HTTP, and once as the server ends while the peer has not said goodbye."""
    server = serving(**certificates.options(), body_timeout_s=0.05)
    with certificates.trusting().wrap_socket(open_socket(server), server_hostname="127.0.0.1") as link:
        link.sendall(b"no HTTP\r\n\r\n")
        assert b" 400 " in link.recv(1000)
        server.__exit__(None, None, None)
    assert not caplog.records
