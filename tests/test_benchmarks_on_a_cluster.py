"""Benchmarks of many trainings on a local Ray cluster, which may lose a node."""

import re
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("default")  # some versions of Ray give FutureWarnings and leave files open

PROGRAMS = "ablation ablation_breakout original_values overlap rnd_breakout rnd_deepsea yaml_values".split()


def files_in(folder: Path) -> dict[Path, int]:
    """Modification time of every file."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_cluster_trains(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing trainings, and only those, are sent to the given cluster; nothing is trained locally."""
    if not program.startswith("rnd"):
        pytest.importorskip("rliable")
    zoo_runs, asked = import_module("benchmarks.learning.zoo_runs"), []

    class Stop(Exception):
        pass

    def on_cluster(train: Any, jobs: Any, address: str, kept: Any) -> None:
        asked.append((jobs, address))
        raise Stop

    monkeypatch.setattr(zoo_runs, "_on_cluster", on_cluster)
    monkeypatch.setattr(sys, "argv", [program, "--ray", "FIRST:6379", "-f", str(tmp_path)])
    main = import_module(f"benchmarks.learning.{program}").main
    with pytest.raises(Stop):
        main()
    ((jobs, address),) = asked
    folders = [folder for _, folder in jobs]
    assert address == "FIRST:6379"
    assert len({*folders}) == len(folders) > 1 and all(folder.is_relative_to(tmp_path) for folder in folders)

    folders[0].mkdir(parents=True)
    (folders[0] / zoo_runs.RESULT).touch()
    with pytest.raises(Stop):
        main()
    assert [folder for _, folder in asked[1][0]] == folders[1:]


def write_files(task: str, folder: Path) -> None:
    """A training that only writes its files."""
    for name in ("curves/a.csv", "curves/b.csv", "model.zip", "evaluations.npz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{task}: {name}")


@pytest.mark.slow
def test_files_that_come_back(cluster: Any, tmp_path: Path) -> None:
    from benchmarks.learning.zoo_runs import finish

    cluster.add_node(num_cpus=1)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "of an unfinished training").touch()
    finish(write_files, [(task, tmp_path / task) for task in ("one", "two")], 1, cluster.address, kept=["curves/*.csv"])
    for task in ("one", "two"):
        folder = tmp_path / task
        files = {str(path.relative_to(folder)): path.read_text() for path in files_in(folder)}
        assert files == {name: f"{task}: {name}" for name in ("curves/a.csv", "curves/b.csv", "evaluations.npz")}


@pytest.mark.slow
def test_command_line(cluster: Any, tmp_path: Path) -> None:
    """Cluster and local trainings give the same table, except processor seconds. Repeating the command trains nothing."""

    def table(*arguments: str) -> str:
        command = [sys.executable, "-m", "benchmarks.learning.rnd_deepsea", "--size", "4", "--steps", "1500", "--seeds", "0"]
        output = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True).stdout
        return re.sub(r"\d+ \|\n", "|\n", output)

    cluster.add_node(num_cpus=2)
    on_cluster = ("--ray", cluster.address, "-f", str(tmp_path / "there"))
    first = table(*on_cluster)
    assert "| ddqn_rnd | 0 |" in first and "ddqn_per: " in first
    files = files_in(tmp_path / "there")
    assert len(files) == 2
    assert table(*on_cluster) == first
    assert files_in(tmp_path / "there") == files
    assert table("-f", str(tmp_path / "here")) == first


@pytest.mark.slow
def test_trainings_that_lose_a_node(cluster: Any, tmp_path: Path) -> None:
    """After a node is lost, every training has its evaluations, equal to those of a local training. None is repeated."""
    pytest.importorskip("minatar")
    from benchmarks.learning.minatar_runs import Runs
    from benchmarks.learning.zoo_runs import Variant, evaluations

    cluster.add_node(num_cpus=1)
    node = cluster.add_node(num_cpus=1)
    variants = {"ddqn_per": Variant(["learning_starts:100"]), "1-step": Variant(["learning_starts:100", "n_steps:1"])}

    def lose_node() -> None:
        while not list(tmp_path.rglob("evaluations.npz")):
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)

    thread = threading.Thread(target=lose_node)
    thread.start()
    runs = Runs(variants, (0, 1), 500, tmp_path / "there")
    runs.finish(processes=1, cluster=cluster.address)
    thread.join()
    files = files_in(tmp_path)
    assert len(files) == 4 and {path.name for path in files} == {"evaluations.npz"}

    runs.finish(processes=1, cluster=cluster.address)
    assert files == files_in(tmp_path)

    here = Runs({"1-step": variants["1-step"]}, (1,), 500, tmp_path / "here")
    here.finish(processes=1)
    for theirs, ours in zip(*(evaluations(each._folder(1, "1-step")) for each in (runs, here)), strict=True):
        np.testing.assert_array_equal(theirs, ours)
