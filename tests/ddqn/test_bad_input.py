"""Wrong arguments and broken environments raise a clear error, before training or at the faulty step."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

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
    (dict(n_steps=-3), "n_steps must be a whole number of at least 1, received -3"),
    (dict(n_steps=2.5), "n_steps must be a whole number of at least 1, a pair of them .*, received 2.5"),
    (dict(n_steps=[3, 0]), "n_steps must be a whole number of at least 1, received 0"),
    (dict(n_steps=(3, 1, 2.0)), r"n_steps must be .* a triple .* received \(3, 1, 2.0\)"),
    (dict(n_steps=lambda remaining: 2 * remaining), "n_steps must be a whole number of at least 1, received 0"),
    (dict(n_steps=(1, 2000)), "buffer_size=1000 leaves 1000 .* n_steps=2000"),
    (dict(tau=0), "tau must be a number above 0, received 0"),
    (dict(gamma=1.1), r"gamma must be a number in \[0, 1\], received 1.1"),
    (dict(evaluation_epsilon="0.1"), r"evaluation_epsilon must be a number in \[0, 1\], received '0.1'"),
    (dict(learning_rate=[1e-3]), r"learning_rate must be .* a triple .* received \[0.001\]"),
    (dict(learning_rate=(1e-3, -1e-4)), "learning_rate must be a finite number of at least 0, received -0.0001"),
    (dict(learning_rate=(1e-3, 1e-4, 2.0)), r"learning_rate must be .* fraction of training in \(0, 1\] .* 2.0\)"),
    (dict(learning_rate=float("inf")), "learning_rate must be a finite number of at least 0, received inf"),
    (dict(learning_rate="1e-4"), "learning_rate must be a finite number .*, received '1e-4'"),
    (dict(ladder_epsilon=1.5), r"ladder_epsilon must be a number in \[0, 1\], received 1.5"),
    (dict(ladder_exponent=-1.0), "ladder_exponent must be a number above 0, received -1.0"),
    (dict(batch_size=0), "batch_size must be a whole number of at least 1, received 0"),
    (dict(target_update_interval=0), "target_update_interval must be a whole number of at least 1"),
    (dict(max_grad_norm=float("nan")), "max_grad_norm must be a number above 0, received nan"),
    (dict(gradient_steps=-2), "gradient_steps must be a whole number of at least -1, received -2"),
    (dict(gradient_steps=0), "gradient_steps must be at least 1, or -1 for one per collected step, received 0"),
    (dict(batch_size=32.5), "batch_size must be a whole number of at least 1, received 32.5"),
    (dict(buffer_size=float("inf")), "buffer_size must be a whole number of at least 1, received inf"),
    (dict(learning_starts=-1), "learning_starts must be a whole number of at least 0, received -1"),
    (dict(temperature_initial=0.1, temperature_min=0.5), "temperature_initial must be at least temperature_min, .*0.1.*0.5"),
    (dict(exploration_initial_eps=0.1, exploration_final_eps=0.5), "initial_eps must be at least exploration_final_eps"),
    (dict(train_freq=0), "train_freq must be a whole number of at least 1, received 0"),
    (dict(train_freq=-1), "train_freq must be a whole number of at least 1, received -1"),
    (dict(train_freq=(0, "episode")), "the number in train_freq must be a whole number of at least 1, received 0"),
    (dict(train_freq=(1, "game")), r"train_freq must be .* a pair like \(4, 'step'\) .* received \(1, 'game'\)"),
    (dict(train_freq=[4]), r"train_freq must be .* a pair like .* received \[4\]"),
    (dict(compile="yes"), "compile must be one of True, False, received 'yes'"),
    (dict(compile=None), "compile must be one of True, False, received None"),
    (dict(overlap_updates="yes"), "overlap_updates must be one of True, False, received 'yes'"),
    (dict(mirrored_actions=[0]), r"mirrored_actions must say for each of the 2 actions .*, received \[0\]"),
    (dict(mirrored_actions=[0, 0]), r"mirrored_actions must say .*, received \[0, 0\]"),
    (dict(mirrored_actions=1), r"mirrored_actions must say .*, received 1"),
    (dict(mirrored_actions="10"), r"mirrored_actions must say .*, received '10'"),
    (dict(mirrored_actions=[1.0, 0.0]), r"mirrored_actions must say .*, received \[1.0, 0.0\]"),
    (dict(mirrored_actions=[1, 2]), r"mirrored_actions must say .*, received \[1, 2\]"),
    (dict(mirrored_actions=[1, 0]), r"mirrored_actions needs images, \(channels, height, width\) uint8, received Box"),
    (dict(initial_priorities="max"), "initial_priorities must be one of 'recent', 'td_error', received 'max'"),
    (dict(initial_priorities="td_error", n_steps=1, replay_buffer_class=ReplayBuffer), "'td_error' with ReplayBuffer"),
    (dict(replay_buffer_kwargs=[0.5]), r"replay_buffer_kwargs must be a dictionary of arguments, received \[0.5\]"),
    (dict(replay_buffer_class=dict), "replay_buffer_class must be a subclass of SB3's ReplayBuffer, received <class 'dict'>"),
    (dict(replay_buffer_kwargs=dict(alpha=1.5)), "alpha.*1.5"),
    (dict(replay_buffer_kwargs=dict(beta=-0.1)), "beta.*-0.1"),
    (dict(replay_buffer_kwargs=dict(gamma=0.9)), "replay_buffer_kwargs has gamma=0.9 and the model gamma=0.99"),
    (dict(replay_buffer_kwargs=dict(n_steps=5)), "replay_buffer_kwargs has n_steps=5 and the model n_steps=3"),
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
    """RL Zoo passes `-params` to ``load()`` when used with `-i`, so the constructor never sees these values."""
    with pytest.raises(ValueError, match=message):
        DDQN.load(checkpoint, env=Corridor(), **arguments)


def test_unknown_argument_on_load(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="'temprature_min' \\(did you mean 'temperature_min'\\?\\)"):
        DDQN.load(checkpoint, temprature_min=0.1)


@pytest.mark.parametrize("loaded", [False, True], ids=["constructed", "loaded"])
def test_whole_floats_are_integers(loaded: bool, checkpoint: Path) -> None:
    """RL Zoo reads ``-params buffer_size:1e3`` as a float, so counts must accept floats with a whole value."""
    counts = dict(buffer_size=1e3, learning_starts=1e1, batch_size=16.0, gradient_steps=2.0, target_update_interval=1e2)
    arguments: dict[str, Any] = counts | dict(n_steps=3.0, train_freq=(4.0, "step"))
    model = DDQN.load(checkpoint, env=Corridor(), **arguments) if loaded else DDQN("MlpPolicy", Corridor(), **arguments)
    model.learn(6e1)  # type: ignore[arg-type]
    assert model.num_timesteps == 60 and model._n_updates > 0
    assert all(isinstance(getattr(model, name), int) for name in (*counts, "n_steps"))


@pytest.mark.parametrize("total_timesteps", [float("nan"), float("inf"), -5, 10.5, "100"])
def test_no_number_of_steps(total_timesteps: Any) -> None:
    with pytest.raises(ValueError, match=r"total_timesteps must be a whole number of at least 0, received"):
        DDQN("MlpPolicy", Corridor(), **FAST).learn(total_timesteps)


def test_a_batch_larger_than_the_buffer() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST | dict(buffer_size=15))  # fine as long as it only plays
    with pytest.raises(ValueError, match=r"batch_size=16 is more than the replay buffer holds \(buffer_size=15\)"):
        model.learn(100)


def test_episodes_of_several_environments() -> None:
    with pytest.raises(ValueError, match=r"train_freq=\(1, 'episode'\) counts episodes, .* received 2 environments"):
        DDQN("MlpPolicy", make_vec_env(Corridor, 2), **FAST | dict(train_freq=(1, "episode")))


def test_frames_stacked_above_normalization() -> None:
    env = VecFrameStack(VecNormalize(make_vec_env(Corridor, 2)), 4)
    with pytest.raises(ValueError, match="Put VecNormalize around VecFrameStack"):
        DDQN("MlpPolicy", env, **FAST).learn(100)


def test_policy_kwargs_are_a_dictionary() -> None:
    with pytest.raises(ValueError, match="policy_kwargs must be a dictionary of arguments, received 3"):
        DDQN("MlpPolicy", Corridor(), policy_kwargs=3, **FAST)  # type: ignore[arg-type]


def test_a_training_that_ends_before_learning_starts() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST)
    with pytest.warns(UserWarning, match="ends after 10 steps, and learning begins after learning_starts=10"):
        model.learn(10)
    model.learn(5, reset_num_timesteps=False)  # no warning: it may be one part of a longer training


def test_actions_not_counted_from_zero() -> None:
    class FromFive(Corridor):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = spaces.Discrete(2, start=5)

    with pytest.raises(ValueError, match=r"counted from 0, .* received Discrete\(2, start=5\)"):
        DDQN("MlpPolicy", FromFive(), **FAST)


def test_without_an_environment(checkpoint: Path) -> None:
    assert DDQN("MlpPolicy", None, _init_setup_model=False, **FAST).env is None  # as load() constructs it
    with pytest.raises(ValueError, match="needs an environment"):
        DDQN("MlpPolicy", None, **FAST)
    with pytest.raises(AssertionError, match="You must set the environment"):  # SB3's message
        DDQN.load(checkpoint).learn(100)


@pytest.mark.parametrize("name", ["n_atoms", "v_min", "v_max"])
def test_arguments_of_the_model_among_those_of_the_policy(name: str) -> None:
    with pytest.raises(ValueError, match=f"policy_kwargs has {name}=5: give it to the model itself"):
        DDQN("MlpPolicy", Corridor(), policy_kwargs={name: 5}, **FAST)


@pytest.mark.parametrize("n_stack", [2, 8])
def test_another_stack_than_the_environments(n_stack: int) -> None:
    env = VecFrameStack(make_vec_env(lambda: Corridor("image")), 4)
    with pytest.raises(ValueError, match=rf"n_stack={n_stack}, but the environment stacks 4"):
        DDQN("CnnPolicy", env, replay_buffer_kwargs=dict(n_stack=n_stack), **FAST)


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
    with pytest.raises(ValueError, match=r"At environment step 20: .* is (not finite|nan)"):
        model.learn(100)
    assert model.replay_buffer.size() == 19
    model.replay_buffer.check_valid()


def test_nan_loss() -> None:
    model = DDQN("MlpPolicy", Corridor(), **FAST).learn(100)
    next(model.q_net.parameters()).data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"At environment step 100, after \d+ updates: the loss became nan"):
        model.train(gradient_steps=2, batch_size=16)
    model.replay_buffer.check_valid()
    assert th.isfinite(model.replay_buffer.sample(16).weights).all()


def test_frame_stack_and_buffer_disagreeing() -> None:
    env = gym.wrappers.FrameStackObservation(Corridor(), 4)  # Gymnasium's wrapper, so n_stack has to be given
    with pytest.raises(ValueError, match="n_stack"):
        DDQN("MlpPolicy", env, replay_buffer_kwargs=dict(n_stack=3), **FAST).learn(50)
