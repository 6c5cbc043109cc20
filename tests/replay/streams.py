"""Streams of transitions, exactly as SB3 would hand them to a replay buffer."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from gymnasium import spaces


class Step(NamedTuple):
    """The arguments of ``ReplayBuffer.add``."""

    obs: np.ndarray
    next_obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    infos: list[dict]


class FrameStackStream:
    """
    Environments with random frames under a correct frame stack: zeros before an episode's first frame, terminal stacks kept.

    The memory layout of images is that of VecTransposeImage: a channels-first view of channels-last memory.

    :param n_envs: number of environments
    :param n_stack: frames in a stack
    :param frame_shape: (channels, height, width) or (features,)
    :param end: probability that a step ends an episode
    :param timeout: share of the ends that are time limits
    :param restart: probability that an environment is reset by hand in the middle of an episode
    """

    def __init__(
        self,
        seed: int,
        n_envs: int = 1,
        n_stack: int = 1,
        frame_shape: tuple[int, ...] = (1, 2, 3),
        dtype: type = np.uint8,
        end: float = 0.15,
        timeout: float = 0.4,
        restart: float = 0.0,
    ):
        self.rng = np.random.default_rng(seed)
        self.n_envs, self.n_stack, self.frame_shape, self.dtype = n_envs, n_stack, frame_shape, dtype
        self.end, self.timeout, self.restart = end, timeout, restart
        self.channels = frame_shape[0]
        self.obs_shape = (n_stack * frame_shape[0], *frame_shape[1:])
        self.stacks = np.stack([self._start() for _ in range(n_envs)])

    @property
    def space(self) -> spaces.Box:
        low, high = (0, 255) if self.dtype is np.uint8 else (-np.inf, np.inf)
        return spaces.Box(low, high, self.obs_shape, self.dtype)

    def _frame(self) -> np.ndarray:
        if self.dtype is np.uint8:
            return self.rng.integers(1, 255, self.frame_shape, dtype=np.uint8)
        return self.rng.normal(size=self.frame_shape).astype(self.dtype)

    def _start(self) -> np.ndarray:
        stack = np.zeros(self.obs_shape, self.dtype)
        stack[-self.channels :] = self._frame()
        return stack

    def _laid_out(self, stacks: np.ndarray) -> np.ndarray:
        if len(self.frame_shape) < 3:
            return stacks.copy()
        return np.ascontiguousarray(stacks.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    def __iter__(self) -> Iterator[Step]:
        while True:
            for env in range(self.n_envs):
                if self.rng.random() < self.restart:
                    self.stacks[env] = self._start()
            obs = self._laid_out(self.stacks)
            done = self.rng.random(self.n_envs) < self.end
            infos: list[dict] = [{} for _ in range(self.n_envs)]
            next_obs = np.roll(self.stacks, -self.channels, axis=1)
            for env in range(self.n_envs):
                next_obs[env, -self.channels :] = self._frame()
                if done[env]:
                    infos[env]["TimeLimit.truncated"] = bool(self.rng.random() < self.timeout)
            action = self.rng.integers(0, 4, self.n_envs)
            reward = self.rng.normal(size=self.n_envs)
            yield Step(obs, self._laid_out(next_obs), action, reward, done, infos)
            self.stacks = next_obs.copy()
            for env in np.flatnonzero(done):
                self.stacks[env] = self._start()
