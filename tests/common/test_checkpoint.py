"""A file under its final name is always complete."""

import io
import zipfile
from pathlib import Path

import pytest

from sb3_breakout.common.checkpoint import atomic_open, incomplete_explained


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_bytes(b"before")
    with pytest.raises(OSError, match="full"), atomic_open(tmp_path / "model", ".zip") as file:
        file.write(b"half")
        raise OSError("disk full")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model.zip", b"before")]


@pytest.mark.parametrize(("name", "expected"), [("model", "model.zip"), ("model.zip", "model.zip"), ("model.v2", "model.v2")])
def test_names(tmp_path: Path, name: str, expected: str) -> None:
    with atomic_open(str(tmp_path / name), ".zip") as file:
        file.write(b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(expected, b"whole")]


def test_an_open_file_is_written_to_as_it_is() -> None:
    memory = io.BytesIO()
    with atomic_open(memory, ".zip") as file:
        file.write(b"whole")
    assert memory.getvalue() == b"whole"


def test_what_is_wrong_with_a_file_is_said_and_other_errors_are_not_touched() -> None:
    with pytest.raises(ValueError, match=r"m\.zip is not a complete checkpoint"), incomplete_explained("m.zip"):
        raise ValueError("of SB3") from zipfile.BadZipFile()
    with pytest.raises(ValueError, match="spaces"), incomplete_explained("m.zip"):
        raise ValueError("spaces do not match")
