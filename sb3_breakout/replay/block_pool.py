"""Blocks of memory that are used again once nobody looks at them."""

import weakref
from collections import deque
from typing import Any

import numpy as np


class BlockPool:
    """
    Memory of batches that nobody holds any more.

    A fresh block of some megabytes costs more in page faults than the frames copied into it. A block comes back to the pool
    when the last array or tensor that looks into it has gone, so a batch that is still held is never written again.

    :param keep: how many unused blocks to hold on to
    :param smallest: blocks with fewer bytes are not worth keeping
    """

    def __init__(self, keep: int = 2, smallest: int = 1 << 18):
        self.smallest = smallest
        self._unused: deque[np.ndarray] = deque(maxlen=keep)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """
        :param shape: shape of the array
        :param dtype: its data type
        :return: an array with arbitrary content, C-contiguous
        """
        dtype = np.dtype(dtype)
        size = int(np.prod(shape))
        n_bytes = size * dtype.itemsize
        if n_bytes < self.smallest:
            return np.empty(shape, dtype)
        memory = self._take(n_bytes)
        # Every view of `array` keeps `array` itself alive: numpy follows the bases of a view down to the first array that
        # stands on something else than an array, and `array` stands on a memoryview.
        array: np.ndarray = np.frombuffer(memory.data, dtype, size)
        weakref.finalize(array, self._unused.append, memory).atexit = False
        return array.reshape(shape)

    def _take(self, n_bytes: int) -> np.ndarray:
        while self._unused:
            memory = self._unused.pop()
            if n_bytes <= memory.nbytes <= 2 * n_bytes:
                return memory
        return np.empty(n_bytes, np.uint8)
