"""What memory is there, and blocks of it that are used again."""

import os
import pathlib
import weakref
from typing import Any

import numpy as np

try:
    import psutil
except ImportError:
    psutil = None  # type: ignore[assignment]

CGROUP = pathlib.Path("/sys/fs/cgroup")
MEMINFO = pathlib.Path("/proc/meminfo")


def available_bytes() -> int | None:
    """
    :return: memory this process may still take without swapping, a container's limit respected;
        None where the system does not tell
    """
    if psutil is not None:
        free: int | None = psutil.virtual_memory().available
    else:
        free = _available_from_meminfo()
    limits = [value for value in (free, _available_in_cgroup()) if value is not None]
    return min(limits) if limits else None


def _available_from_meminfo() -> int | None:
    try:
        for line in MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _available_in_cgroup() -> int | None:
    """A container's limit less what it uses, the file cache that can be dropped not counted as used."""
    try:
        limit = int((CGROUP / "memory.max").read_text())  # "max" where there is no limit: ValueError
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


class BlockPool:
    """
    Memory of batches that nobody holds any more.

    A fresh block of some megabytes costs more in page faults than the frames copied into it. A block comes back to the pool
    when the last array or tensor that looks into it has gone, so a batch that is still held is never written again.

    :param keep: how many unused blocks to hold on to
    :param smallest: blocks with fewer bytes are not worth keeping
    """

    def __init__(self, keep: int = 2, smallest: int = 1 << 18):
        self.keep = keep
        self.smallest = smallest
        self._unused: list[np.ndarray] = []

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """
        :param shape: shape of the array
        :param dtype: its data type
        :return: an array with arbitrary content, C-contiguous
        """
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if n_bytes < self.smallest:
            return np.empty(shape, dtype)
        fitting = [i for i, memory in enumerate(self._unused) if memory.nbytes == n_bytes]
        memory = self._unused.pop(fitting[-1]) if fitting else np.empty(n_bytes, np.uint8)
        # Every view made of `array` keeps `array` itself alive: numpy follows the chain of bases down to the first array
        # that stands on something else than an array, here a memoryview.
        array: np.ndarray = np.frombuffer(memory.data, dtype)
        weakref.finalize(array, self._give_back, memory).atexit = False
        return array.reshape(shape)

    def _give_back(self, memory: np.ndarray) -> None:
        self._unused.append(memory)
        del self._unused[: -self.keep]
