"""Worker processes that end with this process."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from sb3_breakout.common.termination import interrupts_postponed


@contextmanager
def worker_processes(number: int) -> Iterator[ProcessPoolExecutor]:
    """
    Start processes that end at once when this one is killed or interrupted. Pending tasks are cancelled when the block is
    left. The processes are spawned, so a script that uses them needs ``if __name__ == "__main__":``.

    :param number: number of processes
    :return: the pool of processes
    :raises RuntimeError: if one of the processes is killed
    """
    pool = ProcessPoolExecutor(number, multiprocessing.get_context("spawn"), initializer=_prepare)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise RuntimeError(
            f"One of {number} worker processes was killed: did the memory run out? Try fewer workers."
        ) from error
    except KeyboardInterrupt:
        for process in list(pool._processes.values()):  # Executor.terminate_workers comes with Python 3.14
            process.terminate()
        raise
    finally:
        with interrupts_postponed():
            pool.shutdown(cancel_futures=True)


def _prepare() -> None:
    """In a worker, ignore Ctrl-C (the parent handles it), and end at once when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a parent that ignores it would hand that down
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
