"""Atomic writing of files and folders."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

import psutil


def _host() -> str:
    """
    :return: name of the PID namespace of this process: host name and namespace, since several containers can have the same
        host name
    """
    name = socket.gethostname()
    with suppress(OSError):  # only Linux has namespaces
        name += f"-{os.readlink('/proc/self/ns/pid')}"
    return re.sub("[^A-Za-z0-9]+", "-", name).strip("-")


HOST = _host()
LIFE = uuid4().hex[:8]  # distinguishes this process from an earlier one with the same PID
_numbers = count()


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Yield a temporary path beside ``path``. It is flushed to disk and renamed to ``path`` when the block ends, and removed if
    the block fails. If the process is killed or the machine loses power, the old file remains, and the temporary one stays
    until the next write to the same folder.

    :param path: the file to write; its folder is created if needed
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some file systems rename before they write, which could leave an empty file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """
    Yield an empty folder beside ``path``. It is renamed to ``path`` when the block ends, and removed if the block fails.

    Replacing a folder takes two renames. If the process is killed between them, the former folder remains hidden beside
    ``path``, and the next call for this path restores its name.

    :param path: the folder to write
    :param replace: whether to replace an existing folder; otherwise there must be none
    :raises FileExistsError: if ``path`` exists and ``replace`` is False
    """
    former = path.with_name(f".{path.name}.former")
    _give_back(former, path)
    if path.exists() and not replace:
        raise FileExistsError(f"{path} is there already and will not be overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        _flush()
        if replace and path.exists():
            path.rename(former)
        temporary.rename(path)
    finally:
        _give_back(former, path)
        shutil.rmtree(temporary, ignore_errors=True)


def _give_back(former: Path, path: Path) -> None:
    """
    Restore the former folder if ``path`` is free; otherwise it was replaced and is removed.

    :param former: the hidden former folder, which need not exist
    :param path: the original name of the folder
    """
    if former.exists() and not path.exists():
        former.rename(path)
    shutil.rmtree(former, ignore_errors=True)


def name_folder(temporary: Path, path: Path) -> None:
    """
    Rename a complete folder after flushing its files to disk, so that a power loss leaves none of them empty.

    :param temporary: the folder
    :param path: its final name, which must be free
    :raises OSError: if the name is taken
    """
    _flush()
    temporary.rename(path)


def _flush() -> None:
    """
    Flush all files to disk. On ext4 with 300 new files this takes 22 ms, or 0.2 s while another process writes gigabytes. An
    ``fsync`` of each file would take 0.4 s and 1.6 s, since each commits the journal.
    """
    if hasattr(os, "sync"):
        os.sync()


def temporary_beside(path: Path) -> Path:
    """
    Choose a temporary name for an incomplete file or folder, and remove what dead processes left in the same folder.

    :param path: the final path
    :return: a hidden path beside ``path`` that names the writing process and its host: ``.NAME.HOST.PID.LIFE-NUMBER.tmp``
    """
    remove_abandoned(path.parent)
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{LIFE}-{next(_numbers)}.tmp")


def remove_abandoned(folder: Path) -> None:
    """
    Remove temporary files and folders (see :func:`temporary_beside`) of dead processes of this host. Those of other hosts and
    containers, which may share the folder, are left alone.

    :param folder: folder to search, without subfolders
    """
    for path in folder.glob(f".*.{HOST}.*.tmp"):
        writer = re.fullmatch(rf"\..+\.{HOST}\.([0-9]+)\.([0-9a-f]{{8}})-[0-9]+\.tmp", path.name)
        if writer is None or _lives(int(writer[1]), writer[2]):
            continue
        with suppress(OSError):  # another process may be removing it, or another user may own it
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lives(pid: int, life: str) -> bool:
    return life == LIFE if pid == os.getpid() else psutil.pid_exists(pid)
