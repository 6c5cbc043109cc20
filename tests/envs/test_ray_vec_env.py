"""RayVecEnv on local Ray clusters: the same games as in AleVecEnv, on one node or several, and after nodes are lost."""

from __future__ import annotations

import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.vec_env import VecFrameStack

from sb3_breakout import DDQN
from sb3_breakout.envs import AleVecEnv, AtariPreprocessing
from tests.zoo.command_line import TRAIN, run

RAY_VEC_ENV = "sb3_breakout.envs.RayVecEnv"
MODULE = "sb3_breakout.envs.ray_vec_env"

pytestmark = pytest.mark.filterwarnings("default")  # some versions of Ray give FutureWarnings and leave files open


def games(cluster: Any, n_envs: int, games_per_actor: int = 2, wrapper: Any = AtariPreprocessing, **kwargs: Any) -> Any:
    on_cluster = dict(address=cluster.address, games_per_actor=games_per_actor)
    cls = import_module(MODULE).RayVecEnv
    return make_vec_env(
        "BreakoutNoFrameskip-v4", n_envs, 0, wrapper_class=wrapper, vec_env_cls=cls, vec_env_kwargs=on_cluster, **kwargs
    )


def same_games(n_envs: int, **kwargs: Any) -> AleVecEnv:
    env = make_vec_env("BreakoutNoFrameskip-v4", n_envs, 0, wrapper_class=AtariPreprocessing, vec_env_cls=AleVecEnv, **kwargs)
    assert isinstance(env, AleVecEnv)
    return env


