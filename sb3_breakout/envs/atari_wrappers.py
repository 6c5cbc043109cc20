"""
SB3's Atari wrappers, corrected at the ends of games and lives.

In the middle of a game, each wrapper returns exactly what its SB3 parent does. The differences:

====================  ==================================  ===========================================
where                 SB3                                 here
====================  ==================================  ===========================================
last frame of a game  often the frame of the step before  the frame that the last action led to
``reset()`` mid-life  continues the half-played game      starts a new game, so that an evaluation
                                                          never inherits the previous one's score
``reset(seed=…)``     ignored after a lost life           starts the game of that seed
end during presses    old picture, no FIRE, Monitor's     the new game's picture, FIRE pressed, the
                      record of the game is lost          record comes with the next ``done``
``info`` of a reset   ``{}``                              the emulator's (lives, frame numbers)
====================  ==================================  ===========================================
"""

from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.atari_wrappers import EpisodicLifeEnv, FireResetEnv, MaxAndSkipEnv
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

NOOP, FIRE = 0, 1  # the first actions of every Atari game that has FIRE


class GameRecords(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Keeps ``Monitor``'s record of the last finished game until it is fetched.

    Actions inside ``reset()`` can end a game too (at the emulator's frame limit), but evaluations do not read the ``info`` of
    a reset: without this wrapper, that game would not be counted.

    :param env: environment to wrap, directly above ``Monitor``
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._record: dict[str, Any] | None = None

    def step(self, action: int) -> AtariStepReturn:
        obs, reward, terminated, truncated, info = self.env.step(action)
        if terminated or truncated:
            self._record = info.get("episode")
        return obs, reward, terminated, truncated, info

    def take(self) -> dict[str, Any] | None:
        """
        Return the record and forget it.

        :return: ``Monitor``'s record of the last finished game, or None if there is none or it was fetched already
        """
        record, self._record = self._record, None
        return record


class MaxAndSkip(MaxAndSkipEnv):
    """
    Frame skipping whose last observation of a game is the result of the last action.

    When a game ends within the skipped frames, SB3's wrapper returns a frame of the previous step: a truncated game would
    bootstrap from it, and a recording would end with it.

    :param env: environment to wrap
    :param skip: number of emulator frames that each action lasts, at least 2
    """

    def step(self, action: int) -> AtariStepReturn:
        """
        Repeat the action, sum the rewards, take the maximum over the last two frames.

        :param action: the action
        :return: observation (height, width, 3) uint8, reward, terminated, truncated, info
        """
        total_reward = 0.0
        previous: np.ndarray | None = None
        for _ in range(self._skip):
            frame, reward, terminated, truncated, info = self.env.step(action)
            total_reward += float(reward)
            latest = frame if previous is None else np.maximum(previous, frame)
            previous = frame
            if terminated or truncated:
                break
        return latest, total_reward, terminated, truncated, info


class EpisodicLife(EpisodicLifeEnv):
    """
    Each life is an episode; only a reset right after a lost life continues the game.

    :param env: environment to wrap
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.life_lost = False

    def step(self, action: int) -> AtariStepReturn:
        obs, reward, terminated, truncated, info = super().step(action)
        self.life_lost = terminated and not self.was_real_done
        return obs, reward, terminated, truncated, info

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """
        Start the next life, or a new game if no life was just lost or a seed is given.

        :param kwargs: passed to the reset of the game, if there is one
        :return: first observation (height, width, 3) uint8 and info of the life
        """
        if not self.life_lost or kwargs.get("seed") is not None:
            self.was_real_done = True
        self.life_lost = False
        return super().reset(**kwargs)


class FireReset(FireResetEnv):
    """
    Presses FIRE, and the action after it as SB3 does, until a life has begun with both.

    :param env: environment to wrap, with FIRE as its second action
    """

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """
        Start a life and launch its ball.

        :param kwargs: passed to the reset below
        :return: observation (height, width, 3) uint8 and info after the presses
        """
        self.env.reset(**kwargs)
        for action in (FIRE, FIRE + 1):
            obs, _, terminated, truncated, info = self.env.step(action)
            if terminated or truncated:
                return self.reset()
        return obs, info
