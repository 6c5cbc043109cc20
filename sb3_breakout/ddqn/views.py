"""A common interface of replay buffers for the learner: batches with discounts and weights, and updates of priorities."""

from typing import Protocol

import numpy as np
import torch as th
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.replay import PrioritizedReplayBuffer, PrioritizedReplayBufferSamples


class View(Protocol):
    """
    The replay buffer interface that a learner uses, of ``PrioritizedReplayBuffer``, its ``ReplayView`` or
    :class:`UniformView`.
    """

    def n_eligible(self) -> int:
        """:return: number of transitions that can be sampled"""

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> PrioritizedReplayBufferSamples:
        """:return: a batch"""

    def update_priorities(self, indices: np.ndarray, td_errors: np.ndarray) -> None:
        """Report the TD errors of sampled transitions."""

    def update_schedules(self, progress_remaining: float) -> None:
        """Update the schedules; the remaining progress falls from 1 to 0."""


class UniformView:
    """
    Adapts one of SB3's own replay buffers: uniform sampling, all weights 1.

    :param buffer: the replay buffer
    :param gamma: discount factor, for buffers whose samples have no discounts (single steps)
    """

    def __init__(self, buffer: ReplayBuffer, gamma: float) -> None:
        self.buffer = buffer
        self.gamma = gamma

    def n_eligible(self) -> int:
        """:return: number of transitions that can be sampled"""
        return self.buffer.size() * self.buffer.n_envs

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> PrioritizedReplayBufferSamples:
        """
        :param batch_size: number of transitions
        :param env: normalizes observations and rewards
        :return: the batch; its indices are not used
        """
        batch = self.buffer.sample(batch_size, env)
        ones = th.ones_like(batch.rewards)
        discounts = self.gamma * ones if batch.discounts is None else batch.discounts
        return PrioritizedReplayBufferSamples(*batch[:5], discounts, ones, np.zeros(batch_size, np.int64))

    def update_priorities(self, indices: np.ndarray, td_errors: np.ndarray) -> None:
        """Uniform sampling has no priorities."""

    def update_schedules(self, progress_remaining: float) -> None:
        """Uniform sampling has no schedules."""


def as_view(buffer: ReplayBuffer, gamma: float) -> View:
    """
    Give a replay buffer the interface of a learner's view: a prioritized buffer has it, others are wrapped.

    :param buffer: any replay buffer
    :param gamma: discount factor
    :raises ValueError: if a prioritized buffer has another discount factor
    """
    if not isinstance(buffer, PrioritizedReplayBuffer):
        return UniformView(buffer, gamma)
    if buffer.gamma != gamma:
        raise ValueError(f"The replay buffer must have the model's gamma={gamma}, received gamma={buffer.gamma}.")
    return buffer
