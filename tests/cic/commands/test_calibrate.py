"""`cic calibrate` keeps both figures, proves the table for the corrected times, and `cic show` tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from cic.cli import main
from cic.compilation.verification import verify
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_calibrating_corrects_the_times_and_says_both(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    before, file = cic.load(project.file), tmp_path / "calibrated.cic"
    said = answer(capsys, "calibrate", project.split, project.file, "-o", file, "--repeat", "2")
    assert "Head and tail together were off by" in said and f"wrote {file}" in said
    after = cic.load(file)
    calibration = after.graph().calibration
    assert calibration is not None and calibration.repetitions == 2
    assert calibration.device_ns == tuple(op.device_ns for op in before.graph().ops)
    assert {each.id for each in calibration.cuts} == {cut.id for cut in before.cuts}
    now = {cut.id: cut for cut in after.cuts}
    for each, cut in zip(calibration.cuts, before.cuts, strict=True):
        assert (each.predicted_device_ns, each.predicted_server_ns) == (cut.device_ns, cut.server_ns)
        assert now[each.id].device_ops == cut.device_ops
    assert verify(after).gap <= 1e-6
    shown = answer(capsys, "show", file)
    assert "Calibrated by real heads and tails" in shown and "2 runs of each cut" in shown
    # Again, from the predictions: nothing of the first calibration is left.
    answer(capsys, "calibrate", project.split, file, "-o", tmp_path / "again.cic", "--repeat", "2")
    again = cic.load(tmp_path / "again.cic").graph().calibration
    assert again is not None and (again.device_ns, again.server_ns) == (calibration.device_ns, calibration.server_ns)


@pytest.mark.parametrize(
    "arguments", [("--repeat", "0"), ("--threads", "0"), ("--engine", "abacus"), ("--token-file", "no such file")]
)
def test_what_cannot_be_run_is_refused(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    assert (
        main(
            [
                "calibrate",
                str(project.split),
                str(project.file),
                "-o",
                str(tmp_path / "x.cic"),
                "--server",
                "http://127.0.0.1:9",
                *arguments,
            ]
        )
        == 2
    )
    assert arguments[1] in capsys.readouterr().err
