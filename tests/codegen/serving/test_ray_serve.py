"""The directory for Ray Serve holds all that its tails need, nothing of the heads, and an application that can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from codegen.errors import CodegenError
from codegen.loading import load_cut
from codegen.manifest import read_manifest
from codegen.serving.ray_serve import write_ray_application
from tests.codegen.mixed_types import write_mixed_bundle
from tests.codegen.unverified import unverified_bundles


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with unverified_bundles():
        return write_mixed_bundle(tmp_path_factory.mktemp("ray"), ["torchscript"])


def test_every_tail_can_be_loaded_from_it_and_no_head(mixed: Path, tmp_path: Path):
    written = write_ray_application(mixed, tmp_path / "application", name="mixed")
    assert written.models == ("mixed_server-only", "mixed_wide-1.2")
    bundle = tmp_path / "application" / "bundle"
    assert not list(bundle.rglob("head*"))
    assert read_manifest(bundle) == read_manifest(mixed)
    for name in written.models:
        load_cut(bundle, name.removeprefix("mixed_"), half="tail")


def test_the_application_names_its_bundle_and_the_configuration_names_the_application(mixed: Path, tmp_path: Path):
    write_ray_application(mixed, tmp_path / "application", name="mixed", engine="torchscript:cuda")
    tree = ast.parse((tmp_path / "application" / "tails.py").read_text())
    (call,) = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    assert isinstance(call, ast.Call)
    told = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert told == {"name": "mixed", "engine": "torchscript:cuda"}
    assert "with_name('bundle')" in ast.unparse(call)
    yaml = pytest.importorskip("yaml", reason="yaml is not installed")
    configuration = yaml.safe_load((tmp_path / "application" / "serve.yaml").read_text())
    (application,) = configuration["applications"]
    assert application["import_path"] == "tails:application"
    assert application["route_prefix"] == "/"
    assert configuration["http_options"]["host"] == "127.0.0.1"


def test_it_is_written_whole_or_not_at_all(mixed: Path, tmp_path: Path):
    with pytest.raises(CodegenError, match="stands in addresses"):
        write_ray_application(mixed, tmp_path / "application", name="a/b\n")
    with pytest.raises(CodegenError, match="not emitted as 'onnx'"):
        write_ray_application(mixed, tmp_path / "application", name="mixed", format_name="onnx")
    assert not list(tmp_path.iterdir())
    (tmp_path / "application").mkdir()
    with pytest.raises(CodegenError, match="exists already"):
        write_ray_application(mixed, tmp_path / "application", name="mixed")
