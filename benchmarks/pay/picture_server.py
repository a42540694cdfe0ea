"""Server-only as people do it: a picture comes as a file over a paced link, is decoded, normalised and classified.

`python -m benchmarks.pay.picture_server --directory DIR …` prints "port <number>" and serves one connection. It shares with CIC
only the link and the emitted model, so that nothing that CIC adds to a message is charged to server-only.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import cic
from benchmarks.pay.server_only import FILES
from cic.decision.cut import SERVER_ONLY
from cic.engine.roomy_memory import keep_freed_memory
from cic.runtime.paced_link import ClosedError, Link, Pacing

REPOSITORY = Path(__file__).resolve().parents[2]


class PictureClient:
    """The device's side: a process for the server, and a link to it."""

    def __init__(self, directory: Path, uplink_bps: float, downlink_bps: float) -> None:
        command = [sys.executable, "-m", "benchmarks.pay.picture_server", "--directory", str(directory)]
        command += ["--downlink-bps", repr(downlink_bps)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env={**os.environ})
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline().split()[1])
        self._link = Link(socket.create_connection(("127.0.0.1", port)), Pacing(uplink_bps))

    def classify(self, picture: np.ndarray, kind: str, quality: int) -> tuple[torch.Tensor, int]:
        """uint8[h, w, 3] to scores and the bytes that were sent."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, FILES[kind].kind, quality=quality, **FILES[kind].options)
        sent = self._link.send([file.getbuffer()])
        return torch.frombuffer(self._link.receive(wait_s=120), dtype=torch.float32), sent

    def close(self) -> None:
        """End the process."""
        self._link.close()
        self._process.terminate()
        self._process.wait()


def main() -> None:
    """Serve whoever connects, until they close the connection."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--directory", type=Path, required=True, help="what `cic emit` wrote")
    options.add_argument("--downlink-bps", type=float, required=True)
    given = options.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    whole = cic.load_cut(given.directory, SERVER_ONLY, half="tail")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"port {listener.getsockname()[1]}", flush=True)
        link = Link(listener.accept()[0], Pacing(given.downlink_bps))
        with torch.inference_mode():
            while True:
                try:
                    file = link.receive()
                except ClosedError:
                    return
                picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
                # The network takes pixels.
                scores = whole.tail(torch.from_numpy(picture[None].copy()).permute(0, 3, 1, 2))
                link.send([scores.numpy().tobytes()])


if __name__ == "__main__":
    main()