def without_times(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [info | {"episode": {**info["episode"], "t": 0}} if "episode" in info else info for info in infos]


@pytest.mark.slow
def test_same_as_ale_vec_env(cluster: Any, tmp_path: Path) -> None:
    """Frames, rewards, dones, infos, reset_infos and monitor files are equal, over whole games, lost lives and truncations."""
    cluster.add_node(num_cpus=3)
    env_kwargs = dict(max_num_frames_per_episode=1201, repeat_action_probability=0.25)
    theirs = same_games(5, env_kwargs=env_kwargs, monitor_dir=str(tmp_path / "ale"))
    ours = games(cluster, 5, env_kwargs=env_kwargs, monitor_dir=str(tmp_path / "ray"))
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space
    rng = np.random.default_rng(0)
    ended: list[dict[str, Any]] = []
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    for _ in range(700):
        np.testing.assert_equal(ours.reset_infos, theirs.reset_infos)
        actions = rng.integers(4, size=5)
        obs, rewards, dones, infos = theirs.step(actions)
        our_obs, our_rewards, our_dones, our_infos = ours.step(actions)
        for array, our_array in ((obs, our_obs), (rewards, our_rewards), (dones, our_dones)):
            np.testing.assert_array_equal(array, our_array)
            assert array.dtype == our_array.dtype
        np.testing.assert_equal(without_times(our_infos), without_times(infos))
        ended += [info for info, done in zip(infos, dones, strict=True) if done]
    assert any(info["TimeLimit.truncated"] for info in ended) and any(info["lives"] > 0 for info in ended)
    ours.close()
    theirs.close()
    our_log, log = (load_results(str(tmp_path / name)) for name in ("ray", "ale"))
    assert len(log) > 5
    for column in ("r", "l"):
        assert sorted(our_log[column]) == sorted(log[column])


@pytest.mark.slow
def test_what_is_asked_of_a_vec_env(cluster: Any) -> None:
    cluster.add_node(num_cpus=2)
    ours, theirs = games(cluster, 3), same_games(3)
    assert ours.render_mode == theirs.render_mode
    assert ours.get_attr("frame_skip", [2, 0]) == [4, 4]
    assert ours.env_is_wrapped(Monitor) == ours.env_is_wrapped(AtariPreprocessing) == [True] * 3
    assert ours.env_method("get_episode_rewards", indices=1) == [[]]
    ours.set_attr("nickname", "ball", indices=[1, 2])
    assert ours.get_attr("nickname", [1, 2]) == ["ball", "ball"]
    assert ours.has_attr("frame_skip") and not ours.has_attr("nickname")
    with pytest.raises(NotImplementedError, match="DummyVecEnv"):
        ours.render("rgb_array")
    for env in (ours, theirs):
        env.reset()
        with pytest.raises(ValueError, match=r"Discrete\(4\)"):
            env.step(np.array([1, 2, 7]))
        env.close()


def node_of(share: Any) -> str:
    ray = import_module("ray")
    return ray.get(share.actor.__ray_call__.remote(lambda _: import_module("ray").get_runtime_context().get_node_id()))


def lose(cluster: Any, node: Any) -> None:
    """End a node, and wait until its actors have ended, since they may answer until then."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    actors = [each for each in raylet.children() if each.name().startswith("ray::GamesOnNod")]  # cut to 15 characters
    assert actors
    cluster.remove_node(node, allow_graceful=False)
    while any(lives(each) for each in actors):
        time.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
def test_one_of_two_nodes_is_lost(cluster: Any) -> None:
    """Lost games are truncated at their last observation; new games start on the other node, whose own are unaffected."""
    node = [cluster.add_node(num_cpus=2), cluster.add_node(num_cpus=2)][1]
    ours, theirs = games(cluster, 4), same_games(4)
    on_node = [share for share in ours._shares if node_of(share) == node.node_id]
    assert len(on_node) == 1, "actors are spread over the nodes"
    lost = on_node[0].games
    kept = np.delete(np.arange(4), lost)
    rng = np.random.default_rng(0)
    before = ours.reset()
    np.testing.assert_array_equal(before, theirs.reset())
    ends = 0
    for step in range(200):
        if step == 30:
            lose(cluster, node)
        actions = rng.integers(4, size=4)
        obs, rewards, dones, infos = ours.step(actions)
        for array, their_array in zip((obs, rewards, dones), theirs.step(actions), strict=False):
            known = slice(None) if step < 30 else kept
            np.testing.assert_array_equal(array[known], their_array[known])
        if step == 30:
            assert not rewards[lost].any() and dones[lost].all()
            for info, seen in zip(infos[lost], before[lost], strict=True):
                assert info["TimeLimit.truncated"] and "episode" not in info
                np.testing.assert_array_equal(info["terminal_observation"], seen)
            assert [info["lives"] for info in ours.reset_infos[lost]] == [5, 5]
            np.testing.assert_equal([ours.reset_infos[game] for game in kept], [theirs.reset_infos[game] for game in kept])
        elif step > 30:
            ends += dones[lost].sum()
            assert (obs[lost] != before[lost]).any(), "the new games go on"
        before = obs
    assert ends > 0
    ours.close()
    theirs.close()


@pytest.mark.slow
def test_actor_that_does_not_answer(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor that does not answer is killed, so that its CPU is free for its replacement."""
    cluster.add_node(num_cpus=1)
    ray, module = import_module("ray"), import_module(MODULE)
    env = games(cluster, 2)
    env.reset()
    process = ray.get(env._shares[0].actor.__ray_call__.remote(lambda _: os.getpid()))
    monkeypatch.setattr(module, "SECONDS_TO_ANSWER", 5.0)
    os.kill(process, signal.SIGSTOP)
    assert env.get_attr("frame_skip") == [4, 4]
    _, _, dones, _ = env.step(np.zeros(2, int))
    assert dones.all(), "the games that were lost are truncated"
    assert not env.step(np.zeros(2, int))[2].any()
    env.close()


class LosesNodes(BaseCallback):
    """
    Ends the only node that plays, after certain steps, and adds another one.

    :param cluster: Ray cluster whose other nodes have no CPU
    :param node: node that plays
    :param steps: numbers of ``VecEnv`` steps after which the node is lost
    """

    def __init__(self, cluster: Any, node: Any, steps: list[int]) -> None:
        super().__init__()
        self.cluster, self.node, self.steps = cluster, node, steps
        self.truncated = 0

    def _on_step(self) -> bool:
        self.truncated += sum(info["TimeLimit.truncated"] for info in self.locals["infos"])
        if self.n_calls in self.steps:
            lose(self.cluster, self.node)
            self.node = self.cluster.add_node(num_cpus=1)
        return True


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [False, True])
def test_training_that_loses_its_node_three_times(cluster: Any, overlap: bool) -> None:
    """Training continues on a node that joins later. Each loss is stored as a timeout; there are no other timeouts."""
    cluster.add_node(num_cpus=0)
    node = cluster.add_node(num_cpus=1)
    env = VecFrameStack(games(cluster, 2, wrapper_kwargs=dict(screen_size=36)), 3)
    settings: dict[str, Any] = dict(buffer_size=1_000, batch_size=8, learning_starts=100, train_freq=4, seed=0, device="cpu")
    model = DDQN("CnnPolicy", env, overlap_updates=overlap, **settings)
    callback = LosesNodes(cluster, node, [40, 80, 150])
    model.learn(400, callback=callback)
    assert callback.truncated == 3 * 2
    buffer: Any = model.replay_buffer
    rows, _ = np.nonzero(buffer.timeouts[:200])
    assert rows.tolist() == [40, 40, 80, 80, 150, 150], "the step after"
    assert not buffer.rewards[rows].any()
    buffer.check_valid()
    env.close()


