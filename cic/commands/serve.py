"""serve: answer requests for the tails of an emitted bundle, by the Open Inference Protocol v2 over HTTP."""

from __future__ import annotations

import sys

from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "answer requests for the tails of an emitted bundle, by the Open Inference Protocol v2 over HTTP"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="what `cic emit` wrote")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen at; default: 127.0.0.1, for this machine alone",
    )
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 for any that is free")
    parser.add_argument("--engine", metavar="NAME", help="that runs the tails, such as onnxruntime; default: the first")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the engine; default: 1")
    parser.add_argument("--queue", type=int, default=16, metavar="N", help="requests that may wait for their turn; default: 16")
    parser.add_argument("--name", metavar="NAME", help="that the names of the models begin with; default: the model's")
    parser.add_argument("--max-body", metavar="SIZE", help="of a request, such as 4MB; default: what the bundle allows")
    parser.add_argument("--tls-certificate", metavar="FILE", help="PEM, with those that it is signed by")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM, without a password")
    parser.add_argument("--client-ca", metavar="FILE", help="PEM; only clients with a certificate signed by it are let in")
    parser.add_argument("--token-file", metavar="FILE", help="with the token that each request must bear")
    parser.add_argument("--insecure", action="store_true", help="let others than this machine come without TLS")
    times = (("header", 10.0, "for a request's header"), ("body", 10.0, "in which its body must come on at the least rate"))
    for name, usual, about in (*times, ("idle", 75.0, "without a request"), ("compute", 60.0, "for one inference")):
        parser.add_argument(f"--{name}-timeout", default=f"{usual:g}s", metavar="TIME", help=f"{about}; default: {usual:g}s")
    parser.add_argument("--least-rate", default="500B/s", metavar="BANDWIDTH", help="of a body; default: 500B/s")
    parser.add_argument("--grace", default="30s", metavar="TIME", help="for requests in flight when told to end; default: 30s")
    parser.add_argument("--connections", type=int, default=512, metavar="N", help="at once; default: 512")


def run(arguments: Namespace) -> int:
    from pathlib import Path

    from cic.decision.units import bits_per_second, byte_count, seconds
    from cic.engine.roomy_memory import keep_freed_memory
    from cic.serving.server_options import ServerOptions
    from cic.serving.tail_server import TailServer, serve

    def path(text: str | None) -> Path | None:
        return None if text is None else Path(text)

    options = ServerOptions(
        host=arguments.host,
        port=arguments.port,
        name=arguments.name,
        engine=arguments.engine,
        threads=arguments.threads,
        queue=arguments.queue,
        max_body=None if arguments.max_body is None else byte_count(arguments.max_body, "--max-body"),
        insecure=arguments.insecure,
        least_bytes_per_s=bits_per_second(arguments.least_rate, "--least-rate") / 8,
        connections=arguments.connections,
        tls_certificate=path(arguments.tls_certificate),
        tls_key=path(arguments.tls_key),
        client_ca=path(arguments.client_ca),
        token_file=path(arguments.token_file),
        header_timeout_s=seconds(arguments.header_timeout, "--header-timeout"),
        body_timeout_s=seconds(arguments.body_timeout, "--body-timeout"),
        idle_timeout_s=seconds(arguments.idle_timeout, "--idle-timeout"),
        compute_timeout_s=seconds(arguments.compute_timeout, "--compute-timeout"),
        grace_s=seconds(arguments.grace, "--grace"),
    )

    def announce(server: TailServer) -> None:
        names = ", ".join(server.models)
        print(f"serving {names} on {server.address}", file=sys.stderr, flush=True)

    if not Path(arguments.bundle).is_dir():
        raise InputError(f"{arguments.bundle} is no directory; give the one that `cic emit` wrote")
    keep_freed_memory()
    serve(arguments.bundle, options, announce)
    return 0
