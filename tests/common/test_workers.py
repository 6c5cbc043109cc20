"""Worker processes: what is said when one of them is killed."""

import os

import pytest

from sb3_breakout.common.workers import worker_processes


def test_killed_worker() -> None:
    with pytest.raises(RuntimeError, match="One of 2 worker processes was killed"), worker_processes(2) as pool:
        pool.submit(os._exit, 1).result()
