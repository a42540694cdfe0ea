"""A session over TLS: whom it trusts answers, whom it must not trust gets nothing, and the records say why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cic.engine.engine import Array
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from cic.session.record import record_of
from tests.cic.certificates import AVAILABLE, Certificates, make_certificates
from tests.cic.conftest import Project
from tests.cic.session.conftest import Opened

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="certificates are made by the command openssl")

DEADLINE_S = 0.5


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


Serving = Callable[..., TailServer]


@pytest.fixture
def serving(project: Project, certificates: Certificates) -> Iterator[Serving]:
    """Starts a server with the certificate of that name."""
    with ExitStack() as stack:

        def start(name: str = "server", **options: Any) -> TailServer:
            given = ServerOptions(port=0, grace_s=0.2, **certificates.options(name), **options)
            return stack.enter_context(TailServer(project.split, given))

        yield start


@pytest.mark.usefixtures("slow_device")
def test_answers_come_over_tls_to_whom_the_server_trusts(
    serving: Serving, certificates: Certificates, opened: Opened, image: Array, expected: Array
) -> None:
    file = certificates.file
    server = serving(client_ca=file("ca.pem"))
    ours = (file("client.pem"), file("client.key"))
    session = opened(server.address, ca=file("ca.pem"), certificate=ours, remote=True, deadline_s=DEADLINE_S)
    inference = session.infer(image)
    assert inference.outcome == "remote" and np.allclose(inference.output, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("slow_device")
@pytest.mark.parametrize(
    ("server", "authority", "client", "reason"),
    [
        ("server", "other", None, "certificate verify failed: unable to get local issuer"),
        ("server", None, None, "certificate verify failed: unable to get local issuer"),
        ("expired", "ca", None, "certificate verify failed: certificate has expired"),
        ("elsewhere", "ca", None, "certificate verify failed: IP address mismatch"),
        ("mutual", "ca", None, "without a reply; it may want a certificate"),
        ("mutual", "ca", "stranger", "without a reply; it may want a certificate"),
        ("server", "plain", None, "without a reply; it may speak TLS"),
    ],
)
def test_where_there_is_no_trust_the_device_answers_in_time_and_the_record_says_why(
    server: str,
    authority: str | None,
    client: str | None,
    reason: str,
    serving: Serving,
    certificates: Certificates,
    opened: Opened,
    image: Array,
    expected: Array,
    tmp_path: Path,
) -> None:
    file, mutual, options = certificates.file, server == "mutual", dict[str, Any]()
    url = serving("server" if mutual else server, client_ca=file("ca.pem") if mutual else None).address
    if authority == "plain":
        url = url.replace("https", "http")
    elif authority is not None:
        options["ca"] = file(f"{authority}.pem")
    if client is not None:
        options["certificate"] = (file(f"{client}.pem"), file(f"{client}.key"))
    records = tmp_path / "run.jsonl"
    session = opened(url, cuts=["server-only", "device-only"], records=records, deadline_s=DEADLINE_S, **options)
    session.warm_up()
    began_s = time.perf_counter()
    inference = session.infer(image)
    assert time.perf_counter() - began_s < 1.1 * DEADLINE_S
    assert np.allclose(inference.output, expected, rtol=1e-4, atol=1e-5)
    record = record_of(records.read_text())
    assert record.outcome == "local" and "the server is left alone" in record.why and reason in record.why
