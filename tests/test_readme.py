"""The README's examples run, and its commands are the ones that are tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[number], f"README.md, example {number + 1}", "exec"), {"__name__": "__main__"})


def test_there_are_three_examples_of_subclassing() -> None:
    section = README.split("\n## Subclass\n")[1].split("\n## ")[0]
    assert len(re.findall("```python", section)) == 3


def test_the_two_commands_are_lines_of_their_own() -> None:
    """.ci/run takes the test command from the README by its form; people copy both."""
    commands = re.findall(r"^python -m venv .venv && .venv/bin/pip install -c constraints.txt .*$", README, flags=re.MULTILINE)
    assert [command.rsplit("&& ")[-1].split()[:3] for command in commands] == [
        [".venv/bin/python", "-m", "rl_zoo3.train"],
        [".venv/bin/python", "-m", "pytest"],
    ]
