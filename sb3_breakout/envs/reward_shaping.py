"""Penalties for time passing and for lost lives."""

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

from sb3_breakout.common.arguments import check_not_negative


class RewardShapingWrapper(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Subtracts a small penalty for each step and a large one for each lost life, the last included.

    It belongs outside reward clipping (after ``AtariPreprocessing`` in the YAML's list), since the sign of -0.001 is -1. Only
    the learner sees these rewards; a ``Monitor`` below, where ``make_vec_env`` puts it, still reports raw scores.

    :param env: an Atari game with lives, wrapped or not
    :param living_penalty: subtracted at each step of the agent, at least 0
    :param life_loss_penalty: subtracted for each life lost during the step, at least 0
    :raises TypeError: if the environment is not an Atari game
    :raises ValueError: if a penalty is not a finite number of at least 0, and on ``reset`` if the game has no lives to lose
    """

    def __init__(self, env: gym.Env, living_penalty: float = 0.001, life_loss_penalty: float = 1.0) -> None:
        if not hasattr(env.unwrapped, "ale"):
            raise TypeError(f"RewardShapingWrapper counts the lives of an Atari game, received {env}.")
        check_not_negative("living_penalty", living_penalty)
        check_not_negative("life_loss_penalty", life_loss_penalty)
        super().__init__(env)
        self.living_penalty = living_penalty
        self.life_loss_penalty = life_loss_penalty
        self._lives = 0

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """
        Start an episode; lives lost or regained by the reset itself are not counted.

        :param kwargs: passed to the wrapped environment's reset
        :return: first observation and info
        :raises ValueError: if lost lives have a penalty but the game has no lives
        """
        obs, info = self.env.reset(**kwargs)
        self._lives = self._count_lives()
        if self._lives == 0 and self.life_loss_penalty > 0:
            raise ValueError(
                f"{self.env} has no lives to lose, received life_loss_penalty={self.life_loss_penalty}: "
                "use life_loss_penalty=0 for this game."
            )
        return obs, info

    def step(self, action: int) -> AtariStepReturn:
        """
        One step of the agent.

        :param action: the action
        :return: observation, shaped reward, terminated, truncated, info
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        lives = self._count_lives()
        lost = max(self._lives - lives, 0)  # a bonus life does not count as a negative loss
        self._lives = lives
        return obs, float(reward) - self.living_penalty - self.life_loss_penalty * lost, terminated, truncated, info

    def _count_lives(self) -> int:
        return self.unwrapped.ale.lives()  # type: ignore[attr-defined]
