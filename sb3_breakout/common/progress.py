"""A progress bar for what takes minutes."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(title: str, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """
    A bar on stderr while the block runs. Nothing of it stays, and there is none where stderr is no terminal.

    :param title: what is going on
    :param total: number of parts
    :param shown: False for no bar
    :return: to be called with the number of parts that are done since the last call
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = shown and sys.stderr.isatty()
    # Output that is redirected to a file must not be caught by the bar
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not shown, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda parts: bar.advance(task, parts)
