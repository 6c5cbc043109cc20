"""Rules that choose training actions: Q-values in, action probabilities out."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from stable_baselines3.common.utils import LinearSchedule


def boltzmann_probabilities(q_values: np.ndarray, temperature: float) -> np.ndarray:
    """
    Softmax of Q / T over the actions (Sutton & Barto 2018, eq. 2.11).

    :param q_values: shape (n_envs, n_actions), any float dtype
    :param temperature: T > 0, in units of ``q_values``
    :return: probabilities, same shape, float64, rows sum to 1
    """
    logits = np.asarray(q_values, dtype=np.float64) / temperature
    logits -= logits.max(axis=1, keepdims=True)  # no overflow, same softmax
    weights = np.exp(logits)
    return weights / weights.sum(axis=1, keepdims=True)


def epsilon_greedy_probabilities(q_values: np.ndarray, epsilon: float) -> np.ndarray:
    """
    Spread epsilon evenly over all actions and give the rest to the greedy action (the first one if several are equal).

    :param q_values: shape (n_envs, n_actions)
    :param epsilon: in [0, 1]
    :return: probabilities, same shape, float64, rows sum to 1
    """
    n_envs, n_actions = q_values.shape
    probabilities = np.full((n_envs, n_actions), epsilon / n_actions)
    probabilities[np.arange(n_envs), q_values.argmax(axis=1)] += 1.0 - epsilon
    return probabilities


def mixed_with_random(probabilities: np.ndarray, epsilons: np.ndarray) -> np.ndarray:
    """
    Mix action probabilities with uniformly random play.

    :param probabilities: (n_envs, n_actions), rows sum to 1
    :param epsilons: (n_envs,) probability of a uniformly random action in each environment, in [0, 1]
    :return: (n_envs, n_actions), rows sum to 1
    """
    return (1.0 - epsilons[:, None]) * probabilities + epsilons[:, None] / probabilities.shape[1]


def checked_probabilities(rule: "ExplorationRule", q_values: np.ndarray) -> np.ndarray:
    """
    Ask an exploration rule for its probabilities and check them.

    :param rule: the exploration rule
    :param q_values: shape (n_envs, n_actions), float32
    :return: the rule's action probabilities, same shape, float64
    :raises ValueError: naming the rule, if the probabilities have another shape, are negative or NaN, or do not sum to 1 in
        each row
    """
    probabilities = np.asarray(rule.probabilities(q_values), dtype=np.float64)
    if probabilities.shape != q_values.shape:
        raise ValueError(
            f"{type(rule).__name__}.probabilities() must return the shape of the Q-values, {q_values.shape}, received "
            f"{probabilities.shape}."
        )
    wrong = ~((probabilities >= 0.0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1.0) < 1e-4))
    if wrong.any():
        raise ValueError(
            f"{type(rule).__name__}.probabilities() must return probabilities that sum to 1 for each environment, received "
            f"{probabilities[wrong][0].tolist()} for Q-values {q_values[wrong][0].tolist()}."
        )
    return probabilities


def sample_actions(probabilities: np.ndarray) -> np.ndarray:
    """
    One action per row, by inverting the cumulative distribution. Draws from NumPy's global
    generator, the one that SB3 seeds.

    :param probabilities: shape (n_envs, n_actions), rows sum to 1
    :return: actions, shape (n_envs,), int64
    """
    thresholds = probabilities.cumsum(axis=1)[:, :-1]  # (n_envs, n_actions - 1): the last action has the remaining probability
    return (np.random.random((len(probabilities), 1)) >= thresholds).sum(axis=1)


def entropy(probabilities: np.ndarray) -> float:
    """
    :param probabilities: shape (n_envs, n_actions)
    :return: entropy in nats, averaged over rows; ln(n_actions) is random play
    """
    return float(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1).mean())


def action_gap(q_values: np.ndarray) -> float:
    """
    :param q_values: shape (n_envs, n_actions)
    :return: best minus second-best Q-value, averaged over rows (0 with a single action)
    """
    if q_values.shape[1] < 2:
        return 0.0
    top_two = np.partition(q_values, -2, axis=1)[:, -2:]
    return float((top_two[:, 1] - top_two[:, 0]).mean())


class ExplorationRule(ABC):
    """
    Determines how training actions are drawn from Q-values. Subclass it, implement :meth:`probabilities` and pass an instance
    as ``DDQN(exploration=...)``. The model uses a copy, ``model.policy.exploration``, and saves the result of its
    :meth:`get_state` in the model file.
    """

    @abstractmethod
    def probabilities(self, q_values: np.ndarray) -> np.ndarray:
        """
        :param q_values: shape (n_envs, n_actions), float32
        :return: action probabilities, same shape, rows sum to 1
        """

    def observe(self, q_values: np.ndarray) -> None:  # noqa: B027 (need not be overridden)
        """
        Called with the Q-values of each step before its actions are drawn.

        :param q_values: shape (n_envs, n_actions), float32
        """

    def update(self, progress_remaining: float, episodes_ended: int) -> None:  # noqa: B027 (need not be overridden)
        """
        Called after each step of the vectorised environment, once the random prefill is over.

        :param progress_remaining: 1 at the start of training, 0 at its end
        :param episodes_ended: number of episodes (as the learner sees them: lives) that ended in this step
        """

    def metrics(self) -> dict[str, float]:
        """
        :return: values to log under ``rollout/``, by name
        """
        return {}

    def get_state(self) -> dict[str, Any]:
        """
        :return: the state to resume with :meth:`set_state`, as plain Python numbers
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:  # noqa: B027 (need not be overridden)
        """
        :param state: what :meth:`get_state` returned
        """


