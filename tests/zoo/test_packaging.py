"""The package installed by pip, outside of the checkout: it works, and ``pip uninstall`` removes all of it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import sb3_breakout
from tests.zoo.command_line import run

CHECKOUT = Path(sb3_breakout.__file__).parent.parent
HOOK = ("sb3_breakout.pth", "sb3_breakout.start", "sb3_breakout_startup.py")
PARTS = ("sb3_breakout", "hyperparams", "rl-trained-agents", *HOOK, "pyproject.toml", "README.md", "LICENSE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHECKOUT / "pyproject.toml").is_file(), reason="needs the checkout to install from"),
]


class Environment:
    """
    A fresh virtual environment that can import the dependencies of the tests. It ignores their .pth files, so that no
    other sb3_breakout starts in it.
    """

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site_packages = Path(run(self.python, "-c", code, folder=folder).strip())
        (self.site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def pip(self, *arguments: str | Path) -> str:
        return run(self.python, "-m", "pip", *arguments, folder=self.elsewhere)

    def zoo(self, script: str, *arguments: str) -> str:
        command = (self.python, "-m", f"rl_zoo3.{script}", "--algo", "ddqn_per", "--env", "CartPole-v1", "-f", "logs")
        return run(*command, *arguments, folder=self.elsewhere)

    def files(self) -> set[Path]:
        return {path for path in self.site_packages.rglob("*") if "pip" not in path.relative_to(self.site_packages).parts}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that the package is built from, without other files of the checkout."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    copy = tmp_path / "source"
    copy.mkdir()
    archive = subprocess.run(["tar", "-c", "--exclude=__pycache__", *PARTS], cwd=CHECKOUT, check=True, capture_output=True)
    subprocess.run(["tar", "-x"], cwd=copy, input=archive.stdout, check=True)
    return copy


@pytest.fixture(params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, source: Path, tmp_path: Path) -> Iterator[Environment]:
    environment = Environment(tmp_path)
    before = environment.files()
    options = ("--no-deps", "--no-build-isolation")
    if request.param == "wheel":
        environment.pip("wheel", *options, "-w", tmp_path / "dist", source)
        (wheel,) = (tmp_path / "dist").iterdir()
        agents = sum(path.stat().st_size for path in source.glob("rl-trained-agents/*/*/*.zip"))
        assert wheel.stat().st_size <= agents + 1_000_000  # only the agents are large
        environment.pip("install", "--no-deps", wheel)
    else:
        environment.pip("install", *options, "-e", source)
    yield environment
    environment.pip("uninstall", "-y", "sb3-breakout")
    assert environment.files() == before
    assert "ddqn_per" not in run(environment.python, "-m", "rl_zoo3.train", "--help", folder=environment.elsewhere)


def test_installed_package_trains_plays_and_records(installed: Environment):
    code = "import sb3_breakout; print(sb3_breakout.__file__)"
    package = Path(run(installed.python, "-c", code, folder=installed.elsewhere).strip())
    assert installed.site_packages.parents[3] in package.parents and CHECKOUT not in package.parents

    output = installed.zoo("train", "-n", "208", "--eval-freq", "-1", "-P", "-params", "learning_starts:100")
    assert f"{Path('hyperparams', 'ddqn_per.yml')}" in output
    assert "100% | 208/208 steps" in output
    assert "Mean reward" in installed.zoo("enjoy", "-n", "100", "--no-render")
    installed.zoo("record_video", "-n", "20", "-o", "by_module")
    console = "import sys, rl_zoo3.cli; sys.argv[0] = 'rl_zoo3'; rl_zoo3.cli.main()"
    record = ("record_video", "--algo", "ddqn_per", "--env", "CartPole-v1", "-f", "logs", "-n", "20", "-o", "by_command")
    run(installed.python, "-c", console, *record, folder=installed.elsewhere)
    for videos in ("by_module", "by_command"):
        assert list((installed.elsewhere / videos).glob("*.mp4"))


def test_installed_package_brings_its_agents_and_its_command(installed: Environment):
    command = installed.python.with_name("sb3-breakout")
    assert "ddqn_per/BreakoutNoFrameskip-v4_1, trained for" in run(command, "agents", folder=installed.elsewhere)
    options = ("--algo", "ddqn_per", "--env", "BreakoutNoFrameskip-v4", "-n", "30", "--no-render")
    output = run(installed.python, "-m", "rl_zoo3.enjoy", *options, folder=installed.elsewhere)
    assert "Copying the agent that comes with sb3_breakout" in output and "Loading rl-trained-agents" in output


def test_editable_install_whose_folder_is_gone(source: Path, tmp_path: Path):
    environment = Environment(tmp_path)
    environment.pip("install", "--no-deps", "--no-build-isolation", "-e", source)
    code = "import sys; print([each.__name__ for each in sys.meta_path if each.__module__.startswith('sb3')])"
    assert run(environment.python, "-c", code, folder=environment.elsewhere) == "['ZooFinder']\n"
    shutil.rmtree(source)
    assert run(environment.python, "-c", code, folder=environment.elsewhere) == "[]\n"
    environment.pip("uninstall", "-y", "sb3-breakout")
    assert not list(environment.site_packages.glob("*sb3_breakout*"))
