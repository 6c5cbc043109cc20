"""Builds vectorised Atari games with preprocessing and frame stacking."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecFrameStack, VecTransposeImage

from sb3_breakout.envs.preprocessing import AtariPreprocessing
from sb3_breakout.protocol import ENV_ID


def make_games(
    env_id: str,
    n_envs: int,
    n_stack: int,
    wrapper_kwargs: Mapping[str, Any],
    env_kwargs: Mapping[str, Any],
    seed: int | None = None,
    vec_env_cls: type[DummyVecEnv] = DummyVecEnv,
) -> VecEnv:
    """
    Build games with preprocessed, stacked frames, channels first.

    :param env_id: a ``NoFrameskip-v4`` game
    :param n_envs: number of games
    :param n_stack: frames in an observation
    :param wrapper_kwargs: keywords of :class:`AtariPreprocessing`
    :param env_kwargs: keywords of the emulator
    :param seed: seed of the first game, one higher for each further game; None for random seeds
    :param vec_env_cls: class of the vectorised environment; ``DummyVecEnv`` for evaluations and recordings, as it is hardly
        slower on one core than ``AleVecEnv``, which cannot be rendered
    :return: the vectorised environment
    :raises ValueError: for anything but an Atari game without frame skip
    """
    check_game(env_id)
    env = make_vec_env(
        env_id,
        n_envs,
        seed=seed,
        wrapper_class=AtariPreprocessing,
        wrapper_kwargs=dict(wrapper_kwargs),
        env_kwargs=dict(env_kwargs),
        vec_env_cls=vec_env_cls,
    )
    return VecTransposeImage(VecFrameStack(env, n_stack))


def check_game(env_id: str) -> None:
    """
    Check that an environment is an Atari game without frame skip.

    :param env_id: ID of the environment
    :raises ValueError: for anything but an Atari game without frame skip
    """
    try:
        spec = gym.spec(env_id)
    except gym.error.Error as error:
        raise ValueError(f"env_id must be an Atari game such as {ENV_ID!r}, received {env_id!r}: {error}") from None
    if spec.entry_point != "ale_py.env:AtariEnv" or spec.kwargs["frameskip"] != 1:
        raise ValueError(f"env_id must be an Atari game without frame skip such as {ENV_ID!r}, received {env_id!r}.")