class Boltzmann(ExplorationRule):
    """
    Softmax exploration whose temperature falls with every finished episode:
    T = max(minimum, initial * decay ** (episodes / slowdown)).

    A temperature is only meaningful relative to the scale of Q. On Breakout, action gaps stay near 0.01 for the first
    100k steps, so that softmax(Q / 0.05) is uniformly random. ``scale="q_spread"`` therefore divides Q by its
    running spread (standard deviation over actions, averaged over states) first; ``scale="raw"`` does not.

    :param initial: temperature before the first episode ends
    :param minimum: floor of the temperature
    :param decay: factor per ``slowdown`` episodes, in (0, 1]
    :param slowdown: number of episodes per factor of ``decay``
    :param scale: ``"q_spread"`` or ``"raw"``
    """

    SCALES = ("q_spread", "raw")
    SPREAD_RATE = 0.01  # the running spread covers about the last 100 steps of the vectorised environment

    def __init__(self, initial: float, minimum: float, decay: float, slowdown: float, scale: str) -> None:
        self.initial = initial
        self.minimum = minimum
        self.decay = decay
        self.slowdown = slowdown
        self.scale = scale
        self.episodes = 0
        self.q_spread = 0.0  # 0 before the first step

    @property
    def temperature(self) -> float:
        """The current temperature T."""
        return max(self.minimum, self.initial * self.decay ** (self.episodes / self.slowdown))

    def observe(self, q_values: np.ndarray) -> None:
        spread = float(q_values.std(axis=1).mean())
        self.q_spread += (self.SPREAD_RATE if self.q_spread > 0.0 else 1.0) * (spread - self.q_spread)

    def probabilities(self, q_values: np.ndarray) -> np.ndarray:
        unit = max(self.q_spread, 1e-8) if self.scale == "q_spread" else 1.0
        return boltzmann_probabilities(q_values, self.temperature * unit)

    def update(self, progress_remaining: float, episodes_ended: int) -> None:
        self.episodes += episodes_ended

    def metrics(self) -> dict[str, float]:
        return {"temperature": self.temperature, "q_spread": self.q_spread}

    def get_state(self) -> dict[str, Any]:
        return {"episodes": self.episodes, "q_spread": self.q_spread}

    def set_state(self, state: dict[str, Any]) -> None:
        self.episodes = state["episodes"]
        self.q_spread = state["q_spread"]


class EpsilonGreedy(ExplorationRule):
    """
    Random with probability epsilon, greedy otherwise; epsilon falls linearly over the first ``fraction`` of training.

    :param initial: epsilon at the start
    :param final: epsilon after ``fraction`` of the training
    :param fraction: share of the training, in (0, 1]; 0.02 of 10M steps are the 200k steps of the original system
    """

    def __init__(self, initial: float, final: float, fraction: float) -> None:
        self.initial = initial
        self.final = final
        self.fraction = fraction
        self.epsilon = initial

    def probabilities(self, q_values: np.ndarray) -> np.ndarray:
        return epsilon_greedy_probabilities(q_values, self.epsilon)

    def update(self, progress_remaining: float, episodes_ended: int) -> None:
        self.epsilon = LinearSchedule(self.initial, self.final, self.fraction)(progress_remaining)

    def metrics(self) -> dict[str, float]:
        return {"exploration_rate": self.epsilon}

    def get_state(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon}

    def set_state(self, state: dict[str, Any]) -> None:
        self.epsilon = state["epsilon"]
