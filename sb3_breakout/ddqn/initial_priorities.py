"""Priorities of new transitions, from Q-values that the actor has computed anyway."""

from typing import Any

import numpy as np


class ActorTDErrors:
    """
    The one-step ``|TD error|`` of every transition, ``|r + gamma * max_a Q(s', a) - Q(s, a)|``, from the Q-values that its
    action was chosen with and those of the next step. It is known one step later, without another forward pass.

    Paper: Distributed Prioritized Experience Replay, https://arxiv.org/abs/1803.00933 (algorithm 1)

    It is not known for a step with a random action (prefill), nor for one that a time limit ended: the actor continues with
    the first state of the next episode and never sees the last one. With n-step returns, it only approximates the learner's
    error.

    :param gamma: discount factor
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma
        self._q_taken: np.ndarray | None = None  # (n_envs,) Q(s, a) of the current step
        self._stored: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None  # of the previous step, see stored()

    def acted(self, q_values: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        To be called after actions were chosen.

        :param q_values: (n_envs, n_actions) at the current states
        :param actions: (n_envs,) int64
        :return: for the previous step, (n,) int64 environments whose error is known, and (n,) their ``|TD errors|``
        """
        before, self._stored = self._stored, None
        self._q_taken = q_values[np.arange(len(actions)), actions]
        if before is None:
            return np.zeros(0, np.int64), np.zeros(0)
        without_future, goes_on, known = before
        td_errors = np.abs(without_future + self.gamma * goes_on * q_values.max(axis=1))  # (n_envs,)
        return np.flatnonzero(known), td_errors[known]

    def stored(self, rewards: np.ndarray, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        """
        To be called after the step was stored.

        :param rewards: (n_envs,) as the learner sees them
        :param dones: (n_envs,) whether the episode ended
        :param infos: one per environment; ``TimeLimit.truncated`` where a time limit ended the episode
        """
        if self._q_taken is None:
            return
        truncated = np.array([info.get("TimeLimit.truncated", False) for info in infos], bool)
        self._stored = rewards - self._q_taken, ~np.asarray(dones, bool), ~truncated
        self._q_taken = None
