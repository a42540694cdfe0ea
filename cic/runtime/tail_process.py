"""The server's side as a process: `python -m cic.runtime.tail_process --directory DIR --cut ID …`.

Loads the tail of one cut and nothing of its head, listens on a port of 127.0.0.1, prints "port <number>" and answers
whoever connects, until nobody has been connected for a minute or it is told to end. No peer ends it for the others: a
message that is no request is answered by a failure, a stream that holds no frames is closed, each connection has a
thread of its own, and when there is no room for one more, one that has been silent for a while is closed.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from cic.codec.codec import Payload
from cic.engine.roomy_memory import keep_freed_memory
from cic.errors import ArtifactError, CicError, LinkError
from cic.runtime.onward import ForwardingTail, add_onward, read_onward
from cic.runtime.paced_link import ClosedError, Link, Pacing, SilentError
from cic.runtime.wire import Message, decode, encode, identity, largest_message_bytes
from codegen.errors import codegen_error_as
from codegen.loading import LoadedCut, load_cut

SECONDS_TO_CONNECT = 60.0
# Each holds at most one request; who comes while so many are there is let in when one of them leaves.
_MOST_CONNECTIONS = 32
# Then one that has been silent for so long must leave. Much less than a device waits for an answer.
_SILENT_S = 10.0
# So many broken connections are told on stderr: a peer may not fill the disk.
_MOST_LINES = 100
_PAUSE_S = 0.05


def main(argv: list[str] | None = None) -> int:
    """Serve until nobody comes any more; 2 after one line on stderr if the tail cannot be served."""
    arguments = _parse(argv)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    try:
        onward = read_onward(arguments)
        cut: LoadedCut | ForwardingTail
        if onward is None:
            cut = load_tail(arguments.directory, arguments.cut, arguments.format)
        else:
            cut = ForwardingTail(Path(arguments.directory), arguments.cut, onward, arguments.format)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(f"port {listener.getsockname()[1]}", flush=True)

            def made_link(connection: socket.socket) -> Link:
                return Link(connection, Pacing(arguments.downlink_bps, arguments.delay_s, arguments.patience_s))

            serve_all(cut, listener, made_link, SECONDS_TO_CONNECT)
        return 0
    except (CicError, OSError) as error:
        print(f"cic: tail of {arguments.cut}: {error}", file=sys.stderr)
        return 2


def serve_all(
    cut: LoadedCut | ForwardingTail, listener: socket.socket, made_link: Callable[[socket.socket], Link], idle_s: float
) -> None:
    """Serve every connection in a thread of its own, until for `idle_s` nobody is connected and nobody comes."""
    places, wanted = threading.Semaphore(_MOST_CONNECTIONS), threading.Semaphore(0)
    one_at_a_time, broken = threading.Lock(), []

    def attend(connection: socket.socket) -> None:
        try:
            with made_link(connection) as link:
                serve(cut, link, one_at_a_time, wanted)
        except (CicError, OSError) as error:
            broken.append(error)
            if len(broken) <= _MOST_LINES:
                print(f"cic: tail of {cut.id}: a connection was closed: {error}", file=sys.stderr, flush=True)
        finally:
            places.release()

    threads: list[threading.Thread] = []
    listener.settimeout(idle_s)
    while True:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            threads = [thread for thread in threads if thread.is_alive()]
            if not threads:
                return
            continue
        except OSError:
            # Whoever came is gone already, or this process has no descriptor left until somebody leaves.
            if listener.fileno() < 0:
                return
            time.sleep(_PAUSE_S)
            continue
        if not places.acquire(blocking=False):
            wanted.release()
            places.acquire()
            # Unless a silent one took that as its sign to leave, somebody else left.
            wanted.acquire(blocking=False)
        threads = [thread for thread in threads if thread.is_alive()]
        threads.append(threading.Thread(target=attend, args=(connection,), daemon=True))
        threads[-1].start()


def load_tail(directory: str, cut_id: str, format_name: str | None) -> LoadedCut:
    """The tail of a cut, checked against its digest. Raises ArtifactError."""
    with codegen_error_as(ArtifactError):
        return load_cut(directory, cut_id, half="tail", format_name=format_name)


def serve(
    cut: LoadedCut | ForwardingTail,
    link: Link,
    one_at_a_time: threading.Lock | None = None,
    wanted: threading.Semaphore | None = None,
) -> None:
    """Answer requests until the other side closes the connection; what is no request is answered by a failure.

    one_at_a_time: held while the tail runs, where several connections share it. wanted: counts who waits for a place.
    Raises LinkError if frames end: after that nothing of what comes can be made out; and if the other side is silent while
    somebody waits for its place.
    """
    largest = largest_message_bytes(cut.crossing)
    guard = one_at_a_time or threading.Lock()
    while True:
        try:
            payload = link.receive(wait_s=_SILENT_S, largest_bytes=largest)
        except ClosedError:
            return
        except SilentError:
            if wanted is not None and wanted.acquire(blocking=False):
                raise
            continue
        began = time.perf_counter()
        try:
            request = _request(payload, cut)
        except LinkError as error:
            link.send(encode(Message("failure", 0, text=str(error))), shaped=False)
            continue
        if request.kind == "greet":
            link.send(encode(Message("greet", request.number, text=identity(cut.manifest, cut.id))), shaped=False)
            continue
        with guard:
            buffers = _answer(cut, request, began)
        link.send(buffers, shaped=request.kind == "run")


def _request(payload: bytearray, cut: LoadedCut | ForwardingTail) -> Message:
    """The request in a frame. Raises LinkError if there is none."""
    request = decode(payload, cut.crossing, cut.codecs)
    if request.kind not in ("greet", "run", "rehearse"):
        raise LinkError(f"the device sent a message of kind {request.kind!r}, expected is 'run' or 'rehearse'")
    if request.kind == "greet" and request.text != identity(cut.manifest, cut.id):
        raise LinkError(
            f"the device has the head of {request.text}, here is the tail of {identity(cut.manifest, cut.id)}; give both sides"
            " the same emission"
        )
    return request


def _answer(cut: LoadedCut | ForwardingTail, request: Message, began: float) -> list[Payload]:
    """The answer as it is sent, or a failure with its reason: which tensors make a tail fail, and how, no file says."""
    try:
        returned = cut.answer(request) if isinstance(cut, ForwardingTail) else cut.run_tail_flat(request.tensors)
        contiguous = tuple(tensor.detach().contiguous() for tensor in returned)
        return encode(Message("answer", request.number, contiguous, seconds=time.perf_counter() - began))
    except Exception as error:  # torch and ONNX Runtime raise whatever the tail's operators raise  # noqa: BLE001
        return encode(Message("failure", request.number, text=f"{type(error).__name__}: {error}"))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cic.runtime.tail_process", description=__doc__)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--format")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--downlink-bps", type=float, default=None)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--patience-s", type=float, default=60.0)
    add_onward(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
