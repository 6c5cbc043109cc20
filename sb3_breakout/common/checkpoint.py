"""Atomic writing of model files, and clear errors for incomplete ones."""

import io
import pathlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from sb3_breakout.common.files import atomic_write

File = str | pathlib.Path | io.BufferedIOBase


@contextmanager
def atomic_open(path: File, suffix: str) -> Iterator[io.BufferedIOBase]:
    """
    Yield a file to write to. It is renamed to ``path`` when the block ends: a process killed before that leaves the old file.

    :param path: path to the file, or a file-like object, which is yielded unchanged
    :param suffix: suffix to append to a path without one
    """
    if not isinstance(path, (str, pathlib.Path)):
        yield path
        return
    path = pathlib.Path(path)
    with atomic_write(path if path.suffix else path.with_suffix(suffix)) as temporary, open(temporary, "wb") as file:
        yield file


@contextmanager
def incomplete_explained(path: File) -> Iterator[None]:
    """
    Raise a clear error if SB3 cannot read a model inside the block.

    :param path: the file that SB3 reads
    :raises ValueError: if the file is truncated, or not a zip file of a model
    """
    incomplete = f"{path} is not a complete checkpoint: the file is truncated or not a zip file of a model."
    try:
        yield
    except AssertionError as error:  # SB3 opened an inner archive of a truncated file and found no data in it
        raise ValueError(incomplete) from error
    except ValueError as error:
        if isinstance(error.__cause__, zipfile.BadZipFile):
            raise ValueError(incomplete) from error
        raise
