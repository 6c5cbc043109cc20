"""Worker processes: the error if one of them is killed, and that an interrupt ends them."""

import os
import signal
import time

import pytest

from sb3_breakout.common.workers import worker_processes


def test_killed_worker() -> None:
    with pytest.raises(RuntimeError, match="One of 2 worker processes was killed"), worker_processes(2) as pool:
        pool.submit(os._exit, 1).result()


def test_an_interrupt_does_not_wait_for_running_work() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # child processes inherit this
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_processes(2) as pool:
        pool.submit(time.sleep, 200)
        pool.submit(abs, 1).result()
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, before)
    assert time.monotonic() - begun < 100
