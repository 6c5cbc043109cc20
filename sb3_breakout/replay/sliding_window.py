"""Checks that a frame store can reproduce stacked observations."""

from typing import Any

import numpy as np

NOWHERE = np.zeros(0, np.int64)


class SlidingWindow:
    """
    Compares every pixel of every frame with what the previous step implies.

    An observation is either the one announced by the previous step, or it starts a segment: k - 1 frames of zeros and one new
    frame, as VecFrameStack makes it. Its next observation is the same stack moved on by one frame.

    :param n_envs: number of environments
    :param obs_shape: shape of one observation, the stack on its first axis, newest frame last
    :param dtype: data type of the observations
    :param n_stack: k, number of frames in an observation; 1 for observations that are not stacked
    :param name: name of the observations in messages
    """

    def __init__(self, n_envs: int, obs_shape: tuple[int, ...], dtype: np.dtype, n_stack: int, name: str):
        self.n_envs = n_envs
        self.dtype = dtype
        self.n_stack = n_stack
        self.name = name
        self.moved = obs_shape[0] // n_stack  # channels of one frame
        self._announced: np.ndarray | None = None  # the next observations of the newest step
        self._checked: np.ndarray | None = None  # those of the step being checked, in the same memory layout

    def starts(self, obs: np.ndarray) -> np.ndarray:
        """
        :param obs: ``(n_envs, *obs_shape)`` observations about to be added
        :return: (n,) int64, environments where a segment starts: the observation is not the next observation of the previous
            step
        """
        if self._announced is None:
            return np.arange(self.n_envs)
        same = self._announced == obs
        return NOWHERE if same.all() else np.flatnonzero(~self._per_env(same).all(axis=1))

    def check(self, obs: np.ndarray, next_obs: np.ndarray, starts: np.ndarray, ended: np.ndarray, step: int) -> None:
        """
        Refuse observations that could not be reproduced.

        :param obs: ``(n_envs, *obs_shape)`` observations about to be added
        :param next_obs: ``(n_envs, *obs_shape)`` the next observations, the terminal observation where an episode ended
        :param starts: (n,) int64, environments whose observations do not continue the previous step
        :param ended: (n_envs,) bool, where the episode ended
        :param step: number of the step, for messages
        :raises ValueError: if an observation is NaN, if the first of a segment is not padded with zeros, or if a next
            observation is not its observation moved on by one frame
        """
        if self.dtype.kind == "f":
            self._check_numbers(self.name, obs, step)
            self._check_numbers(f"next {self.name}", next_obs, step)
        if self.n_stack > 1 and len(starts):
            self._check_padding(obs, starts, step)
        if self._checked is None or self._checked.strides != next_obs.strides:
            self._checked = np.empty_like(next_obs)
        if self.n_stack == 1:
            np.copyto(self._checked, next_obs)
            return
        self._move_on(obs, next_obs)
        same = self._checked == next_obs
        if not same.all():
            if self.dtype.kind == "f":
                # VecNormalize normalizes terminal observations and reverts that, which rounds them and loses what was clipped.
                # Zeros in the older frames come from neither: they mark the first observation of the next episode
                same = np.isclose(self._checked, next_obs, rtol=1e-4, atol=1e-4)
                terminal = np.asarray(ended, bool) & self._per_env(next_obs[:, : -self.moved]).any(axis=1)
                same |= terminal.reshape(-1, *[1] * (same.ndim - 1))
            self._check_moved_on(same, step)

    def advance(self) -> None:
        """Take over the checked next observations, after they were stored."""
        self._announced, self._checked = self._checked, self._announced

    def _move_on(self, obs: np.ndarray, next_obs: np.ndarray) -> None:
        """Build the expected next observations: the older frames from ``obs``, the newest from ``next_obs``."""
        moved, checked = self.moved, self._checked
        assert checked is not None
        if obs.strides == checked.strides:
            # Both have the same memory layout without gaps, so moving on is a shift by a constant number of elements. Elements
            # that it carries into another stack land where the newest frames are written afterwards.
            shift = moved * checked.strides[1] // checked.itemsize
            checked.ravel(order="K")[:-shift] = obs.ravel(order="K")[shift:]
        else:
            checked[:, :-moved] = obs[:, moved:]
        checked[:, -moved:] = next_obs[:, -moved:]

    def _per_env(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(self.n_envs, -1)

    def _check_numbers(self, what: str, array: np.ndarray, step: int) -> None:
        finite = np.isfinite(array)
        if not finite.all():
            env = int(self._per_env(finite).all(axis=1).argmin())
            raise ValueError(f"The {what} of environment {env} at step {step} is not finite: nothing was stored.")

    def _check_padding(self, obs: np.ndarray, starts: np.ndarray, step: int) -> None:
        unpadded = [env for env in starts if obs[env, : -self.moved].any()]
        if unpadded:
            raise ValueError(
                f"The {self.name} of environment {unpadded[0]} at step {step} neither continues the step before it "
                f"nor starts an episode (one new frame behind {self.n_stack - 1} frames of zeros, as VecFrameStack makes it). "
                f"With n_stack={self.n_stack} only stacks that move on by one frame per step can be stored, newest frame last "
                "on the first axis; use n_stack=1 for observations that are not such stacks."
            )

    def _check_moved_on(self, same: np.ndarray, step: int) -> None:
        wrong = ~self._per_env(same).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"The next {self.name} of environment {int(wrong.argmax())} at step {step} is not its {self.name} moved on by "
                f"one frame, as n_stack={self.n_stack} promises (at the end of an episode: its terminal observation, not the "
                "first one of the next). Use n_stack=1 for observations that are not such stacks."
            )

    def get_state(self) -> dict[str, Any]:
        """:return: the announced observations, for ``pickle``"""
        return {"announced": self._announced}

    def set_state(self, state: dict[str, Any]) -> None:
        """
        :param state: what ``get_state`` returned
        """
        self._announced = state["announced"]
        self._checked = None
