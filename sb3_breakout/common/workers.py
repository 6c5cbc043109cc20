"""Processes that work for this one and end with it."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager


@contextmanager
def worker_processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """
    Processes that end at once when this one is killed, and what has not begun is cancelled when the block is left. They are
    spawned: a script that uses them needs ``if __name__ == "__main__":``.

    :param number: of processes
    :return: their pool
    :raises RuntimeError: if one of them is killed
    """
    pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"One of {number} worker processes was killed: did the memory run out? Try fewer workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End a worker at once when its parent was killed: its results would not be collected."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
