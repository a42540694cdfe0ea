"""Tails as a directory that Ray Serve deploys: the bundle's tails, an application that serves them, and its configuration.

    application/
      tails.py       the application `tails:application`, for `serve run` and `serve deploy`
      serve.yaml     how many replicas, how they scale, and on which port
      bundle/        the manifest and the tails, without heads

The nodes of the cluster need this directory at one path and `cic-compiler` with the engine of the tails.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codegen.bundle.directory import check_outside
from codegen.bundle.reading import from_one_bundle
from codegen.errors import CodegenError, as_codegen_error
from codegen.files.whole_directory import built_beside
from codegen.loading import files_of
from codegen.manifest import FILE_NAME, Manifest

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
APPLICATION, CONFIGURATION, BUNDLE = "tails.py", "serve.yaml", "bundle"


@dataclass(frozen=True, slots=True)
class RayApplication:
    """What was written. models: names of the models that are served. files: of the bundle, copied."""

    models: tuple[str, ...]
    files: tuple[str, ...]


def write_ray_application(
    bundle: str | Path,
    destination: str | Path,
    *,
    name: str | None = None,
    engine: str | None = None,
    format_name: str | None = None,
    largest_replicas: int = 4,
) -> RayApplication:
    """Write the directory, as a whole or not at all; it must not exist.

    name: what the names of the models begin with; default: the name of the model in the bundle's manifest.
    engine: by its name, as `cic serve --engine` takes it.
    format_name: the format of the tails to take along; default: the first that each cut was emitted in.
    Raises CodegenError if the bundle is damaged or has nothing for a server, or the directory cannot be written.
    """
    bundle, destination = Path(bundle), Path(destination).absolute()
    if name is not None and not _NAME.fullmatch(name):
        raise CodegenError(f"the model name {name!r} stands in addresses: use letters, digits, '.', '_' and '-'")

    def write(bundle: Path, manifest: Manifest) -> RayApplication:
        model = manifest.name if name is None else name
        served = [cut for cut in manifest.cuts if cut.crossing and cut.returned]
        if not served:
            raise CodegenError(f"{bundle} has no cut whose tail takes and returns tensors, so there is nothing for a server")
        if destination.exists():
            raise CodegenError(f"{destination} exists already; choose another place")
        check_outside(destination, bundle)
        records = [record for cut in served for record in files_of(bundle, cut.id, "tail", format_name)]
        paths = tuple(dict.fromkeys(record.path for record in records))
        with as_codegen_error(f"cannot write {destination}"), built_beside(destination) as building:
            _copy(bundle, building / BUNDLE, (FILE_NAME, *paths))
            (building / APPLICATION).write_text(_application(model, engine), encoding="utf-8")
            (building / CONFIGURATION).write_text(_configuration(largest_replicas), encoding="utf-8")
            building.rename(destination)
        return RayApplication(tuple(f"{model}_{cut.id}" for cut in served), paths)

    return from_one_bundle(bundle, write)


def _copy(bundle: Path, target: Path, paths: Sequence[str]) -> None:
    for path in paths:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / path, target / path)


def _application(model: str, engine: str | None) -> str:
    return f'''"""Tails of a split network on Ray Serve, written by CIC: `serve run tails:application` in this directory."""

from pathlib import Path

from cic.serving.ray_application import application as tails

application = tails(Path(__file__).resolve().with_name({BUNDLE!r}), name={_text(model)}, engine={_text(engine)})
'''


def _text(value: str | None) -> str:
    """A text in Python; JSON's way of writing it is one of Python's, and nothing breaks out of its quotes."""
    return "None" if value is None else json.dumps(value)


def _configuration(largest_replicas: int) -> str:
    return f"""# In this directory: `serve run serve.yaml`, or `serve deploy serve.yaml` to a cluster whose nodes have it, too.
proxy_location: EveryNode
http_options:
  host: 127.0.0.1  # Ray has no TLS and asks nobody who they are: put a proxy with TLS in front
  port: 8000
applications:
  - name: tails
    route_prefix: /
    import_path: tails:application
    deployments:
      - name: Tails
        max_ongoing_requests: 17
        max_queued_requests: 64
        autoscaling_config:
          min_replicas: 1
          max_replicas: {largest_replicas}
          target_ongoing_requests: 2
"""
