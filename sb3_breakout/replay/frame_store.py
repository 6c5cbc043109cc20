"""Stores every frame once; stacked observations are assembled when they are sampled."""

from typing import Any

import numpy as np

from sb3_breakout.common.arguments import check_at_least
from sb3_breakout.replay.sliding_window import SlidingWindow
from sb3_breakout.replay.streamed_pickle import StreamedArray


class FrameStore:
    """
    The observations of the last ``capacity`` steps of several environments.

    A stack of k frames shares k - 1 of them with the stack before it, so only the newest frame of each is stored.
    Frame ``t`` is the newest of observation ``t``; frame ``t + 1`` completes the next observation of step ``t``,
    unless observation ``t + 1`` starts anew (an episode ended, or the environment was reset in between).
    Then the frame that ended the segment moves to ``finals``::

        step            0   1   2   3 | 4   5           an episode ends with step 3
        ring            f0  f1  f2  f3  f4  f5  f6      f6: newest frame of the next observation of step 5
        finals                      F4                  next observation of step 3, k = 3: f2 f3 F4
        observation 4               0   0   f4          zeros before a start, as VecFrameStack has them

    Each environment has its own ring, so that the frames of a stack are adjacent in memory. A ring has ``capacity + k`` rows,
    enough for ``capacity`` steps, followed by a frame of zeros. Memory is only taken as the ring fills up.

    :param capacity: number of steps to hold per environment, at least 1
    :param n_envs: number of environments
    :param obs_shape: shape of one observation, the stack on its first axis, newest frame last
    :param dtype: data type of the observations
    :param n_stack: k, number of frames in an observation; 1 for observations that are not stacked
    :param name: name of the observations in messages
    :param state: what ``get_state`` of such a store returned, unpickled (its arrays are used without a copy); None for an
        empty store
    :raises ValueError: if ``n_stack`` is less than 1 or does not divide the first axis
    """

    def __init__(
        self,
        capacity: int,
        n_envs: int,
        obs_shape: tuple[int, ...],
        dtype: Any,
        n_stack: int = 1,
        name: str = "observation",
        state: dict[str, Any] | None = None,
    ):
        self.frame_shape = frame_shape(obs_shape, n_stack, name)
        self.capacity = capacity
        self.n_envs = n_envs
        self.obs_shape = obs_shape
        self.dtype = np.dtype(dtype)
        self.n_stack = n_stack
        self.name = name
        self.rows = capacity + n_stack
        self.window = SlidingWindow(n_envs, obs_shape, self.dtype, n_stack, name)
        self._set_state(self._nothing() if state is None else state)

    # ---------------------------------------------------------------- writing

    def as_stored(self, obs: Any) -> np.ndarray:
        """
        :param obs: ``(n_envs, *obs_shape)``; also (n_envs,) for Discrete observations, and ``obs_shape`` for a single
            environment
        :return: ``(n_envs, *obs_shape)`` in the data type of the store; copied only if necessary
        :raises ValueError: if it has another shape
        """
        array = np.asarray(obs, self.dtype)
        shape = (self.n_envs, *self.obs_shape)
        if array.shape == shape:
            return array
        discrete = (*array.shape, 1) == shape  # a Discrete observation is a number
        if not discrete and (1, *array.shape) != shape:
            raise ValueError(f"The {self.name} of a step has shape {array.shape}, it must be {shape}: nothing was stored.")
        return array.reshape(shape)

    def add(self, obs: np.ndarray, next_obs: np.ndarray, starts: np.ndarray) -> None:
        """
        Store one step of every environment, after ``window.check`` accepted it.

        :param obs: ``(n_envs, *obs_shape)``
        :param next_obs: ``(n_envs, *obs_shape)``
        :param starts: (n,) int64, environments whose observations do not continue the previous step
        """
        row = self.step % self.rows
        before = row - 1  # -1 is the last row
        newest = -self.frame_shape[0]
        self._release_finals(row)
        if self.n_stack > 1:
            np.maximum(self._reach[before] - 1, 1 - self.n_stack, out=self._reach[row])
        if len(starts):
            if self.step:
                self._keep_finals(before, self._frames[:, row], starts)
            self._frames[starts, row] = obs[starts, newest:]
            self._reach[row, starts] = 0
        self._frames[:, (row + 1) % self.rows] = next_obs[:, newest:]
        self.window.advance()
        self.step += 1

    def _keep_finals(self, before: int, announced: np.ndarray, envs: np.ndarray) -> None:
        """Move the final frames of segments to ``finals``; the first frames of the next segments take their rows."""
        while len(self._unused_finals) < len(envs):
            self._grow_finals()
        for env in envs:
            slot = self._unused_finals.pop()
            self._finals[slot] = announced[env]
            self._final_slot[before, env] = slot

    def _release_finals(self, row: int) -> None:
        slots = self._final_slot[row]
        if slots.max() >= 0:
            self._unused_finals.extend(slots[slots >= 0].tolist())
            self._final_slot[row] = -1

    def _grow_finals(self) -> None:
        size = len(self._finals)
        grown = size + max(size // 8, 16)
        # In place: a copy would briefly need the memory twice. No view of the array outlives a call
        self._finals.resize((grown, *self.frame_shape), refcheck=False)
        self._unused_finals.extend(range(grown - 1, size - 1, -1))

    # ---------------------------------------------------------------- reading

    def gather(self, steps: np.ndarray, envs: np.ndarray, spans: np.ndarray, n_steps: int) -> tuple[np.ndarray, int]:
        """
        Assemble observations. Where possible, observation and next observation share frames in the result.

        :param steps: (batch,) int64, step numbers, among the last ``capacity``
        :param envs: (batch,) int64, environments
        :param spans: (batch,) int64 in [1, n_steps], how many steps ahead the next observation lies
        :param n_steps: the largest possible span
        :return: ``block`` ``(batch, width, *obs_shape[1:])`` and ``ahead``: with C = obs_shape[0], the observations are
            ``block[:, :C]`` and the next observations are ``block[:, ahead : ahead + C]``
        """
        k = self.n_stack
        if n_steps < k and (n_steps == 1 or spans.min() == n_steps):
            ahead = n_steps
            offsets = np.arange(1 - k, n_steps + 1)[None, :]  # (1, k + n_steps)
        else:  # a next observation closer than n_steps needs other frames in the shared places
            ahead = k
            stack = np.arange(1 - k, 1)
            offsets = np.concatenate((np.broadcast_to(stack, (len(steps), k)), spans[:, None] + stack), axis=1)  # (batch, 2k)
        row = steps % self.rows  # (batch,)
        slots = row[:, None] + offsets  # (batch, width), places within a ring
        if row.min() < k - 1 or row.max() + n_steps >= self.rows:  # wraps around the end of the ring
            slots %= self.rows
        slots += (envs * (self.rows + 1))[:, None]
        if k > 1:
            reach = self._reach[row, envs]  # (batch,)
            np.putmask(slots, offsets < reach[:, None], self.rows)  # the frame of zeros after the first ring
        block = np.empty((*slots.shape, *self.frame_shape), self.dtype)
        # "clip" spares numpy a buffered copy; the slots are in range
        self._frames.reshape(-1, *self.frame_shape).take(slots, axis=0, out=block, mode="clip")
        last = row if n_steps == 1 else (steps + (spans - 1)) % self.rows
        finals = self._final_slot[last, envs]  # (batch,)
        ended = np.flatnonzero(finals >= 0)
        if len(ended):
            block[ended, -1] = self._finals[finals[ended]]
        channels = self.frame_shape[0]
        return block.reshape(len(steps), slots.shape[1] * channels, *self.frame_shape[1:]), ahead * channels

    # ---------------------------------------------------------------- bookkeeping

    def check_valid(self) -> None:
        """Assert the invariants that hold between two calls."""
        assert not self._frames[:, -1].any(), "a frame of zeros was written to"
        slots = [*self._final_slot[self._final_slot >= 0].tolist(), *self._unused_finals]
        assert sorted(slots) == list(range(len(self._finals))), "a final frame is lost or used twice"
        assert 1 - self.n_stack <= self._reach.min() and self._reach.max() <= 0

    def get_state(self) -> dict[str, Any]:
        """:return: the state, for ``pickle``"""
        used = min(self.step + 1, self.rows)
        return {
            "step": self.step,
            "frames": StreamedArray(self._frames, used, axis=1),
            "finals": StreamedArray(self._finals, len(self._finals)),
            "unused_finals": self._unused_finals,
            "reach": StreamedArray(self._reach, used),
            "final_slot": StreamedArray(self._final_slot + 1, used),  # rows beyond `used` are restored as 0: no slot
            "window": self.window.get_state(),
        }

    def _set_state(self, state: dict[str, Any]) -> None:
        self.step: int = state["step"]  # number of steps added so far
        self._frames: np.ndarray = state["frames"]
        self._finals: np.ndarray = state["finals"]
        self._unused_finals: list[int] = state["unused_finals"]
        # For each frame of the ring: how far back its stack reaches (0 at a start, down to 1 - k), and the slot of `finals`
        # whose frame follows it (-1: the next frame of the ring follows)
        self._reach: np.ndarray = state["reach"]
        self._final_slot: np.ndarray = state["final_slot"]
        self._final_slot -= 1
        self.window.set_state(state["window"])

    def _nothing(self) -> dict[str, Any]:
        return {
            "step": 0,
            "frames": np.zeros((self.n_envs, self.rows + 1, *self.frame_shape), self.dtype),
            "finals": np.zeros((0, *self.frame_shape), self.dtype),
            "unused_finals": [],
            "reach": np.zeros((self.rows, self.n_envs), np.int16),
            "final_slot": np.zeros((self.rows, self.n_envs), np.int32),
            "window": self.window.get_state(),
        }


def frame_shape(obs_shape: tuple[int, ...], n_stack: int, name: str = "observation") -> tuple[int, ...]:
    """
    :param obs_shape: shape of one observation, the stack on its first axis
    :param n_stack: number of frames in an observation
    :param name: name of the observation in messages
    :return: shape of one frame
    :raises ValueError: if ``n_stack`` is less than 1 or does not divide the first axis
    """
    n_stack = check_at_least("n_stack", n_stack, 1)
    channels = obs_shape[0] if obs_shape else 1
    if channels % n_stack:
        raise ValueError(
            f"n_stack={n_stack} must divide the first axis of the {name}, which has shape {obs_shape}: the stack lies there, "
            "channels first (as VecTransposeImage leaves images)."
        )
    return (channels // n_stack, *obs_shape[1:])
