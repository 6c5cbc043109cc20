"""The baseline: an agent that plays at random."""

from copy import deepcopy

import gymnasium as gym
import numpy as np
from stable_baselines3.common.utils import is_vectorized_observation
from stable_baselines3.common.vec_env import VecEnv


class RandomAgent:
    """
    Plays uniformly random actions through the ``predict`` interface of an SB3 model, so that it can replace one.

    :param env: environment (or vector environment) to play in; only its spaces are kept
    :param seed: seed of the agent's own random numbers; None for a random seed
    """

    def __init__(self, env: gym.Env | VecEnv, seed: int | None = None) -> None:
        self.observation_space = env.observation_space
        self.action_space = deepcopy(env.action_space)  # own random numbers: the environment's are not affected
        self.action_space.seed(seed)

    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """
        Draw one action per observation. The content of observations is ignored.

        :param observation: one observation, or a batch with a leading dimension (n_envs, ...)
        :param state: returned unchanged
        :param episode_start: not used
        :param deterministic: not used: the agent is random either way
        :return: one action, or one per environment (n_envs, ...), and the state
        :raises ValueError: if the observation does not belong to the agent's observation space
        """
        if not is_vectorized_observation(observation, self.observation_space):  # type: ignore[arg-type]
            return np.array(self.action_space.sample()), state
        batch = next(iter(observation.values())) if isinstance(observation, dict) else observation
        return np.array([self.action_space.sample() for _ in range(len(batch))]), state
