"""Wrong arguments and broken environments: a clear error, before or at the fault."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer

from sb3_breakout import DDQN
from tests.ddqn.environments import Corridor, Faulty

FAST: dict[str, Any] = dict(learning_starts=10, buffer_size=1000, batch_size=16, seed=0)

BAD_ARGUMENTS = [
    (dict(exploration="softmax"), r"exploration must be one of 'boltzmann', 'epsilon_greedy', received 'softmax'"),
    (dict(temperature_scale="q"), r"temperature_scale must be one of 'q_spread', 'raw', received 'q'"),
    (dict(temperature_initial=0.0), "temperature_initial must be a number above 0, received 0.0"),
    (dict(temperature_min=-1), "temperature_min must be a number above 0, received -1"),
    (dict(temperature_decay=1.5), r"temperature_decay must be a number in \[0, 1\], received 1.5"),
    (dict(temperature_slowdown=0), "temperature_slowdown must be a number above 0, received 0"),
    (dict(n_steps=-3), "n_steps must be a whole number of at least 1, got -3"),
    (dict(n_steps=2.5), "n_steps must be a whole number of at least 1, a pair of them .*, not 2.5"),
    (dict(n_steps=[3, 0]), "n_steps must be a whole number of at least 1, got 0"),
    (dict(n_steps=(3, 1, 2.0)), r"n_steps must be .* a triple .* not \(3, 1, 2.0\)"),
    (dict(n_steps=lambda remaining: 2 * remaining), "n_steps must be a whole number of at least 1, got 0"),
    (dict(n_steps=(1, 2000)), "buffer_size=1000 leaves 1000 .* n_steps=2000"),
    (dict(gamma=1.1), r"gamma must be a number in \[0, 1\], received 1.1"),
    (dict(evaluation_epsilon="0.1"), r"evaluation_epsilon must be a number in \[0, 1\], received '0.1'"),
    (dict(learning_rate=[1e-3]), r"learning_rate must be .* a triple .* received \[0.001\]"),
    (dict(learning_rate=(1e-3, 0.0)), "each number of learning_rate must be a number above 0, received 0.0"),
    (dict(learning_rate=(1e-3, 1e-4, 2.0)), r"the fraction of learning_rate must be a number in \[0, 1\], received 2.0"),
    (dict(ladder_epsilon=1.5), r"ladder_epsilon must be a number in \[0, 1\], received 1.5"),
    (dict(ladder_exponent=-1.0), "ladder_exponent must be a number above 0, received -1.0"),
    (dict(batch_size=0), "batch_size must be a whole number of at least 1, received 0"),
    (dict(target_update_interval=0), "target_update_interval must be a whole number of at least 1"),
    (dict(max_grad_norm=float("nan")), "max_grad_norm must be a number above 0, received nan"),
    (dict(gradient_steps=-2), "gradient_steps must be a whole number of at least -1, received -2"),
    (dict(initial_priorities="max"), "initial_priorities must be one of 'recent', 'td_error', received 'max'"),
    (dict(initial_priorities="td_error", n_steps=1, replay_buffer_class=ReplayBuffer), "'td_error' with ReplayBuffer"),
    (dict(replay_buffer_kwargs=dict(alpha=1.5)), "alpha.*1.5"),
    (dict(replay_buffer_kwargs=dict(beta=-0.1)), "beta.*-0.1"),
    (dict(n_steps=3, replay_buffer_class=ReplayBuffer), "n_steps=3 with ReplayBuffer"),
    (dict(n_steps=[3, 1], replay_buffer_class=ReplayBuffer), r"n_steps=\[3, 1\] changes .* ReplayBuffer cannot"),
    (dict(n_steps=(3, 1), replay_buffer_class=NStepReplayBuffer), r"n_steps=\(3, 1\) changes .* NStepReplayBuffer cannot"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS, ids=[message[:60] for _, message in BAD_ARGUMENTS])
def test_bad_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DDQN("MlpPolicy", Corridor(), **FAST | arguments)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "model.zip"
    DDQN("MlpPolicy", Corridor(), **FAST).save(path)
    return path


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS, ids=[message[:60] for _, message in BAD_ARGUMENTS])
def test_bad_argument_on_load(arguments: dict[str, Any], message: str, checkpoint: Path) -> None:
    """What the Zoo does with `-params` on top of `-i`: the constructor never sees these values."""
    with pytest.raises(ValueError, match=message):
        DDQN.load(checkpoint, env=Corridor(), **arguments)


def test_unknown_argument_on_load(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="'temprature_min' \\(did you mean 'temperature_min'\\?\\)"):
        DDQN.load(checkpoint, temprature_min=0.1)


def test_continuous_actions() -> None:
    class Continuous(Corridor):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)

    with pytest.raises(AssertionError, match="Discrete"):
        DDQN("MlpPolicy", Continuous(), **FAST)


def test_too_large_a_buffer_is_refused_before_training_starts() -> None:
    class Counting(Corridor):
        steps_taken = 0

        def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            Counting.steps_taken += 1
            return super().step(action)

    model = DDQN("MlpPolicy", Counting(), **FAST | dict(buffer_size=10**12))
    with pytest.raises(ValueError, match=r"buffer_size"):
        model.learn(100)
    assert Counting.steps_taken == 0


@pytest.mark.parametrize("what", ["observation", "reward"])
def test_nan_from_the_environment(what: str) -> None:
    model = DDQN("MlpPolicy", Faulty(what), **FAST)
    with pytest.raises(ValueError, match=r"At environment step 20: .*[Nn]a[Nn]"):
        model.learn(100)
    assert model.replay_buffer.size() == 19
    model.replay_buffer.check_valid()


def test_nan_loss() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST).learn(100)
    next(model.q_net.parameters()).data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"The loss became nan at environment step 100, after \d+ updates"):
        model.train(gradient_steps=2, batch_size=16)
    model.replay_buffer.check_valid()
    assert th.isfinite(model.replay_buffer.sample(16).weights).all()


def test_frame_stack_and_buffer_disagreeing() -> None:
    env = gym.wrappers.FrameStackObservation(Corridor(), 4)  # not SB3's, so n_stack is given by hand
    with pytest.raises(ValueError, match="n_stack"):
        DDQN("MlpPolicy", env, replay_buffer_kwargs=dict(n_stack=3), **FAST).learn(50)
