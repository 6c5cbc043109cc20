"""A naive replay buffer that ignores speed and memory: a list of whole transitions."""

from typing import Any, NamedTuple

import numpy as np

from tests.replay.streams import Step


class Stored(NamedTuple):
    """One transition of one environment, with full copies of its observations."""

    obs: np.ndarray
    next_obs: np.ndarray
    action: int
    reward: np.float32
    done: bool
    timeout: bool


class Oracle:
    """
    :param capacity: steps kept per environment
    :param n_envs: number of environments
    :param n_steps: steps of a return; may be changed at any time
    :param gamma: discount factor
    """

    def __init__(self, capacity: int, n_envs: int, n_steps: int, gamma: float):
        self.capacity, self.n_envs, self.n_steps, self.gamma = capacity, n_envs, n_steps, gamma
        self.steps: list[list[Stored]] = []  # all steps ever, each a list over environments
        self.errors: dict[int, float] = {}  # |TD error| of every index
        self.sampled: set[int] = set()
        self.updates: list[np.ndarray] = []  # the |TD errors| of each update

    def add(self, step: Step) -> None:
        if self.steps:
            for env, before in enumerate(self.steps[-1]):
                if not before.done and not np.array_equal(before.next_obs, step.obs[env]):
                    self.steps[-1][env] = before._replace(timeout=True)  # reset by hand: bootstrap, as at a timeout
        for index in range(len(self.steps) * self.n_envs, (len(self.steps) + 1) * self.n_envs):
            self.errors[index] = self.recent()
        self.steps.append(
            [
                Stored(
                    step.obs[env].copy(),
                    step.next_obs[env].copy(),
                    int(step.action[env]),
                    np.float32(step.reward[env]),
                    bool(step.done[env]),
                    bool(step.infos[env].get("TimeLimit.truncated", False)),
                )
                for env in range(self.n_envs)
            ]
        )

    def horizon(self, index: int) -> list[Stored] | None:
        """The transitions of the n-step return; None while the last of them is missing."""
        first, env = divmod(index, self.n_envs)
        steps: list[Stored] = []
        for number in range(first, first + self.n_steps):
            if number == len(self.steps):
                return None
            steps.append(self.steps[number][env])
            if steps[-1].done or steps[-1].timeout:
                break
        return steps

    def eligible(self) -> list[int]:
        """Indices of the transitions that can be sampled."""
        first = max(len(self.steps) - self.capacity, 0)
        stored = range(first * self.n_envs, len(self.steps) * self.n_envs)
        return [index for index in stored if self.horizon(index) is not None]

    def recent(self) -> float:
        """Mean of the updates' 0.9 quantiles, weighted by numbers of errors. The tests have too few errors to forget any."""
        if not self.updates:
            return 1.0
        quantiles = [np.quantile(errors, 0.9, method="higher") for errors in self.updates]
        return float(np.average(quantiles, weights=[len(errors) for errors in self.updates]))

    def set_initial(self, envs: np.ndarray, errors: np.ndarray) -> None:
        for env, error in zip(envs.tolist(), errors.tolist(), strict=True):
            index = (len(self.steps) - 1) * self.n_envs + env
            if index not in self.sampled:
                self.errors[index] = error

    def update(self, indices: np.ndarray, errors: np.ndarray) -> None:
        alive = set(self.eligible())
        counted = [
            (index, abs(error)) for index, error in zip(indices.tolist(), errors.tolist(), strict=True) if index in alive
        ]
        self.errors.update(counted)
        if counted:
            self.updates.append(np.array([error for _, error in counted]))

    def transition(self, index: int) -> dict[str, Any]:
        """The values that a batch must have for an index."""
        steps = self.horizon(index)
        assert steps is not None
        returns = np.zeros(1, np.float32)
        for power, step in enumerate(steps):
            returns += step.reward * np.float32(self.gamma ** np.float32(power))
        last = steps[-1]
        return {
            "observations": steps[0].obs,
            "actions": [steps[0].action],
            "next_observations": last.next_obs,
            "dones": [float(last.done and not last.timeout)],
            "rewards": returns,
            "discounts": [np.float32(self.gamma) ** np.float32(len(steps))],
        }
