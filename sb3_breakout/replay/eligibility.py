"""Tracks which transitions can be replayed: those whose n-step return is known."""

from typing import Any

import numpy as np

from sb3_breakout.replay.priority_sampler import PrioritySampler


class Eligibility:
    """
    Tracks which transitions can be replayed, and informs every sampler of a buffer.

    A transition waits until n - 1 more steps of its environment are stored, its episode ends, or its episode is cut: the next
    observation added is not the one that was announced (the environment was reset by hand)::

        step        0   1   2   3   4 | 5   6           n = 3, an episode ended with step 4
        eligible    x   x   x   x   x   -   -           5 waits for 7, 6 for 8, or either for the end of its episode

    :param capacity: number of steps stored per environment
    :param n_envs: number of environments
    :param n_steps: steps of the return, at least 1
    :raises ValueError: if ``capacity`` is smaller than ``n_steps``
    """

    def __init__(self, capacity: int, n_envs: int, n_steps: int):
        self.capacity = capacity
        self.n_envs = n_envs
        self.check_horizon(n_steps)
        self.n_steps = n_steps
        self.reset(0)

    def reset(self, step: int) -> None:
        """
        Forget all steps and samplers.

        :param step: number of the next step
        """
        self.samplers: list[PrioritySampler] = []
        self._step = step
        self._running = np.zeros(self.n_envs, np.int64)  # stored steps of the current episode, 0 after it ended or was cut

    def add(self, cut: np.ndarray, ends: np.ndarray) -> None:
        """
        Account for a step that was stored.

        :param cut: (n,) int64, environments whose previous episode was cut: the new observation is not the one that the
            previous step announced
        :param ends: (n_envs,) bool, where the step ended an episode
        """
        self._release(cut)
        first = self._step % self.capacity * self.n_envs
        for sampler in self.samplers:
            sampler.enter(np.arange(first, first + self.n_envs))
        self._step += 1
        self._running += 1
        known = np.flatnonzero(self._running >= self.n_steps)  # environments where one more return is now known
        if len(known):
            self._admit((self._step - self.n_steps) % self.capacity * self.n_envs + known)
        if ends.any():
            self._release(np.flatnonzero(ends))

    def set_n_steps(self, n_steps: int) -> None:
        """
        Change the horizon. Returns are computed when they are sampled, so only the known ones change: a shorter horizon admits
        waiting transitions, a longer one withdraws those whose return is no longer complete.

        :param n_steps: steps of the return, at least 1
        :raises ValueError: if the buffer cannot hold that many steps
        """
        self.check_horizon(n_steps)
        before, after = self._waiting(self.n_steps), self._waiting(n_steps)
        for env in np.flatnonzero(before > after):
            self._admit(self._newest(env, after[env], before[env]))
        for env in np.flatnonzero(before < after):
            for sampler in self.samplers:
                sampler.withdraw(self._newest(env, before[env], after[env]))
        self.n_steps = n_steps

    def check_horizon(self, n_steps: float) -> None:
        """
        :param n_steps: number of steps of a return
        :raises ValueError: if the buffer cannot hold that many steps
        """
        if n_steps > self.capacity:
            raise ValueError(
                f"buffer_size={self.capacity * self.n_envs} leaves {self.capacity} step(s) to each of {self.n_envs} "
                f"environment(s), too few for returns over n_steps={n_steps:g}: it must be at least "
                f"{n_steps * self.n_envs:g}."
            )

    def _waiting(self, n_steps: int) -> np.ndarray:
        """:return: (n_envs,) int64, how many of each environment's newest transitions have no return over ``n_steps`` yet"""
        return np.minimum(self._running, n_steps - 1)

    def _newest(self, env: int | np.integer, first: int, last: int) -> np.ndarray:
        """
        :return: (last - first,) int64, places of an environment's ``last`` newest transitions except the ``first`` newest
        """
        return np.arange(self._step - last, self._step - first) % self.capacity * self.n_envs + env

    def _release(self, envs: np.ndarray) -> None:
        """Admit all waiting transitions of these environments: their segment has ended."""
        waiting = self._waiting(self.n_steps)
        for env in envs:
            self._admit(self._newest(env, 0, waiting[env]))
        self._running[envs] = 0

    def _admit(self, places: np.ndarray) -> None:
        for sampler in self.samplers:
            sampler.admit(places)

    def get_state(self) -> dict[str, Any]:
        """:return: the state, for ``pickle``"""
        return {"n_steps": self.n_steps, "step": self._step, "running": self._running}

    def set_state(self, state: dict[str, Any], samplers: list[PrioritySampler]) -> None:
        """
        :param state: what ``get_state`` returned
        :param samplers: the samplers to inform from now on
        """
        self.n_steps, self._step, self._running = state["n_steps"], state["step"], state["running"]
        self.samplers = samplers

    def check_valid(self, step: int, n_stored: int) -> None:
        """
        Assert the invariants that hold between two calls.

        :param step: number of the next step
        :param n_stored: number of transitions stored
        """
        assert self._step == step
        for sampler in self.samplers:
            sampler.check_valid()
            assert sampler.n_eligible == n_stored - self._waiting(self.n_steps).sum()
