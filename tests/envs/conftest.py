"""Shared by the tests of the environments: games under a Monitor, as make_vec_env builds them, and a way to play them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import ale_py
import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import Monitor

gym.register_envs(ale_py)


class Step(NamedTuple):
    """One agent step: the observation before it, the action, and the results."""

    seen: np.ndarray  # the observation before the action
    action: int
    obs: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


@pytest.fixture
def game() -> Iterable[Callable[..., gym.Env]]:
    """Builds games, and closes them after the test: ``game(max_num_frames_per_episode=100)``."""
    games = []

    def make(game_id: str = "BreakoutNoFrameskip-v4", **env_kwargs: Any) -> gym.Env:
        games.append(Monitor(gym.make(game_id, **env_kwargs)))
        return games[-1]

    yield make
    for env in games:
        env.close()


@pytest.fixture
def play() -> Callable[..., list[Step]]:
    """Plays a list of actions, resetting where an episode ends: ``play(env, actions, seed=0)``."""

    def run(env: gym.Env, actions: Iterable[int], seed: int = 0) -> list[Step]:
        steps = []
        seen, _ = env.reset(seed=seed)
        for action in actions:
            obs, reward, terminated, truncated, info = env.step(int(action))
            steps.append(Step(seen, int(action), obs, float(reward), terminated, truncated, info))
            seen = env.reset()[0] if terminated or truncated else obs
        return steps

    return run


@pytest.fixture
def random_actions() -> Callable[..., np.ndarray]:
    """Draws random actions for Breakout: ``random_actions(1000, seed=0)``."""
    return lambda count, seed=0: np.random.default_rng(seed).integers(4, size=count)


class Always:
    """A model with SB3's ``predict`` that always takes the same action."""

    def __init__(self, action: int) -> None:
        self.action = action

    def predict(self, observation: np.ndarray, state: Any = None, **_: Any) -> tuple[np.ndarray, Any]:
        return np.full(len(observation), self.action), state


@pytest.fixture
def always() -> type[Always]:
    """Builds agents that repeat one action: ``always(NOOP)``."""
    return Always
