"""Observes one game from directly above frame skipping."""

import hashlib
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

from sb3_breakout.evaluation.balls import BALL_HEIGHT

OPENING = 10  # agent steps; by then, every ball of Breakout is in play, and few agents have taken a random action


class GameWatch(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Observes one game: score, length, hashes of pictures and moves, and in Breakout the ball. After the end of the game, steps
    and resets do nothing until a reset with a seed starts another game.

    All executed actions pass through it, including presses of FIRE, and rewards are raw.

    :param env: a game that skips frames and returns pictures
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._picture: np.ndarray = np.empty(0)
        self._has_ball = env.unwrapped._game == "breakout"  # type: ignore[attr-defined]
        self._begin()

    def _begin(self) -> None:
        self.over = False
        self.score = 0.0
        self.length = 0
        self.heights: list[int] = []
        self.lives: list[int] = []
        self._opening = hashlib.sha256()
        self._moves = hashlib.sha256()

    @property
    def opening(self) -> str:
        """Hash of the pictures of the first ``OPENING`` steps."""
        return self._opening.hexdigest()

    @property
    def moves(self) -> str:
        """Hash of all actions and rewards, in order."""
        return self._moves.hexdigest()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> AtariResetReturn:
        """
        Start a game if a seed is given or no game has ended yet.

        :param seed: seed of the game
        :param options: as in Gymnasium
        :return: observation (height, width, channels) uint8 and info
        """
        if self.over and seed is None:
            return self._picture, {}
        self._begin()
        self._picture, info = self.env.reset(seed=seed, options=options)
        return self._picture, info

    def step(self, action: int) -> AtariStepReturn:
        """
        Execute an action; after the end of the game, do nothing.

        :param action: the action
        :return: the result of the game's step; after its end, the last picture, reward 0, neither terminated nor truncated
        """
        if self.over:
            return self._picture, 0.0, False, False, {}
        self._picture, reward, terminated, truncated, info = self.env.step(action)
        self.over = terminated or truncated
        self.score += float(reward)
        self.length += 1
        self._moves.update(f"{int(action)} {float(reward)},".encode())
        if self.length <= OPENING:
            self._opening.update(self._picture.tobytes())
        if self._has_ball:
            emulator = self.unwrapped.ale  # type: ignore[attr-defined]
            self.heights.append(int(emulator.getRAM()[BALL_HEIGHT]))
            self.lives.append(emulator.lives())
        return self._picture, reward, terminated, truncated, info
