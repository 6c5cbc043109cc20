"""RayVecEnv on Ray clusters of this machine: AleVecEnv's games, wherever they play and whatever becomes of the nodes."""

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
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.vec_env import VecEnv, VecFrameStack

from sb3_breakout import DDQN
from sb3_breakout.envs import AleVecEnv, AtariPreprocessing

MODULE = "sb3_breakout.envs.ray_vec_env"

pytestmark = pytest.mark.filterwarnings("default")  # some versions of Ray warn of their own future and leave files open


def games(cluster: Any, n_envs: int, games_per_actor: int = 2, wrapper: Any = AtariPreprocessing, **kwargs: Any) -> Any:
    on_cluster = dict(address=cluster.address, games_per_actor=games_per_actor)
    cls = import_module(MODULE).RayVecEnv
    return make_vec_env(
        "BreakoutNoFrameskip-v4", n_envs, 0, wrapper_class=wrapper, vec_env_cls=cls, vec_env_kwargs=on_cluster, **kwargs
    )


def same_games(n_envs: int, **kwargs: Any) -> AleVecEnv:
    env = make_vec_env(
        "BreakoutNoFrameskip-v4", n_envs, 0, wrapper_class=AtariPreprocessing, vec_env_cls=AleVecEnv, **kwargs
    )
    assert isinstance(env, AleVecEnv)
    return env


def without_times(infos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [info | {"episode": {**info["episode"], "t": 0}} if "episode" in info else info for info in infos]


@pytest.mark.slow
def test_same_as_ale_vec_env(cluster: Any, tmp_path: Path) -> None:
    """Frames, rewards, dones, infos, reset_infos and monitor files: whole games, lost lives and truncated games."""
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
