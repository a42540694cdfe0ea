"""report: make one page from the records of a run: latency, cuts and predictions over time; needs nothing but Python."""

from __future__ import annotations

from cic.commands.output import check_not_read, check_output_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SUMMARY = "make one page from the records of a run: latency, cuts and predictions over time; needs nothing but Python"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="records of a session, such as run.jsonl")
    parser.add_argument("-o", "--output", required=True, metavar="PAGE", help="to write, such as run.html")
    parser.add_argument("--title", metavar="TEXT", help="of the page; default: the name of FILE")


def run(arguments: Namespace) -> int:
    check_output_file(arguments.output)
    check_not_read(arguments.output, arguments.file)
    # Only now, as `cic decide` loads the names of all commands.
    from statistics import median

    from cic.decision.units import show_seconds
    from cic.report.page import page
    from cic.report.run_records import read_run
    from codegen.files.atomic import write_whole

    records = read_run(arguments.file)
    write_whole(arguments.output, page(records, arguments.title).encode())
    if records.unfinished:
        print("the last line was cut off and is left out")
    latency_s = median(record.measured.latency_s for record in records.records)
    print(f"wrote {arguments.output}: {len(records.records)} inferences, median latency {show_seconds(latency_s)}")
    return 0
