"""A progress bar for long tasks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(title: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """
    Show a bar on stderr while the block runs. It disappears at the end, and is not shown if stderr is not a terminal.

    :param title: description of the task
    :param total: number of parts
    :param shown: False for no bar
    :return: function to call with the number of parts done since the last call
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = shown and sys.stderr.isatty()
    # The bar must not capture output that is redirected to a file
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not shown, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda parts: bar.advance(task, parts)
