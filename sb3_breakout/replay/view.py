"""A learner's view of the transitions in a replay buffer."""

from typing import Any

import numpy as np
import torch as th
from stable_baselines3.common.vec_env import VecNormalize

from sb3_breakout.common.arguments import check_unit_interval
from sb3_breakout.replay.priority_sampler import PrioritySampler
from sb3_breakout.replay.schedule import ReplaySchedules
from sb3_breakout.replay.transition_store import FLOAT32_MAX, PrioritizedReplayBufferSamples, TransitionStore


class ReplayView:
    """
    A learner's view of a :class:`PrioritizedReplayBuffer`. The transitions are stored once for all views; each view has its
    own priorities, random numbers and mix of rewards.

    The buffer samples through a view like any other; ``PrioritizedReplayBuffer.learner`` creates further ones.

    :param store: holds the transitions
    :param schedules: n_steps, alpha and beta, the same for all views
    :param eps: added to every ``|TD error|``
    :param reward_mix: alpha of ``(1 - alpha) * extrinsic + alpha * intrinsic``, the rewards that this view samples; can be
        changed at any time, and applies to all transitions, whenever they were stored. None for the extrinsic rewards
    :raises ValueError: if ``reward_mix`` is not in [0, 1]
    """

    def __init__(
        self, store: TransitionStore, schedules: ReplaySchedules, eps: float, reward_mix: float | None = None
    ) -> None:
        self.store = store
        self.schedules = schedules
        self.eps = eps
        self.reward_mix = reward_mix
        self.forget()

    @property
    def reward_mix(self) -> float | None:
        """Alpha, the share of the intrinsic reward, in [0, 1]; None for the extrinsic rewards."""
        return self._reward_mix

    @reward_mix.setter
    def reward_mix(self, value: float | None) -> None:
        if value is not None:
            check_unit_interval("reward_mix", value)
        self._reward_mix = value

    @property
    def buffer_size(self) -> int:
        """Number of steps that the buffer holds per environment."""
        return self.store.capacity

    @property
    def n_envs(self) -> int:
        """Number of environments."""
        return self.store.n_envs

    def size(self) -> int:
        """:return: how many steps of each environment are stored"""
        return self.store.size()

    def n_eligible(self) -> int:
        """:return: number of transitions, over all environments, that can be sampled"""
        return self.sampler.n_eligible

    def forget(self) -> None:
        """Discard the priorities. Until ``allocate``, an empty sampler with one place takes their place."""
        self.sampler = PrioritySampler(1, self.schedules.alpha, self.eps, np.random.default_rng(0))

    def allocate(self, rng: np.random.Generator) -> None:
        """
        Allocate memory for the priorities.

        :param rng: source of randomness
        """
        self.sampler = PrioritySampler(self.store.n_places, self.schedules.alpha, self.eps, rng)

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> PrioritizedReplayBufferSamples:
        """
        Draw transitions with probability proportional to their priority.

        :param batch_size: number of transitions; one can occur more than once
        :param env: normalizes observations and extrinsic rewards
        :return: the batch
        :raises ValueError: if there is nothing to sample
        """
        if self.sampler.n_eligible == 0:
            raise ValueError(
                f"Nothing can be sampled yet: {self.size()} step(s) are stored and a return takes {self.schedules.n_steps}, "
                "unless an episode ends before."
            )
        places, weights = self.sampler.sample(batch_size, self.schedules.beta)
        return self.store.samples(self.store.indices_at(places), self.schedules.n_steps, env, weights, self.reward_mix)

    def set_initial_priorities(self, envs: np.ndarray, td_errors: np.ndarray) -> None:
        """
        Set ``|TD errors|`` that the actor computed for the newest step, in place of the recent error that its transitions
        entered with (Ape-X, https://arxiv.org/abs/1803.00933). A transition that was sampled in the meantime keeps its
        priority.

        :param envs: (n,) int64 environments whose error is known, none twice
        :param td_errors: (n,) ``|TD errors|`` of these environments
        :raises ValueError: if an error is negative or not finite, an environment does not exist or the lengths differ; nothing
            is changed then
        """
        if len(envs) != len(td_errors):
            raise ValueError(f"{len(envs)} environments and {len(td_errors)} TD errors: there must be one error for each.")
        known = (td_errors >= 0.0) & (td_errors <= FLOAT32_MAX)  # NaN is neither
        if not known.all():
            wrong = int(known.argmin())
            raise ValueError(
                f"The initial |TD error| of environment {envs[wrong]} is {td_errors[wrong]}, it must be finite and not "
                "negative: no priority was changed."
            )
        if len(envs) and not 0 <= envs.min() <= envs.max() < self.n_envs:
            raise ValueError(f"Environments must be in [0, {self.n_envs}), received {envs.min()} to {envs.max()}.")
        if self.size():
            self.sampler.suggest(self.store.places_of(self.store.newest + envs), td_errors.astype(np.float32))

    def update_priorities(self, indices: np.ndarray | th.Tensor, td_errors: np.ndarray | th.Tensor) -> None:
        """
        Replace the priorities of sampled transitions; transitions overwritten since are skipped.

        If an index occurs more than once, its last error counts.

        :param indices: (batch,) as returned by ``sample``
        :param td_errors: (batch,) or (batch, 1) TD errors, whose magnitude counts
        :raises ValueError: if an error is not finite, an index was never given out or the lengths differ;
            nothing is changed then
        """
        indices = _flat(indices).astype(np.int64, copy=False)
        errors = np.abs(_flat(td_errors))
        if len(indices) != len(errors):
            raise ValueError(f"{len(indices)} indices and {len(errors)} TD errors: there must be one error per index.")
        if not len(indices):
            return
        if not errors.max() <= FLOAT32_MAX:  # refuses NaN too
            wrong = int((errors <= FLOAT32_MAX).argmin())
            raise ValueError(
                f"TD error {errors[wrong]} (position {wrong} of the batch) is not finite: no priority was changed. "
                "The loss has probably diverged, or a reward or observation was wrong."
            )
        first, last = indices.min(), indices.max()
        if first < 0 or last >= self.store.end:
            raise ValueError(
                f"Indices must be those of sampled transitions, in [0, {self.store.end}), received {first} to {last}."
            )
        if first < self.store.oldest:
            alive = indices >= self.store.oldest
            indices, errors = indices[alive], errors[alive]
        self.sampler.update(self.store.places_of(indices), errors.astype(np.float32, copy=False))

    def update_schedules(self, progress_remaining: float) -> None:
        """
        The same as the buffer's ``update_schedules``: all views share the schedules.

        :param progress_remaining: 1 at the start of training, 0 at its end
        :raises ValueError: if a schedule leaves its range
        """
        self.schedules.update(progress_remaining)

    def get_state(self) -> dict[str, Any]:
        """:return: the state (mix of rewards, priorities, random numbers), for ``pickle``"""
        return {"reward_mix": self.reward_mix, "sampler": self.sampler.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """
        :param state: what ``get_state`` returned, unpickled
        """
        self.reward_mix = state["reward_mix"]
        self.sampler.set_state(state["sampler"])


def _flat(values: np.ndarray | th.Tensor) -> np.ndarray:
    if isinstance(values, th.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values).reshape(-1)
