"""Large arrays in a pickle, without a second copy of them."""

import os
import pathlib
import pickle
import zlib
from typing import Any

import numpy as np

from sb3_breakout.replay import memory

CHUNK_BYTES = 1 << 23


class StreamedArray:
    """
    Stands for an array in a pickled state; unpickled, it *is* the array.

    Pickling an array whole needs its bytes twice, when writing and when reading. Here the array travels in chunks. Each is
    written straight out of the array, and copied, checked and dropped as soon as it is read. Rows beyond ``used`` are
    neither written nor touched: they come back as zeros which take no memory until they are used.

    :param array: C-contiguous, at least one axis
    :param used: how many leading rows carry something
    """

    def __init__(self, array: np.ndarray, used: int):
        self.array = array
        self.used = used

    def __reduce_ex__(self, protocol: Any) -> tuple:
        filled = self.array[: self.used].reshape(-1).view(np.uint8)
        target = _Target(self.array.shape, self.array.dtype, filled.nbytes)
        starts = range(0, filled.nbytes, CHUNK_BYTES)
        return _join, (
            target,
            [_Chunk(target, start, filled[start : start + CHUNK_BYTES].data) for start in starts],
            filled.nbytes,
        )


class _Target:
    """The array that chunks are read into; one object, so that the pickle refers to one array."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, n_bytes: int):
        self.shape = shape
        self.dtype = dtype
        self.n_bytes = n_bytes  # of the filled part

    def __reduce__(self) -> tuple:
        return _allocate, (self.shape, self.dtype, self.n_bytes)


def _allocate(shape: tuple[int, ...], dtype: np.dtype, n_bytes: int) -> np.ndarray:
    memory.require(n_bytes, f"The {dtype} array of shape {shape} in it")
    return np.zeros(shape, dtype)


class _Chunk:
    def __init__(self, target: _Target, start: int, data: memoryview):
        self.target = target
        self.start = start
        self.data = data

    def __reduce_ex__(self, protocol: Any) -> tuple:
        # A PickleBuffer is written without a copy and read back as a bytearray, which can be emptied at once
        data = pickle.PickleBuffer(self.data) if protocol >= 5 else bytearray(self.data)
        return _fill, (self.target, self.start, data, zlib.crc32(self.data))


def _fill(target: np.ndarray, start: int, data: bytearray, checksum: int) -> int:
    if zlib.crc32(data) != checksum:
        raise ValueError(f"{len(data)} bytes at offset {start} of a {target.dtype} array of shape {target.shape} are damaged")
    size = len(data)
    target.reshape(-1).view(np.uint8)[start : start + size] = np.frombuffer(data, np.uint8)
    data.clear()  # the unpickler holds on to every object it made until it is done
    return size


def _join(target: np.ndarray, sizes: list[int], n_bytes: int) -> np.ndarray:
    if sum(sizes) != n_bytes:
        raise ValueError(f"{sum(sizes)} of {n_bytes} bytes are there of a {target.dtype} array of shape {target.shape}")
    return target


def with_suffix(path: str | os.PathLike) -> pathlib.Path:
    """
    :param path: where the user wants the file
    :return: the same, with ``.pkl`` where it has no suffix (as SB3 does)
    """
    path = pathlib.Path(path)
    return path if path.suffix else path.with_suffix(".pkl")