@pytest.mark.slow
def test_clusters_that_cannot_play(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few CPUs, other versions, crashing games and busy CPUs are clear errors; none hangs."""
    module = import_module(MODULE)
    cluster.add_node(num_cpus=2)
    with pytest.raises(module.ClusterError, match=r"5 games in 3 actors need 3 CPUs, the cluster has 2 CPUs, 2 of them free"):
        games(cluster, 5)

    versions = module._versions()
    monkeypatch.setattr(module, "_versions", lambda: versions | {"ale-py": "0.1"})
    with pytest.raises(module.ClusterError, match=r"Node .+ has ale-py .+ \(learner: 0\.1\)\. Each node needs"):
        games(cluster, 1)
    monkeypatch.undo()

    learner = os.getpid()

    class Crashing(gym.Wrapper):
        """Ends the process at the first step, if it is an actor's."""

        def step(self, action: int) -> Any:
            return self.env.step(action) if os.getpid() == learner else os._exit(1)

    env = games(cluster, 1, wrapper=lambda env: Crashing(AtariPreprocessing(env)))
    env.reset()
    assert env.step(np.zeros(1, int))[2].all()
    env.close()

    class CrashingAtOnce(gym.Wrapper):
        def reset(self, **kwargs: Any) -> Any:
            return self.env.reset(**kwargs) if os.getpid() == learner else os._exit(1)

    with pytest.raises(module.ClusterError, match="An actor was lost 4 times in a row"):
        games(cluster, 1, wrapper=lambda env: CrashingAtOnce(AtariPreprocessing(env)))

    busy = games(cluster, 4)
    monkeypatch.setattr(module, "SECONDS_TO_START", 2.0)
    with pytest.raises(module.ClusterError, match="within 2 seconds: the cluster has 2 CPUs, 0 of them free"):
        games(cluster, 1)
    busy.close()


@pytest.mark.slow
def test_in_the_zoo(cluster: Any, tmp_path: Path) -> None:
    """RL Zoo needs only ``vec_env_class``; the address comes from ``RAY_ADDRESS``. Monitor files are in the run folder."""
    cluster.add_node(num_cpus=1)
    hyperparams = ("learning_starts:300", "batch_size:8", "buffer_size:1000", "n_envs:2", f"vec_env_class:'{RAY_VEC_ENV}'")
    arguments = ("--env", "BreakoutNoFrameskip-v4", "-f", "logs", "-n", "400", "--eval-freq", "200", "--eval-episodes", "1")
    run(*TRAIN, *arguments, "-params", *hyperparams, folder=tmp_path, RAY_ADDRESS=cluster.address)
    folder = tmp_path / "logs" / "ddqn_per" / "BreakoutNoFrameskip-v4_1"
    assert {path.name for path in folder.glob("*.monitor.csv")} >= {"0.monitor.csv", "1.monitor.csv"}
    assert (folder / "BreakoutNoFrameskip-v4.zip").exists()


def test_bad_number_of_games() -> None:
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="games_per_actor must be a whole number of at least 1, received 0"):
        import_module(MODULE).RayVecEnv([], games_per_actor=0)


def test_ray_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray the package still imports; only using the class raises an error, which names the extra to install."""
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in (MODULE, "sb3_breakout.common.cluster"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=r"pip install \"sb3-breakout\[ray\]\""):
        getattr(import_module("sb3_breakout.envs"), "RayVecEnv")  # noqa: B009
