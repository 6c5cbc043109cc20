"""Training can continue after a callback or Ctrl-C ended ``learn()`` in the middle of a step, as with SB3's DQN."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import Env, spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecNormalize

from sb3_breakout import DDQN
from sb3_breakout.ddqn.exploration import Boltzmann
from tests.ddqn.environments import Corridor

FAST: dict[str, Any] = dict(learning_starts=20, batch_size=8, buffer_size=300, seed=0, device="cpu")


def stacks(n_envs: int = 1) -> VecEnv:
    return VecFrameStack(make_vec_env("CartPole-v1", n_envs), 4)


class EndsAt(BaseCallback):
    def __init__(self, step: int, interrupted: bool) -> None:
        super().__init__()
        self.step, self.interrupted = step, interrupted

    def _on_step(self) -> bool:
        if self.num_timesteps >= self.step and self.interrupted:
            raise KeyboardInterrupt
        return self.num_timesteps < self.step


@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("step", range(40, 46))
def test_goes_on(step: int, interrupted: bool) -> None:
    """At whichever step it was stopped, training continues with a consistent buffer. The environment is reset."""
    model = DDQN("MlpPolicy", stacks(), **FAST)
    try:
        model.learn(200, EndsAt(step, interrupted))
    except KeyboardInterrupt:
        assert interrupted
    model.learn(60, reset_num_timesteps=False)
    assert model.num_timesteps == step + 60
    assert model.replay_buffer.size() == step + 60 - 1  # the interrupted step was never stored
    model.replay_buffer.check_valid()


class Numbered(Env[np.ndarray, int]):
    """Observations are the numbers of the episode and the step; an episode has five steps."""

    observation_space = spaces.Box(0.0, 1000.0, (2,), np.float32)
    action_space = spaces.Discrete(2)
    episode = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.episode += 1
        self.t = 0
        return np.array([self.episode, 0], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        return np.array([self.episode, self.t], np.float32), 1.0, self.t == 5, False, {}


@pytest.mark.parametrize("step", range(40, 45))
def test_no_transition_leads_into_another_episode(step: int) -> None:
    model = DDQN("MlpPolicy", Numbered(), **FAST).learn(100, EndsAt(step, interrupted=False))
    model.learn(30, reset_num_timesteps=False)
    batch = model.replay_buffer.sample(200)
    np.testing.assert_array_equal(batch.observations[:, 0], batch.next_observations[:, 0])


def load_without_buffer(model: DDQN, folder: Path) -> DDQN:
    model.save(folder / "model")
    return DDQN.load(folder / "model", env=model.get_env(), force_reset=False)


def empty_buffer(model: DDQN, folder: Path) -> DDQN:
    model.replay_buffer.reset()
    return model


def load_older_buffer(model: DDQN, folder: Path) -> DDQN:
    model.save_replay_buffer(folder / "buffer")
    model.learn(11, reset_num_timesteps=False)
    model.load_replay_buffer(folder / "buffer")
    return model


@pytest.mark.parametrize("change", [load_without_buffer, empty_buffer, load_older_buffer])
@pytest.mark.filterwarnings("ignore:.*was saved at step", "ignore:No update before")
def test_goes_on_with_another_buffer(change: Callable[[DDQN, Path], DDQN], tmp_path: Path) -> None:
    model = DDQN("MlpPolicy", stacks(), **FAST).learn(29)
    change(model, tmp_path).learn(40, reset_num_timesteps=False)


class Spike(Env[np.ndarray, int]):
    """A feature that is 0 until the last step, where it is 1 and VecNormalize clips it."""

    observation_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.t = 0
        return np.array([0.5, 0.0], np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.t += 1
        over = self.t == 200
        return np.array([0.01 * (self.t % 7), float(over)], np.float32), 1.0, over, False, {}


def test_terminal_observations_that_were_clipped() -> None:
    env = VecNormalize(VecFrameStack(DummyVecEnv([Spike]), 4))
    model = DDQN("MlpPolicy", env, **FAST | dict(learning_starts=610, buffer_size=1000)).learn(620)
    assert model.replay_buffer.dones.sum() == 3


class ByViews(BaseFeaturesExtractor):
    """Flattens with ``view``, which needs contiguous memory."""

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space, 6)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        return observations.view(-1, 3).view(len(observations), -1)


class NatureByViews(NatureCNN):
    def forward(self, observations: th.Tensor) -> th.Tensor:
        return self.linear(self.cnn[:-1](observations).view(len(observations), -1))


def test_extractors_may_take_views() -> None:
    env = VecFrameStack(make_vec_env(Corridor, n_envs=2), 1)
    by_views = dict(features_extractor_class=ByViews)
    assert DDQN("MlpPolicy", env, policy_kwargs=by_views, **FAST | dict(n_steps=3)).learn(60)._n_updates > 0
    pixels = dict(features_extractor_class=NatureByViews, features_extractor_kwargs=dict(features_dim=8))
    assert DDQN("CnnPolicy", Corridor("image"), policy_kwargs=pixels, autocast=False, **FAST).learn(40)._n_updates > 0


def test_an_exploration_rule_is_each_models_own() -> None:
    rule = Boltzmann(1.0, 0.05, 0.9, 1.0, "q_spread")
    for _ in range(2):
        model = DDQN("MlpPolicy", Corridor(), exploration=rule, **FAST)
        assert model.temperature == 1.0
        assert model.learn(100).temperature < 1.0
