"""README and docs are right: examples run, options of commands exist, links have targets."""

import argparse
import importlib
import json
import re
import runpy
import shlex
import shutil
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NoReturn

import click
import pytest
import yaml

from sb3_breakout.registry import ALGORITHMS
from sb3_breakout.zoo.checks import check_hyperparameters
from tests.gameplay.conftest import SHORT, game, record

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts),
]
TUTORIAL = [
    "".join(cell["source"]) + "\n"
    for cell in json.loads((DOCS / "tutorial.ipynb").read_text())["cells"]
    if cell["cell_type"] == "code"
]
EXTRAS = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2].partition("\n[")[0]
OTHER_PROGRAMS = {"export", "ray", "source"}


def blocks(language: str) -> list[Any]:
    """All code blocks in a language, as parameters of a test. ``<!-- not run -->`` above a block means: only compile it."""
    pattern = re.compile(rf"(<!-- not run -->\n)?```{language}\n(.*?)```", flags=re.DOTALL)
    return [
        pytest.param(block, not mark, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (mark, block) in enumerate(pattern.findall(page.read_text()), start=1)
    ]


def commands() -> list[Any]:
    """All commands in bash blocks, and those in tables and sentences that begin with python, rl_zoo3 or sb3-breakout."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text()
        lines = "".join(re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)).splitlines()
        lines += re.findall(r"`((?:python|rl_zoo3|sb3-breakout) [^`]*)`", text)
        for line in lines:
            if "…" not in line and "..." not in line:
                found |= dict.fromkeys(filter(None, commands_of(line)))
    for line in "".join(TUTORIAL).splitlines():
        if line.startswith("!{sys.executable} "):
            found[line.replace("!{sys.executable}", "python").split(" | ")[0]] = None
    return [pytest.param(command, id=command) for command in found]


def commands_of(line: str) -> list[str]:
    """The commands in a line, split at ``&&`` and without its comment."""
    words = shlex.split(re.sub(r"\$[A-Z_]+", "0", line), comments=True)
    return [part.strip() for part in shlex.join(words).split("'&&'")]


@pytest.fixture(scope="module")
def ten_games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("docs") / "data"
    env = game(**SHORT)
    record(root, env, episodes=10)
    env.close()
    return root


@pytest.mark.parametrize(("example", "can_run"), blocks("python"))
def test_example_runs(
    example: str,
    can_run: bool,
    ten_games: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ten_games, "data")
    code = compile(example, request.node.name, "exec")
    if can_run:
        exec(code, {"__name__": "__main__"})


@pytest.mark.parametrize(("example", "_"), blocks("yaml"))
def test_yaml_parses(example: str, _: bool) -> None:
    assert isinstance(yaml.safe_load(example), dict)


def test_tutorial_parses() -> None:
    """A slow test runs it."""
    compile(re.sub("^!.*$", "", "".join(TUTORIAL), flags=re.MULTILINE), "tutorial.ipynb", "exec")


class Parsed(BaseException):
    """Raised once the options of a program have been parsed, instead of starting it."""


def parse(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> NoReturn:
    options, unknown = PARSE_KNOWN_ARGS(self, args, namespace)
    if unknown:
        self.error(f"unknown options: {unknown}")
    raise Parsed(options)


PARSE_KNOWN_ARGS = argparse.ArgumentParser.parse_known_args


@pytest.mark.parametrize("command", commands())
def test_options_of_command_exist(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *words = shlex.split(command.replace(".venv/bin/", ""))
    if "benchmarks.training.cluster" in words:
        pytest.importorskip("ray", reason="needs Ray, an extra")
    if program == "rl_zoo3":
        program, words = "python", ["-m", f"rl_zoo3.{words[0]}", *words[1:]]
    elif program == "sb3-breakout":
        program, words = "python", ["-m", "sb3_breakout", *words]
    if program == "make":
        assert all(re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE) for target in words)
    elif program == "pip":
        asked = {extra for extras in re.findall(r"\[([a-z0-9,]+)\]", command) for extra in extras.split(",")}
        assert asked <= set(re.findall(r"^(\w+) = \[", EXTRAS, flags=re.MULTILINE))
    elif program != "python":
        assert program in OTHER_PROGRAMS
    elif words[0] == "-m" and (words[1] in ("venv", "pytest") or len(words) == 2):
        assert find_spec(words[1])
    else:
        options = options_of_python(words, monkeypatch)
        if words[1] == "rl_zoo3.train" and options.algo in ALGORITHMS:
            algorithm = resolve_name(ALGORITHMS[options.algo])
            check_hyperparameters(options.algo, algorithm, options.hyperparams or {})


def start_command(self: click.Command, ctx: click.Context) -> NoReturn:
    raise Parsed(argparse.Namespace(**ctx.params))


def options_of_python(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """:return: the parsed options of a Python program, which is not run"""
    monkeypatch.setattr(click.Command, "invoke", start_command)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse)
    name, options = (words[1], words[2:]) if words[0] == "-m" else (words[0], words[1:])
    monkeypatch.setattr(sys, "argv", [name, *options])
    with warnings.catch_warnings(), pytest.raises((Parsed, SystemExit)) as ended:
        warnings.simplefilter("ignore")
        if words[0] != "-m":
            runpy.run_path(str(ROOT / name), run_name="__main__")
        elif name == "rl_zoo3.train":  # the module does not start train() itself
            importlib.import_module(name).train()
        else:
            runpy.run_module(name, run_name="__main__")
    if isinstance(ended.value, SystemExit):
        assert ended.value.code == 0 and words[-1] == "--help"
        return argparse.Namespace()
    return ended.value.args[0]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Sphinx make them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match("https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: {target.name} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_of_the_code_exist(page: Path) -> None:
    for name in re.findall(r"`([\w/]+/\w+\.(?:py|yml|csv))`", page.read_text()):
        assert (ROOT / name).exists() or (ROOT / "sb3_breakout" / name).exists(), name


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set()
    for page in (DOCS / "index.md", DOCS / "api" / "index.md"):
        for toctree in re.findall(r"```{toctree}\n(.*?)```", page.read_text(), flags=re.DOTALL):
            listed |= {page.parent / line for line in toctree.splitlines() if line and not line.startswith(":")}
    pages = {page.with_suffix("") for page in PAGES if DOCS in page.parents} - {DOCS / "index"}
    assert pages <= listed
    assert all(page.with_suffix(".md").exists() or page.with_suffix(".ipynb").exists() for page in listed)


def test_there_are_three_examples_of_subclassing() -> None:
    assert len(re.findall("```python", (DOCS / "guide" / "extend.md").read_text())) == 3


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 170
    assert len(README.split()) <= 900


def test_the_two_commands_are_lines_of_their_own() -> None:
    """Readers copy these two lines, and .ci/run finds the test command by its form."""
    found = re.findall(r"^python -m venv .venv && .venv/bin/pip install -c constraints.txt .*$", README, flags=re.MULTILINE)
    assert [command.rsplit("&& ")[-1].split()[:3] for command in found] == [
        [".venv/bin/python", "-m", "rl_zoo3.train"],
        [".venv/bin/python", "-m", "pytest"],
    ]
