"""The stream of transitions every buffer is measured with: lives of random length as VecTransposeImage shows them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

N_STACK = 8
SIDE = 84
N_ACTIONS = 4
ID_BYTES = 8


@dataclass(frozen=True)
class Step:
    """
    What SB3's ``_store_transition`` passes to ``ReplayBuffer.add`` after one step of ``n_envs`` environments.

    :param obs: (n_envs, n_stack, height, width) uint8, a strided view of (n_envs, height, width, n_stack) memory
    :param next_obs: as ``obs``; the terminal stack where ``done``
    :param action: (n_envs,) int64
    :param reward: (n_envs,) float32
    :param done: (n_envs,) bool, timeouts included
    :param infos: one dict per environment, with ``TimeLimit.truncated`` where a timeout ended it
    """

    obs: np.ndarray
    next_obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    infos: list[dict[str, Any]]


class StackStream:
    """
    An endless random game.

    Every frame starts with its own number (little-endian, in its first eight bytes), so that no two frames
    are equal and a transition can be told by the newest frame of its observation.

    :param n_envs: Number of environments stepped together
    :param n_stack: Frames per observation; the missing ones at the start of a life are zeros
    :param shape: (height, width) of a frame
    :param mean_life: Mean number of transitions of a life (geometric, at least 1)
    :param timeout_share: Share of lives that end in a timeout
    :param seed: Everything drawn depends on it
    :param frame_pool: How many different frames are drawn beforehand (their pixels behind the number repeat)
    """

    def __init__(
        self,
        n_envs: int = 1,
        n_stack: int = N_STACK,
        shape: tuple[int, int] = (SIDE, SIDE),
        mean_life: float = 50.0,
        timeout_share: float = 0.05,
        seed: int = 0,
        frame_pool: int = 2048,
    ):
        self.n_envs, self.n_stack, self.shape = n_envs, n_stack, shape
        self.mean_life, self.timeout_share = mean_life, timeout_share
        self.rng = np.random.default_rng(seed)
        self.pool = self.rng.integers(0, 256, size=(frame_pool, *shape), dtype=np.uint8)
        self.n_frames = 0
        self.stack = np.zeros((n_envs, *shape, n_stack), dtype=np.uint8)
        for env in range(n_envs):
            self._start_life(self.stack, env)

    @property
    def observation_space(self) -> spaces.Box:
        return spaces.Box(0, 255, shape=(self.n_stack, *self.shape), dtype=np.uint8)

    @property
    def action_space(self) -> spaces.Discrete:
        return spaces.Discrete(N_ACTIONS)

    def step(self) -> Step:
        last = self.stack
        stack = np.roll(last, -1, axis=-1)  # VecFrameStack does the same: new memory at every step
        for env in range(self.n_envs):
            stack[env, ..., -1] = self._new_frame()
        done = self.rng.random(self.n_envs) < 1.0 / self.mean_life
        terminal = stack
        if done.any():
            stack = stack.copy()
            for ended in np.flatnonzero(done):
                self._start_life(stack, int(ended))
        self.stack = stack
        timeout = done & (self.rng.random(self.n_envs) < self.timeout_share)
        return Step(
            obs=np.transpose(last, (0, 3, 1, 2)),
            next_obs=np.transpose(terminal, (0, 3, 1, 2)),
            action=self.rng.integers(N_ACTIONS, size=self.n_envs),
            reward=self.rng.standard_normal(self.n_envs).astype(np.float32),
            done=done,
            infos=[{"TimeLimit.truncated": bool(t)} if d else {} for d, t in zip(done, timeout, strict=True)],
        )

    def steps(self, n: int) -> list[Step]:
        return [self.step() for _ in range(n)]

    def _start_life(self, stack: np.ndarray, env: int) -> None:
        stack[env] = 0
        stack[env, ..., -1] = self._new_frame()

    def _new_frame(self) -> np.ndarray:
        frame = self.pool[self.n_frames % len(self.pool)]
        self.n_frames += 1
        frame.reshape(-1)[:ID_BYTES] = np.frombuffer(self.n_frames.to_bytes(ID_BYTES, "little"), dtype=np.uint8)
        return frame


def frame_ids(observations: np.ndarray) -> np.ndarray:
    """
    The number of the newest frame of each stack.

    :param observations: (batch, n_stack, height, width) uint8
    :return: (batch,) int64
    """
    newest = observations[:, -1].reshape(len(observations), -1)  # (batch, height * width)
    return np.ascontiguousarray(newest[:, :ID_BYTES]).view("<i8")[:, 0]
