"""Progress on the standard error: a line for each piece of work, and on a terminal a bar with the time left."""

from __future__ import annotations

import sys
from contextlib import contextmanager

from cic.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cic.progress import Progress, Tell


@contextmanager
def shown_progress() -> Iterator[Tell]:
    """A function that shows what it is told. Steps that are counted are shown on a terminal only, where rich is installed."""
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
    except ImportError:
        yield _line
        return
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("", visible=False)

        def tell(progress: Progress) -> None:
            if progress.done is None:
                bars.update(task, visible=False)
                _line(progress)
                return
            if progress.done < bars.tasks[0].completed or not bars.tasks[0].visible:
                # Other work has begun; its pace is another.
                bars.reset(task)
            bars.update(
                task, completed=progress.done, total=progress.of, description=escape(printable(progress.text)), visible=True
            )

        yield tell


def _line(progress: Progress) -> None:
    if progress.done is None:
        print(printable(str(progress)), file=sys.stderr)
