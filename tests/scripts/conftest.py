"""How the tests call a script: in this process, as if it had been typed."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs ``script("record_videos", "--bulk")`` in an empty folder; its names."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *words: Any) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, words)])
        return runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")

    return run
