"""`cic calibrate --server` asks a real server for the tails, and for what they took."""

from __future__ import annotations

from pathlib import Path

import pytest

import cic
from cic.calibration.server_tails import ServerTails
from cic.cli import main
from cic.errors import LinkError
from cic.serving.server_options import ServerOptions
from cic.serving.tail_server import TailServer
from cic.session.server_address import server_address
from tests.cic.conftest import Project, answer

pytestmark = pytest.mark.usefixtures("in_project")


def test_tails_run_on_a_server_that_says_what_they_took(
    capsys: pytest.CaptureFixture[str], project: Project, tmp_path: Path
) -> None:
    file = tmp_path / "calibrated.cic"
    with TailServer(project.split, ServerOptions(port=0)) as server:
        answer(capsys, "calibrate", project.split, project.file, "-o", file, "--repeat", "2", "--server", server.address)
    calibration = cic.load(file).graph().calibration
    assert calibration is not None and calibration.server == server.address
    assert all(each.measured_server_ns > 0 for each in calibration.cuts if each.id != "device-only")
    # Sending and receiving take the device some time, whatever the head does.
    assert all(each.measured_device_ns > 10_000 for each in calibration.cuts if each.id != "device-only")
    assert calibration.server_engine.startswith("torchscript")
    arguments = ("calibrate", project.split, project.file, "-o", file, "--server", server.address)
    assert main([str(each) for each in arguments]) == 2
    assert "127.0.0.1" in capsys.readouterr().err


def test_a_payload_that_is_none_of_its_codec_s_is_refused_by_the_server(project: Project) -> None:
    cut = next(cut for cut in cic.load(project.file).cuts if cut.offloads)
    with TailServer(project.split, ServerOptions(port=0)) as server:
        tails = ServerTails(project.split, server_address(server.address))
        with pytest.raises(LinkError, match="refuses with the status 400"):
            tails.run(cut, [b"short"] * len(cut.crossing))
        tails.close()
