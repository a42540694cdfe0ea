"""The server's side as a process: `python -m cic.runtime.tail_process --directory DIR --cut ID …`.

Loads the tail of one cut and nothing of its head, listens on a port of 127.0.0.1, prints "port <number>" and answers one
connection until the device closes it.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time

import torch

from cic.errors import ArtifactError, CicError, LinkError
from cic.runtime.link import ClosedError, Link
from cic.runtime.wire import Message, decode, encode
from codegen.errors import CodegenError
from codegen.loading import LoadedCut, load_cut

SECONDS_TO_CONNECT = 60.0


def main(argv: list[str] | None = None) -> int:
    """Serve until the connection is closed; 2 after one line on stderr if something is wrong."""
    arguments = _parse(argv)
    torch.set_num_threads(arguments.threads)
    try:
        cut = load_tail(arguments.directory, arguments.cut, arguments.format)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(SECONDS_TO_CONNECT)
            print(f"port {listener.getsockname()[1]}", flush=True)
            connection, _ = listener.accept()
        with Link(
            connection,
            bandwidth_bps=arguments.downlink_bps,
            delay_s=arguments.delay_s,
            patience_s=arguments.patience_s,
        ) as link:
            serve(cut, link)
        return 0
    except (CicError, OSError) as error:
        print(f"cic: tail of {arguments.cut}: {error}", file=sys.stderr)
        return 2


def load_tail(directory: str, cut_id: str, format_name: str | None) -> LoadedCut:
    """The tail of a cut, checked against its digest. Raises ArtifactError."""
    try:
        return load_cut(directory, cut_id, half="tail", format_name=format_name)
    except CodegenError as error:
        raise ArtifactError(str(error)) from error


def serve(cut: LoadedCut, link: Link) -> None:
    """Answer requests until the other side closes the connection. Raises LinkError if it sends nonsense."""
    while True:
        try:
            payload = link.receive()
        except ClosedError:
            return
        began = time.perf_counter()
        request = decode(payload, cut.crossing)
        if request.kind not in ("run", "rehearse"):
            raise LinkError(f"the device sent a message of kind {request.kind!r}, expected is 'run' or 'rehearse'")
        link.send(encode(_answer(cut, request, began)), shaped=request.kind == "run")


def _answer(cut: LoadedCut, request: Message, began: float) -> Message:
    try:
        returned = cut.run_tail_flat(request.tensors)
    except (RuntimeError, CodegenError) as error:
        return Message("failure", request.number, text=f"{type(error).__name__}: {error}")
    contiguous = tuple(tensor.detach().contiguous() for tensor in returned)
    return Message("answer", request.number, contiguous, seconds=time.perf_counter() - began)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cic.runtime.tail_process", description=__doc__)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--format")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--downlink-bps", type=float, default=None)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--patience-s", type=float, default=60.0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
