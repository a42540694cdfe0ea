"""run --server: call the model again and again through a session with a server, and show each inference."""

from __future__ import annotations

import json
import sys

from cic.commands.table import print_table
from cic.decision.units import byte_count, seconds, show_seconds
from cic.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Collection

    from cic.commands.arguments import Call
    from cic.decision.splitting_model import SplittingModel
    from cic.session.record import Record
    from cic.session.session import Session

_WARM_UP_S = 5.0
_REMEMBERED = 100_000


def add_session(parser: ArgumentParser) -> None:
    """The arguments that belong to --server."""
    group = parser.add_argument_group("with a server (`cic serve` on another machine)")
    group.add_argument("--token-file", metavar="FILE", help="with the token that the server asks for")
    group.add_argument("--ca", metavar="FILE", help="PEM, with the certificates to trust; default: those of this system")
    group.add_argument("--certificate", metavar="FILE", help="PEM, with this device's certificate and key")
    group.add_argument("--name", metavar="NAME", help="that the server's models begin with; default: the model's name")
    group.add_argument("--engine", metavar="NAME", help="that runs the halves; default: onnxruntime where it can")
    group.add_argument("--deadline", metavar="TIME", help="within which each answer is due")
    group.add_argument("--memory-limit", metavar="SIZE", help="of the halves that are loaded at once, such as 200MB")
    group.add_argument("--records", metavar="FILE", help="to append a line for each inference to, as `cic report` reads it")
    group.add_argument("--learnt", metavar="FILE", help="to keep what is learnt of machines that were unknown when compiling")


def run_session(arguments: Namespace, model: SplittingModel, call: Call) -> int:
    """Call the model --repeat times, 0: until interrupted."""
    if arguments.repeat < 0 or arguments.threads < 1:
        raise InputError(f"--repeat {arguments.repeat} must be at least 0, --threads {arguments.threads} at least 1")
    from collections import deque
    from contextlib import suppress

    from cic.commands.live_view import shown_records

    # Who runs until interrupted wants the last of them.
    records: deque[Record] = deque(maxlen=_REMEMBERED)
    with _session(arguments, model) as session:
        print(f"warming up, for {_WARM_UP_S:g} s at most", file=sys.stderr)
        session.warm_up(_WARM_UP_S)
        with suppress(KeyboardInterrupt):
            if arguments.json:
                _repeat(session, arguments.repeat, call, records.append)
            else:
                with shown_records() as show:

                    def shown(record: Record) -> None:
                        records.append(record)
                        show(record)

                    _repeat(session, arguments.repeat, call, shown)
    if arguments.json:
        from cic.session.record import line_of

        print(json.dumps([json.loads(line_of(record)) for record in records], indent=1))
    elif records:
        _summary(records)
    return 0


def _session(arguments: Namespace, model: SplittingModel) -> Session:
    from cic.session.session import Session

    cuts = None
    if arguments.cut is not None:
        cuts = [cut.id for cut in model.cuts if arguments.cut in (cut.id, cut.label)]
    return Session(
        arguments.directory,
        model,
        None if arguments.server == "none" else arguments.server,
        token=None if arguments.token_file is None else _token(arguments.token_file),
        ca=arguments.ca,
        certificate=arguments.certificate,
        name=arguments.name,
        cuts=cuts or (None if arguments.cut is None else [arguments.cut]),
        engine=arguments.engine,
        threads=arguments.threads,
        memory_limit=None if arguments.memory_limit is None else byte_count(arguments.memory_limit, "--memory-limit"),
        deadline_s=None if arguments.deadline is None else seconds(arguments.deadline, "--deadline"),
        records=arguments.records,
        learnt=arguments.learnt,
        batch=arguments.batch,
    )


def _token(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(5000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the token in {path}: {getattr(error, 'strerror', None) or error}") from error


def _repeat(session: Session, count: int, call: Call, show: Callable[[Record], object]) -> None:
    args, kwargs = call
    number = 0
    while not count or number < count:
        show(session.infer(*args, **kwargs).record)
        number += 1


def _summary(records: Collection[Record]) -> None:
    from statistics import median

    rows = []
    for key in dict.fromkeys((record.cut_id, record.kind) for record in records):
        some = [record for record in records if (record.cut_id, record.kind) == key]
        latencies_s = sorted(record.measured.latency_s for record in some)
        figures = (
            median(latencies_s),
            latencies_s[min(len(some) - 1, int(0.95 * len(some)))],
            median(record.predicted.latency_s for record in some),
        )
        rows.append([*key, str(len(some)), *map(show_seconds, figures)])
    print()
    columns = ("cut", "outcome", "inferences", "median", "95 % within", "predicted")
    print_table(columns, rows, left=("cut", "outcome"), words=("outcome",), drop=("inferences", "95 % within"))
