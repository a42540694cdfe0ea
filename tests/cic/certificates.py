"""Certificates made on the fly by the command openssl: of an authority, of another one, and of peers they signed."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

AVAILABLE = shutil.which("openssl") is not None
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True)
class Certificates:
    """In one folder: an authority, and what it and another one have signed."""

    folder: Path

    def file(self, name: str) -> Path:
        return self.folder / name

    def trusting(self, client: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.file("ca.pem"))
        if client is not None:
            context.load_cert_chain(self.file(f"{client}.pem"), self.file(f"{client}.key"))
        return context

    def options(self, server: str = "server") -> dict[str, Path]:
        return {"tls_certificate": self.file(f"{server}.pem"), "tls_key": self.file(f"{server}.key")}


def made(folder: Path, name: str, authority: str | None, days: int = 2, alternative: str = "IP:127.0.0.1") -> None:
    command = ["openssl", "req", "-x509", "-subj", f"/CN={name}", "-days", str(days)]
    command += [*_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    if authority is not None:
        command += ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-addext", "basicConstraints=critical,CA:FALSE"]
        command += ["-addext", f"subjectAltName={alternative}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def made_expired(folder: Path, name: str, authority: str) -> None:
    """One that ended yesterday."""
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1")
    signed = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-extfile", "extensions"]
    commands = (
        ["req", "-new", "-subj", f"/CN={name}", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr"],
        ["x509", "-req", "-in", f"{name}.csr", *signed, "-days", "-1", "-out", f"{name}.pem"],
    )
    for command in commands:
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> Certificates:
    """server, client: by ca. elsewhere: by ca, for another address. expired: by ca. stranger: by other."""
    for name, authority in (("ca", None), ("other", None), ("server", "ca"), ("client", "ca"), ("stranger", "other")):
        made(folder, name, authority)
    made(folder, "elsewhere", "ca", alternative="IP:10.9.9.9")
    made_expired(folder, "expired", "ca")
    return Certificates(folder)
