"""A module's test is where its name says, or the file that tests it is named here; `codegen` is tested without `cic`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.import_graph import FILES, IMPORTS, imported, module_of
from tests.contracts.source_files import ROOT, name_of, product_files

TESTS = ROOT / "tests"
PACKAGES = ("cic", "codegen", "compress", "mincut")
LONG = 80
"""Lines, above which a module has a test of its name. Shorter ones may be tested with their users."""

WHOLE_WAYS = {
    "cic/codec/test_payload_format.py",
    "cic/codec/transform/test_same_bits.py",
    "cic/commands/test_codecs.py",
    "cic/commands/test_warnings.py",
    "cic/emission/test_pixel_halves.py",
    "cic/serving/test_third_parties.py",
    "cic/trace/fx/test_random_writes.py",
    "cic/session/test_encrypted_session.py",
    "cic/session/test_link_faults.py",
    "codegen/serving/test_triton_server.py",
    "compress/test_conditions.py",
    "mincut/test_face.py",
    "mincut/test_optimum.py",
}
"""Tests of several modules together, or of one property of a module that has a test of its name besides."""

TESTED_BY = {
    "cic/calibration/measured_cuts.py": "cic/calibration/test_calibrate.py",
    "cic/compilation/assembly.py": "cic/compilation/test_pipeline.py",
    "cic/compilation/cut_search.py": "cic/compilation/test_pipeline.py",
    "cic/compilation/known_cuts.py": "cic/compilation/test_reproof.py",
    "cic/compilation/lowering.py": "cic/compilation/test_pipeline.py",
    "cic/control/controlled_device.py": "cic/control/test_controller.py",
    "cic/cost/measurement.py": "cic/cost/test_timing.py",
    "cic/decision/cut.py": "cic/decision/test_splitting_model.py",
    "cic/decision/cut_table.py": "cic/decision/test_graph_document.py",
    "cic/decision/other_questions.py": "cic/decision/test_throughput.py",
    "cic/decision/provenance.py": "cic/decision/test_cic_file.py",
    "cic/decision/stored_graph.py": "cic/decision/test_graph_document.py",
    "cic/errors.py": "hostile/test_error_catalogue.py",
    "cic/graph.py": "cic/trace/fx/test_torch_trace.py",
    "cic/precision/wire_form.py": "cic/precision/test_target_search.py",
    "cic/report/latency_figure.py": "cic/report/test_page.py",
    "cic/runtime/far_tail.py": "cic/runtime/test_rehearsal.py",
    "cic/trace/any_model.py": "cic/emission/test_emission.py",
    "cic/trace/fx/propagation.py": "cic/trace/fx/test_torch_trace.py",
    "cic/trace/preservation/reachable.py": "cic/trace/preservation/test_preservation.py",
    "codegen/bundle/source.py": "codegen/bundle/test_bundle.py",
    "codegen/bundle/torch_source.py": "cic/trace/test_open_batch.py",
    "codegen/bundle/weights.py": "codegen/weights/test_shared_weights.py",
    "codegen/formats/emitter.py": "codegen/test_loading.py",
    "codegen/formats/onnx_session.py": "codegen/formats/test_onnx_values.py",
    "codegen/serving/scalar_borders.py": "codegen/serving/test_triton_repository.py",
    "codegen/splitters/sides.py": "codegen/splitters/test_fx.py",
    "compress/exchange.py": "compress/test_rules.py",
    "compress/reduction.py": "compress/test_rules.py",
    "compress/rules/block.py": "compress/test_rules.py",
    "compress/schedule.py": "compress/test_rules.py",
    "mincut/bound_tree.py": "mincut/test_bounded.py",
    "mincut/bounded_certificate.py": "mincut/test_bounded.py",
    "mincut/linear_relaxation.py": "mincut/test_bounded.py",
    "mincut/network.py": "mincut/test_optimum.py",
    "mincut/tiers/network.py": "mincut/tiers/test_solver.py",
    "mincut/tiers/problem.py": "mincut/tiers/test_solver.py",
}
"""By long module without a test of its name, the file of its test; the test comes to the module by way of its imports."""


def test_every_test_is_named_after_a_module_or_a_room() -> None:
    found = [path.relative_to(TESTS) for package in PACKAGES for path in (TESTS / package).rglob("test_*.py")]
    assert len(found) > 80
    assert {path.as_posix() for path in found if not names_a_module(path)} == WHOLE_WAYS


def names_a_module(path: Path) -> bool:
    named = ROOT / path.with_name(path.stem.removeprefix("test_"))
    return named.is_dir() or named.with_suffix(".py").is_file()


def test_every_long_module_has_a_test_of_its_name_or_one_that_is_named_here() -> None:
    long = [path for path in product_files() if path.name != "__init__.py" and len(path.read_text().splitlines()) > LONG]
    assert len(long) > 140
    assert {name_of(path) for path in long if not home(path).is_file()} == TESTED_BY.keys()


def home(path: Path) -> Path:
    return TESTS / path.relative_to(ROOT).with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", TESTED_BY)
def test_a_module_is_tested_by_a_file_that_uses_it(module: str) -> None:
    """The test imports the module, or one that comes to it by two imports; `import cic` stands for the names of its face."""
    test, tested = TESTS / TESTED_BY[module], module_of(ROOT / module)
    reached = set(imported(test, FILES))
    reached |= IMPORTS["cic"] if "cic" in reached else set()
    for _ in range(2):
        reached |= {other for name in reached - {"cic", "cic.cli"} for other in IMPORTS[name]}
    assert tested in reached, f"{TESTED_BY[module]} does not come to {tested}"


def test_codegen_is_tested_without_cic() -> None:
    files = list((TESTS / "codegen").rglob("*.py"))
    assert len(files) > 40
    assert not [name_of(path) for path in files if any(name.split(".")[0] == "cic" for name in imported(path, FILES))]
