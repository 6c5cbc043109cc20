"""Collecting on local Ray clusters gives the dataset of a single process, also if nodes are lost."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sb3_breakout import DDQN
from sb3_breakout.agents import Game
from sb3_breakout.gameplay.collect.agents import Agent, parse_agents
from sb3_breakout.gameplay.collect.collection import Conditions, Job, collect, missing_games
from sb3_breakout.gameplay.dataset.indexes import rebuild_indexes
from sb3_breakout.gameplay.dataset.layout import GameplayFolder
from sb3_breakout.gameplay.dataset.verification import verify_dataset
from tests.gameplay.collect.test_collection import COLLECT
from tests.gameplay.conftest import content_of
from tests.zoo.command_line import run

MODULE = "sb3_breakout.gameplay.collect.ray_cluster"
EPISODES = 12
ARGUMENTS = ("--agents", "random", "ddqn_per:best", "--q-values", "--seed", "3")

Jobs = Callable[[Path], list[Job]]

pytestmark = pytest.mark.filterwarnings("default")  # some versions of Ray give FutureWarnings and leave files open


@pytest.fixture
def two_nodes(cluster: Any) -> Any:
    """A cluster of two nodes, each of which plays one game at a time."""
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    return cluster


@pytest.fixture(scope="module")
def jobs(logs: Path) -> Jobs:
    """Makes a folder a dataset and returns the jobs of its missing games."""

    def in_folder(root: Path) -> list[Job]:
        folder = GameplayFolder(root)
        folder.claim()
        agents = parse_agents(["random", "ddqn_per:best"], logs)
        return missing_games(folder, agents, EPISODES, Conditions(with_q_values=True, seed=3))

    return in_folder


@pytest.fixture(scope="module")
def expected(jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The dataset as a single process collects it: file names and contents."""
    root = tmp_path_factory.mktemp("expected")
    list(collect(jobs(root)))
    rebuild_indexes(GameplayFolder(root), 3)
    return content_of(root)


def check(root: Path, expected: dict[str, bytes]) -> None:
    rebuild_indexes(GameplayFolder(root), 3)
    assert GameplayFolder(root).numbers() == list(range(1, EPISODES + 1))
    assert [fault for _, fault in verify_dataset(GameplayFolder(root))] == [None] * (EPISODES + 1)  # + 1: the indexes
    assert content_of(root) == expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_one_of_two_nodes_is_lost(two_nodes: Any, jobs: Jobs, expected: dict[str, bytes], tmp_path: Path, seed: int) -> None:
    """If a node is lost at a random moment while both play, each episode is still collected exactly once."""
    collect_on_ray = import_module(MODULE).collect_on_ray
    rng = np.random.default_rng(seed)
    last = rng.integers(1, EPISODES - 4)
    numbers = []
    for number in collect_on_ray(jobs(tmp_path), two_nodes.address):
        numbers.append(number)
        if len(numbers) == last:
            time.sleep(rng.uniform(0, 0.5))
            two_nodes.remove_node(next(iter(two_nodes.worker_nodes)), allow_graceful=False)
    assert sorted(numbers) == list(range(1, EPISODES + 1))
    check(tmp_path, expected)


@pytest.mark.slow
def test_the_only_node_that_plays_is_lost(cluster: Any, jobs: Jobs, expected: dict[str, bytes], tmp_path: Path) -> None:
    """Games that had not arrived are played again on a node that joins later."""
    collect_on_ray = import_module(MODULE).collect_on_ray
    cluster.add_node(num_cpus=0)
    node = cluster.add_node(num_cpus=2)
    numbers = []
    for number in collect_on_ray(jobs(tmp_path), cluster.address):
        numbers.append(number)
        if len(numbers) == 3:
            cluster.remove_node(node, allow_graceful=False)
            cluster.add_node(num_cpus=1)
    assert sorted(numbers) == list(range(1, EPISODES + 1))
    check(tmp_path, expected)


@pytest.mark.slow
def test_command_goes_on(two_nodes: Any, logs: Path, jobs: Jobs, expected: dict[str, bytes], tmp_path: Path) -> None:
    """The cluster completes a collection that was stopped after some games. Ray's own messages are not shown."""
    arguments = (*COLLECT, "--output", "data", "--episodes", str(EPISODES), "-f", logs, *ARGUMENTS)
    list(collect(jobs(tmp_path / "data")[2:5]))
    output = run(*arguments, "--ray", two_nodes.address, folder=tmp_path)
    assert f"data: {EPISODES} episodes" in output and "INFO" not in output
    check(tmp_path / "data", expected)
    assert f"data: {EPISODES} episodes" in run(*arguments, folder=tmp_path)  # nothing is missing, with or without Ray
    assert content_of(tmp_path / "data") == expected


@pytest.mark.slow
def test_games_that_fail(two_nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent's exception is raised at once. A game whose process ends every time is given up."""
    module = import_module(MODULE)
    DDQN("MlpPolicy", "CartPole-v1", buffer_size=100, device="cpu").save(tmp_path / "cartpole")
    agents = parse_agents([str(tmp_path / "cartpole.zip")], tmp_path)
    jobs = missing_games(GameplayFolder(tmp_path / "data"), agents, 50, Conditions())
    with pytest.raises(module.ClusterError, match=r"Game \d+ .* cartpole: .* observations of shape \(4,\).* \(node .+\)"):
        list(module.collect_on_ray(jobs, two_nodes.address))

    class Crashing(Agent):
        def load(self, env: Any) -> Any:
            os._exit(1)

    monkeypatch.setattr(module, "LOST_AT_MOST", 1)
    jobs = missing_games(GameplayFolder(tmp_path / "data"), [Crashing("crashing", 1.0, Game())], 1, Conditions())
    with pytest.raises(module.ClusterError, match="Game 1 cannot be played on this cluster"):
        list(module.collect_on_ray(jobs, two_nodes.address))
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_stopped_collection(two_nodes: Any, jobs: Jobs, expected: dict[str, bytes], tmp_path: Path) -> None:
    """A collection closed in the middle leaves only whole episodes, and frees the cluster for others."""
    collect_on_ray = import_module(MODULE).collect_on_ray
    with closing(collect_on_ray(jobs(tmp_path), two_nodes.address)) as games:
        first = [next(games), next(games)]
    assert GameplayFolder(tmp_path).numbers() == sorted(first)
    assert {name for name in content_of(tmp_path) if "episode_" in name} < expected.keys()
    list(collect_on_ray(jobs(tmp_path), two_nodes.address))
    check(tmp_path, expected)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1"])
def test_no_cluster_there(address: str) -> None:
    pytest.importorskip("ray")
    module = import_module(MODULE)
    before = time.monotonic()
    with pytest.raises(module.ClusterError, match=f"cannot be reached at {address}: "):
        list(module.collect_on_ray([], address))
    assert time.monotonic() - before < 10


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in (MODULE, "sb3_breakout.common.cluster"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=r"pip install \"sb3-breakout\[ray\]\""):
        import_module(MODULE)


def test_either_workers_or_a_cluster(tmp_path: Path) -> None:
    output = run(*COLLECT, "--output", "data", "--workers", "2", "--ray", "auto", folder=tmp_path, code=2)
    assert "received --workers 2" in output and not (tmp_path / "data").exists()
