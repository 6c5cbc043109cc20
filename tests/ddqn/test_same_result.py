"""Optimizations for speed do not change results."""

from typing import Any

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack
from stable_baselines3.dqn import policies as dqn_policies

from sb3_breakout import DDQN
from sb3_breakout.ddqn import CnnPolicy
from sb3_breakout.envs import AleVecEnv, BreakoutWrapper


@pytest.fixture
def policy() -> CnnPolicy:
    th.manual_seed(0)
    return CnnPolicy(spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(4), lambda _: 1e-4)


def pixels(dtype: th.dtype = th.uint8) -> th.Tensor:
    return th.randint(0, 256, (8, 4, 84, 84), generator=th.Generator().manual_seed(0), dtype=th.uint8).to(dtype)


def test_pixels_reach_the_network_as_in_sb3(policy: CnnPolicy) -> None:
    """Q-values equal those of SB3's preprocessing and forward pass, up to rounding: the memory layout differs."""
    theirs = dqn_policies.QNetwork(
        **policy.net_args | dict(features_extractor=policy.make_features_extractor(), features_dim=512)
    )
    theirs.load_state_dict(policy.q_net.state_dict())
    th.testing.assert_close(policy.q_net(pixels()), theirs(pixels()), rtol=0, atol=1e-6)  # Q-values of about 0.05


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [th.uint8, th.float32, th.bfloat16])
def test_observations_are_not_written_to(policy: CnnPolicy, autocast: bool, dtype: th.dtype) -> None:
    policy.set_autocast(autocast)
    observations = pixels(dtype)
    policy.q_net(observations)
    assert th.equal(observations, pixels(dtype))


def test_bfloat16_is_close(policy: CnnPolicy) -> None:
    exact = policy.q_net(pixels())
    policy.set_autocast(True)
    th.testing.assert_close(policy.q_net(pixels()), exact, atol=2e-3, rtol=0.0)


def trained(vec_env_cls: type[VecEnv], **arguments: Any) -> DDQN:
    env = make_vec_env(
        "BreakoutNoFrameskip-v4",
        n_envs=2,
        seed=0,
        wrapper_class=BreakoutWrapper,
        wrapper_kwargs=dict(noop_max=0, screen_size=36),
        vec_env_cls=vec_env_cls,  # type: ignore[arg-type]
    )
    defaults: dict[str, Any] = dict(learning_starts=300, buffer_size=2000, batch_size=8, train_freq=4, seed=0, autocast=False)
    model = DDQN("CnnPolicy", VecFrameStack(env, 2), **defaults | arguments).learn(600)
    env.close()
    return model


def parameters(model: DDQN) -> np.ndarray:
    return th.nn.utils.parameters_to_vector(model.q_net.parameters()).detach().numpy()


@pytest.mark.parametrize("overlap", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_training_with_games_in_threads_is_training_without(overlap: bool) -> None:
    one, other = (parameters(trained(each, overlap_updates=overlap)) for each in (AleVecEnv, DummyVecEnv))
    np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised by the compiler
def test_training_compiled_is_training_eager() -> None:
    np.testing.assert_allclose(parameters(trained(AleVecEnv, compile=True)), parameters(trained(AleVecEnv)), atol=1e-4)
