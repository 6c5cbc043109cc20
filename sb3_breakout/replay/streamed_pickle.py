"""Pickling of large, partly filled arrays. Saved files refer to ``_allocate``, ``_fill`` and ``_join`` by name."""

import io
import os
import pathlib
import pickle
import zlib
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np

from sb3_breakout.common.files import atomic_write
from sb3_breakout.replay import memory

CHUNK_BYTES = 1 << 23
T = TypeVar("T")


class StreamedArray:
    """
    Stands for an array in a pickled state; unpickled, it *is* the array.

    Rows beyond ``used`` are neither written nor touched: they are restored as zeros that take no memory until they are used.
    The others are written in chunks, each with its checksum, directly from the array; reading them needs memory for one chunk
    besides the array.

    :param array: C-contiguous
    :param used: number of leading rows to save
    :param axis: axis of the rows: 0, or 1 for an array of arrays that have ``used`` such rows each
    """

    def __init__(self, array: np.ndarray, used: int, axis: int = 0):
        self.array = array
        self.used = used
        self.axis = axis

    def __reduce_ex__(self, protocol: Any) -> tuple:
        parts = self.array if self.axis else self.array[None]
        offset, n_bytes = parts.strides[0], parts[:, : self.used].nbytes
        target = _Target(self.array.shape, self.array.dtype, n_bytes)
        chunks = []
        for number, part in enumerate(parts):
            filled = part[: self.used].reshape(-1).view(np.uint8)
            for start in range(0, filled.nbytes, CHUNK_BYTES):
                chunks.append(_Chunk(target, number * offset + start, filled[start : start + CHUNK_BYTES].data))
        return _join, (target, chunks, n_bytes)


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


class FormatError(ValueError):
    """The pickled state has a format that this version does not read."""


def save(value: Any, path: str | os.PathLike) -> None:
    """
    Pickle a value to a file, written atomically.

    :param value: what to save
    :param path: the file; ``.pkl`` is appended if it has no suffix
    """
    with atomic_write(_with_suffix(path)) as aside, open(aside, "wb") as file:
        pickle.dump(value, file, protocol=pickle.HIGHEST_PROTOCOL)


def load(path: str | os.PathLike | io.BufferedIOBase, cls: type[T]) -> T:
    """
    :param path: the file; ``.pkl`` is appended if it has no suffix; or a file-like object
    :param cls: expected class of the content
    :return: the unpickled content
    :raises ValueError: if the file is truncated or damaged, holds something else or another format, or does not fit into
        memory
    :raises FileNotFoundError: if there is no such file
    """
    path = path if isinstance(path, io.BufferedIOBase) else _with_suffix(path)
    with nullcontext(path) if isinstance(path, io.BufferedIOBase) else open(path, "rb") as file:
        try:
            value = pickle.load(file)
        except (memory.NotEnoughMemoryError, FormatError) as error:
            raise ValueError(f"{path} cannot be loaded: {error}") from error
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"{path} cannot be read as a replay buffer, it was written by another version of sb3_breakout or is damaged "
                f"({error}). Without the file, training continues with an empty buffer."
            ) from error
        except Exception as error:  # damaged bytes can make pickle raise nearly anything
            raise ValueError(
                f"{path} cannot be read as a replay buffer, it is truncated or damaged ({type(error).__name__}: {error})."
            ) from error
    if not isinstance(value, cls):
        raise ValueError(f"{path} holds a {type(value).__name__}, not a {cls.__name__}.")
    return value


def _with_suffix(path: str | os.PathLike) -> pathlib.Path:
    """Append ``.pkl`` if there is no suffix, as SB3 does."""
    path = pathlib.Path(path)
    return path if path.suffix else path.with_suffix(".pkl")
