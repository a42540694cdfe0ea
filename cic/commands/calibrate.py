"""calibrate: run the heads and tails of a bundle, correct the times of its splitting model, and prove the table again."""

from __future__ import annotations

from contextlib import closing, contextmanager

from cic.commands.output import check_output_file
from cic.commands.progress_bar import shown_progress
from cic.commands.show import print_break_points, print_calibration
from cic.decision.splitting_model import load
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from cic.calibration.server_tails import ServerTails
    from cic.decision.splitting_model import SplittingModel

SUMMARY = "run the heads and tails of a bundle, correct the times of its splitting model, and prove the table again"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="what `cic emit` wrote")
    parser.add_argument("file", metavar="FILE", help="the splitting model it was emitted from")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the corrected splitting model to write")
    parser.add_argument("--server", metavar="URL", help="where `cic serve` runs the tails; default: in this process")
    parser.add_argument("--token-file", metavar="FILE", help="with the token that the server asks for")
    parser.add_argument("--ca", metavar="FILE", help="certificates to trust in place of the system's")
    parser.add_argument("--certificate", metavar="FILE", help="this device's certificate and key, for a server that asks")
    parser.add_argument("--name", metavar="NAME", help="that the names of the server's models begin with; default: the model's")
    parser.add_argument(
        "--repeat", type=int, default=15, metavar="N", help="runs of each cut, of which the median counts; default: 15"
    )
    parser.add_argument(
        "--engine", metavar="NAME", help="what runs heads, and tails where they run here; default: as for serve"
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the engine; default: 1")


def run(arguments: Namespace) -> int:
    model = load(arguments.file)
    check_output_file(arguments.output)
    if arguments.repeat < 1 or arguments.threads < 1:
        raise InputError(f"--repeat {arguments.repeat} and --threads {arguments.threads} must be at least 1")
    from cic.calibration.calibrate import calibrate

    with shown_progress() as tell, _tails(arguments, model.table.batch) as tails:
        calibrated = calibrate(
            arguments.directory,
            model,
            tails=tails,
            repetitions=arguments.repeat,
            engine=arguments.engine,
            threads=arguments.threads,
            progress=tell,
        )
    calibrated.save(arguments.output)
    print_calibration(calibrated)
    print(_errors_said(calibrated))
    print()
    print_break_points(calibrated)
    print(f"wrote {arguments.output}")
    return 0


@contextmanager
def _tails(arguments: Namespace, batch: int | None) -> Iterator[ServerTails | None]:
    """The server's tails, None if they run here."""
    if arguments.server is None:
        yield None
        return
    from pathlib import Path

    from cic.calibration.server_tails import ServerTails
    from cic.session.server_address import server_address

    try:
        token = None if arguments.token_file is None else Path(arguments.token_file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise InputError(f"the token cannot be read from {arguments.token_file}: {error}") from error
    address = server_address(arguments.server, token, arguments.ca, arguments.certificate)
    with closing(ServerTails(Path(arguments.directory), address, arguments.name, batch)) as tails:
        yield tails


def _errors_said(model: SplittingModel) -> str:
    """How far off cuts were before and are now."""
    from statistics import median

    calibration = model.graph().calibration
    assert calibration is not None
    now = {(cut.id, cut.codecs): cut for cut in model.cuts}
    before, after = [], []
    for each in calibration.cuts:
        cut = now[each.id, each.codecs]
        measured = each.measured_device_ns + each.measured_server_ns
        if measured:
            before.append(abs((each.predicted_device_ns + each.predicted_server_ns) / measured - 1))
            after.append(abs((cut.device_ns + cut.server_ns) / measured - 1))
    return f"Head and tail together were off by {median(before):.1%} (median), and are off by {median(after):.1%} now"
