"""A second learner on the transitions of one buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch as th
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.arguments import check_unit_interval

if TYPE_CHECKING:
    from sb3_breakout.replay.prioritized_replay_buffer import PrioritizedReplayBuffer, PrioritizedReplayBufferSamples
    from sb3_breakout.replay.priority_sampler import PrioritySampler


class ReplayView:
    """
    A view of a :class:`PrioritizedReplayBuffer` for a learner that sees other rewards: same transitions, stored once, but
    priorities and random numbers of its own. Made by ``PrioritizedReplayBuffer.learner``.

    :param buffer: where the transitions are
    :param reward_mix: alpha of the rewards that this learner samples; may be set anew at any time, and then holds for
        all transitions, whenever they were recorded
    :raises ValueError: if ``reward_mix`` is not in [0, 1]
    """

    def __init__(self, buffer: PrioritizedReplayBuffer, reward_mix: float) -> None:
        self.buffer = buffer
        self.reward_mix = reward_mix
        self.sampler: PrioritySampler | None = None  # made by the buffer with its first transition

    @property
    def reward_mix(self) -> float:
        """alpha: the share of the intrinsic reward, in [0, 1]."""
        return self._reward_mix

    @reward_mix.setter
    def reward_mix(self, value: float) -> None:
        check_unit_interval("reward_mix", value)
        self._reward_mix = value

    @property
    def buffer_size(self) -> int:
        """Steps that the buffer holds of each environment."""
        return self.buffer.buffer_size

    @property
    def n_envs(self) -> int:
        """Number of environments."""
        return self.buffer.n_envs

    def size(self) -> int:
        """:return: how many steps of each environment are stored"""
        return self.buffer.size()

    def n_eligible(self) -> int:
        """:return: how many transitions, over all environments, can be sampled"""
        return self.buffer.n_eligible()

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> PrioritizedReplayBufferSamples:
        """
        As the buffer's ``sample``, by this learner's priorities and with the reward of every step mixed.

        :param batch_size: number of transitions
        :param env: normalizes observations and extrinsic rewards
        :return: the batch
        :raises ValueError: if there is nothing to sample
        """
        return self.buffer.sample_for(self.sampler, batch_size, env, self.reward_mix)

    def update_priorities(self, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor) -> None:
        """
        As the buffer's ``update_priorities``, for this learner only.

        :param indices: (batch,) as ``sample`` gave them
        :param td_errors: (batch,) or (batch, 1)
        :raises ValueError: see the buffer's
        """
        self.buffer.update_priorities_of(self.sampler, indices, td_errors)

    def update_schedules(self, progress_remaining: float) -> None:
        """
        Priorities of all learners follow the buffer's schedules of alpha and beta.

        :param progress_remaining: 1 at the start of training, 0 at its end
        """
        self.buffer.update_schedules(progress_remaining)
