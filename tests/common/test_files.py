"""Atomic writes: a file or folder appears complete or not at all, and the next write removes what killed writers left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sb3_breakout.common.files import HOST, LIFE, atomic_folder, atomic_write

NOBODY = 2**22 + 1  # above Linux's largest process ID
WRITER = """
import os, signal, sys
from sb3_breakout.common.files import atomic_folder, atomic_write
with atomic_write(sys.argv[1]) as aside:
    aside.write_text("half")
    if sys.argv[2] == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    print("writing", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    with atomic_write(path) as aside:
        aside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "new" and names(path.parent) == {"file"}


def test_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "folder"
    with pytest.raises(KeyboardInterrupt), atomic_folder(path) as aside:
        (aside / "file").write_text("half")
        raise KeyboardInterrupt
    assert names(path.parent) == set()
    with atomic_folder(path) as aside:
        (aside / "file").write_text("new")
        assert not path.exists()
    assert names(path.parent) == {"folder"} and names(path) == {"file"}
    with pytest.raises(FileExistsError, match="will not be overwritten"), atomic_folder(path):
        pass


REPLACER = """
import os, shutil, signal, sys
from pathlib import Path
from sb3_breakout.common.files import atomic_folder
left = int(sys.argv[2])
def or_be_killed(change):
    def changed(path, *args, **kwargs):
        global left
        left -= path.exists()
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(path, *args, **kwargs)
    return changed
Path.rename, shutil.rmtree = map(or_be_killed, (Path.rename, shutil.rmtree))
with atomic_folder(Path(sys.argv[1]), replace=True) as aside:
    (aside / "new").touch()
"""


@pytest.mark.parametrize("changes", [0, 1, 2])  # rename the old folder, rename the new one, remove the old one
@pytest.mark.parametrize("replace", [False, True])
def test_folder_outlives_a_replacement_that_is_killed(tmp_path: Path, changes: int, replace: bool) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    killed = subprocess.run([sys.executable, "-c", REPLACER, str(path), str(changes)])
    assert killed.returncode == -signal.SIGKILL
    assert path.exists() == (changes != 1) and (tmp_path / ".folder.former").exists() == (changes > 0)
    if not replace:  # the next writer finds one of the two, complete
        with pytest.raises(FileExistsError, match="will not be overwritten"), atomic_folder(path):
            pass
        assert names(path) == {"new" if changes == 2 else "old"}
        return
    with atomic_folder(path, replace=True) as aside:
        assert names(path) == {"new" if changes == 2 else "old"}
        (aside / "newer").touch()
    assert names(path) == {"newer"} and names(tmp_path) == {"folder"}


@pytest.mark.parametrize("fails", ["folder", ".folder.former"])
def test_folder_outlives_a_replacement_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    rename = Path.rename
    broken = [fails]

    def rename_or_fail(old: Path, new: Path) -> Path:
        if new.name in broken:
            broken.clear()
            raise OSError("no space left")
        return rename(old, new)

    monkeypatch.setattr(Path, "rename", rename_or_fail)
    with pytest.raises(OSError, match="no space left"), atomic_folder(path, replace=True) as aside:
        (aside / "new").touch()
    assert names(path) == {"old"} and names(tmp_path) == {"folder"}


def test_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append(("flush", os.fstat(file).st_ino)) or fsync(file))
    monkeypatch.setattr(os, "replace", lambda old, new: done.append(("rename", os.stat(old).st_ino)) or replace(old, new))
    with atomic_write(tmp_path / "file") as aside:
        aside.write_text("new")
    inode = (tmp_path / "file").stat().st_ino
    assert done == [("flush", inode), ("rename", inode)]


@pytest.mark.skipif(not hasattr(os, "sync"), reason="needs sync")
def test_content_of_a_folder_is_on_the_disk_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = []
    sync = os.sync
    monkeypatch.setattr(os, "sync", lambda: there.append(sorted(path.name for path in tmp_path.glob("[!.]*"))) or sync())
    with atomic_folder(tmp_path / "folder") as aside:
        (aside / "file").write_text("new")
    assert there == [[]]


def test_killed_writers_leave_one_file_at_most(tmp_path: Path) -> None:
    for number in range(3):
        killed = subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / f"file_{number}"), "is killed"])
        assert killed.returncode == -signal.SIGKILL
        (left,) = tmp_path.iterdir()
        assert left.name.startswith(f".file_{number}.") and left.read_text() == "half"
    with atomic_write(tmp_path / "file") as aside:
        aside.write_text("new")
    assert names(tmp_path) == {"file"}


def test_living_writers_are_left_alone(tmp_path: Path) -> None:
    """Unfinished files of another process, of this process and of another host are not removed."""
    path = tmp_path / "file"
    other = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "waits"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None and other.stdout is not None and other.stdout.readline() == "writing\n"
    (tmp_path / f".file.other-{HOST}.{NOBODY}.01234567-0.tmp").touch()
    with atomic_write(path) as outer:
        outer.write_text("outer")
        with atomic_write(path) as inner:
            inner.write_text("inner")
        assert path.read_text() == "inner" and outer.read_text() == "outer"
    assert path.read_text() == "outer"
    other.communicate()
    assert other.returncode == 0 and path.read_text() == "half"
    assert names(tmp_path) == {"file", f".file.other-{HOST}.{NOBODY}.01234567-0.tmp"}


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="needs Linux's PID namespaces")
def test_containers_of_one_host_name_are_told_apart() -> None:
    assert HOST.endswith(f"-pid-{Path('/proc/self/ns/pid').stat().st_ino}")


@pytest.mark.parametrize("process", [f"{NOBODY}.{LIFE}", f"{os.getpid()}.01234567"], ids=["gone", "had this number before"])
def test_what_is_removed(tmp_path: Path, process: str) -> None:
    (tmp_path / f".file.{HOST}.{process}-0.tmp").touch()
    (tmp_path / f".folder.{HOST}.{process}-1.tmp").mkdir()
    (tmp_path / f".folder.{HOST}.{process}-1.tmp" / "file").touch()
    foreign = {f".{HOST}.{process}-0.tmp", f".file.{process}-0.tmp", f".file.{HOST}.{process}-0.tmp.mine", f".a.{HOST}.b.tmp"}
    for name in foreign:
        (tmp_path / name).touch()
    with atomic_write(tmp_path / "file") as aside:
        aside.touch()
    assert names(tmp_path) == {"file", *foreign}
