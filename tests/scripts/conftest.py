"""Runs scripts in this process, as on the command line."""

import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@contextmanager
def suppress_success() -> Iterator[None]:
    """Click ends every command with SystemExit. Only failures are raised."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Runs ``script("record_videos", "--bulk")`` in an empty folder; raises SystemExit where it fails."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: Any) -> None:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        with suppress_success():
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")

    return run
