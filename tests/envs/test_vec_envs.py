"""Environments as RL Zoo builds them: Monitor inside, then wrappers named in YAML, then frame stack and transposition."""

import numpy as np
import pytest
import torch as th
import yaml
from rl_zoo3.utils import get_wrapper_class
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.torch_layers import NatureCNN
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecTransposeImage, is_vecenv_wrapped

from sb3_breakout.envs import AtariPreprocessing, RewardShapingWrapper

YAML = """
env_wrapper:
  - sb3_breakout.envs.BreakoutWrapper:
      screen_size: null
      grayscale: false
      frame_skip: 2
  - sb3_breakout.envs.RewardShapingWrapper
"""


def zoo_env(wrappers, n_envs, n_stack=8, vec_env_cls=DummyVecEnv, vec_env_kwargs=None):
    """Build environments as rl_zoo3's ExperimentManager.create_envs does."""
    vec_env = make_vec_env(
        "BreakoutNoFrameskip-v4",
        n_envs=n_envs,
        seed=0,
        wrapper_class=wrappers,
        env_kwargs={"max_num_frames_per_episode": 40_000},
        vec_env_cls=vec_env_cls,
        vec_env_kwargs=vec_env_kwargs,
    )
    return VecTransposeImage(VecFrameStack(vec_env, n_stack))


def test_stacked_grey_frames():
    vec_env = zoo_env(AtariPreprocessing, n_envs=2)
    assert is_vecenv_wrapped(vec_env, VecTransposeImage)
    assert vec_env.observation_space.shape == (8, 84, 84)
    first = vec_env.reset()
    assert (first.shape, first.dtype) == ((2, 8, 84, 84), np.uint8)
    assert not first[:, :-1].any() and first[:, -1].any()  # zeros come before the first frame
    assert (first[0] != first[1]).any()  # different numbers of start no-ops
    second, *_ = vec_env.step(np.array([2, 3]))
    np.testing.assert_array_equal(second[:, -2], first[:, -1])
    vec_env.close()


def test_native_rgb_at_frame_skip_2_feeds_the_nature_cnn():
    """8 frames of three colours are 24 channels, which NatureCNN accepts."""
    vec_env = zoo_env(get_wrapper_class(yaml.safe_load(YAML)), n_envs=2)
    assert vec_env.observation_space.shape == (24, 210, 160)
    obs = vec_env.reset()
    for _ in range(30):
        obs, *_ = vec_env.step(np.array([0, 2]))
    assert (obs.shape, obs.dtype) == ((2, 24, 210, 160), np.uint8)
    network = NatureCNN(vec_env.observation_space, features_dim=16)
    with th.no_grad():
        assert network(th.as_tensor(obs).float() / 255).shape == (2, 16)
    vec_env.close()


def test_wrappers_named_in_yaml_apply_in_their_order():
    """Shaping is applied after clipping: a step without points costs 0.001, not 1."""
    wrap = get_wrapper_class(yaml.safe_load(YAML))
    vec_env = make_vec_env("BreakoutNoFrameskip-v4", n_envs=1, seed=0, wrapper_class=wrap)
    assert vec_env.env_is_wrapped(RewardShapingWrapper) == vec_env.env_is_wrapped(AtariPreprocessing) == [True]
    vec_env.reset()
    assert vec_env.step(np.array([0]))[1] == pytest.approx([-0.001])
    vec_env.close()


@pytest.mark.slow
def test_subprocess():
    """The environment functions can be pickled, and build the same environment in a fresh interpreter."""
    wrap = get_wrapper_class(yaml.safe_load(YAML))
    away = zoo_env(wrap, n_envs=1, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "spawn"})
    here = zoo_env(wrap, n_envs=1)
    np.testing.assert_array_equal(away.reset(), here.reset())
    for action in np.random.default_rng(0).integers(4, size=(40, 1)):
        ours, theirs = away.step(action), here.step(action)
        np.testing.assert_array_equal(ours[0], theirs[0])
        assert ours[1] == pytest.approx(theirs[1])  # SubprocVecEnv gives float64, DummyVecEnv float32
        assert ours[2] == theirs[2]
    here.close()
    away.close()
