"""Files and folders that are written atomically."""

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

HOST = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())
LIFE = uuid4().hex[:8]  # distinguishes this process from an earlier one with the same number
_numbers = count()


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Yield a temporary path beside ``path``. It is flushed to the disk and renamed to ``path`` when the block ends, and removed
    when the block fails. A process that is killed or a machine that loses power leaves the old file, and the temporary one
    until something is written to the same folder again.

    :param path: the file to write; its folder is created if needed
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some file systems rename before they write, and would leave an empty file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_aside(path: Path) -> Iterator[Path]:
    """
    Yield an empty folder beside ``path``. It is renamed to ``path`` when the block ends, and removed when the block fails.

    :param path: the folder to write, which must not be there
    :raises FileExistsError: if it is there
    """
    if path.exists():
        raise FileExistsError(f"{path} is there already and will not be overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.mkdir()
    try:
        yield temporary
        name_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def name_folder(temporary: Path, path: Path) -> None:
    """
    Give a complete folder its name once its files are on the disk: a machine that loses power leaves none of them empty.

    :param temporary: the folder
    :param path: its name, which must be free
    :raises OSError: if it is not
    """
    if hasattr(os, "sync"):
        os.sync()  # 0.1 s for 1,000 files, each of which would take 6 ms
    temporary.rename(path)


def temporary_beside(path: Path) -> Path:
    """
    Name a file or folder that is not complete yet, and remove what dead processes left in its folder.

    :param path: what it will be called
    :return: a hidden path beside it that names the writing process and its host: ``.NAME.HOST.PID.LIFE-NUMBER.tmp``
    """
    remove_abandoned(path.parent)
    return path.with_name(f".{path.name}.{HOST}.{os.getpid()}.{LIFE}-{next(_numbers)}.tmp")


def remove_abandoned(folder: Path) -> None:
    """
    Remove what :func:`temporary_beside` named for dead processes of this host. Those of other hosts, which may share the
    folder, are left alone.

    :param folder: is searched, without those inside it
    """
    for path in folder.glob(f".*.{HOST}.*.tmp"):
        writer = re.fullmatch(rf"\..+\.{HOST}\.([0-9]+)\.([0-9a-f]{{8}})-[0-9]+\.tmp", path.name)
        if writer is None or _lives(int(writer[1]), writer[2]):
            continue
        with suppress(OSError):  # another process may be removing it, or own it
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lives(pid: int, life: str) -> bool:
    return life == LIFE if pid == os.getpid() else psutil.pid_exists(pid)
