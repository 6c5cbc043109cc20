"""The maths of prioritized replay, without state, and its schedules."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import Schedule


def priorities_from_errors(td_errors: np.ndarray, alpha: float, eps: float) -> np.ndarray:
    """
    ``p = (|delta| + eps)^alpha``: proportional prioritization with its exponent (equation 1 and section 3.3 of
    https://arxiv.org/abs/1511.05952).

    :param td_errors: (n,) float32 magnitudes; a negative number marks a transition that cannot be sampled
    :param alpha: how much prioritization, 0 (none) to 1
    :param eps: keeps a transition without error in the game
    :return: (n,) float64, 0 where the transition cannot be sampled
    """
    eligible = td_errors >= 0.0
    if alpha == 0.0:
        return eligible.astype(np.float64)
    magnitudes = np.maximum(td_errors, np.float32(0.0)) + np.float32(eps)
    return np.power(magnitudes, np.float32(alpha)) * eligible.astype(np.float64)


def importance_weights(probabilities: np.ndarray, n_transitions: int, beta: float) -> tuple[np.ndarray, float]:
    """
    ``w = (N P(i))^-beta``, divided by the largest of the batch so that updates are only ever scaled down
    (section 3.4 and algorithm 1, line 10, of https://arxiv.org/abs/1511.05952; the largest of the batch rather than of the
    whole buffer, as in the implementations of its authors).

    :param probabilities: (batch,) float64, the probability each transition was drawn with
    :param n_transitions: how many transitions could have been drawn
    :param beta: how much correction, 0 (none) to 1 (full)
    :return: (batch,) float64 weights in (0, 1], and the largest before the division
    """
    weights = (n_transitions * probabilities) ** -beta
    largest = weights.max()
    return weights / largest, float(largest)


class UnitSchedule:
    """
    A value in [0, 1] over the course of training.

    :param name: what it is called, for messages
    :param value: a number, a pair (at the start, at the end) for a straight line between them,
        or SB3's ``Schedule``: a function of the remaining progress, which falls from 1 to 0
    :raises ValueError: if a value lies outside [0, 1]; also later, when a function returns one
    """

    def __init__(self, name: str, value: float | Sequence[float] | Schedule):
        self.name = name
        self.value = value
        if not callable(value) and not self._is_number(value) and not self._is_pair(value):
            raise ValueError(
                f"{name} must be a number in [0, 1], a pair of numbers (start, end) or a function of the remaining progress, "
                f"not {value!r}."
            )
        self(1.0)
        if not callable(value):
            self(0.0)

    def __call__(self, progress_remaining: float) -> float:
        """
        :param progress_remaining: 1 at the start of training, 0 at its end; held to [0, 1]
        :return: the value then
        """
        remaining = min(max(float(progress_remaining), 0.0), 1.0)
        if callable(self.value):
            now = float(self.value(remaining))
        elif self._is_number(self.value):
            now = float(self.value)  # type: ignore[arg-type]
        else:
            start, end = self.value  # type: ignore[misc]
            now = float(end + remaining * (start - end)) if remaining < 1.0 else float(start)
        if not 0.0 <= now <= 1.0:
            raise ValueError(f"{self.name} must lie in [0, 1], got {now} (from {self.name}={self.value!r}).")
        return now

    @staticmethod
    def _is_number(value: Any) -> bool:
        return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)

    @classmethod
    def _is_pair(cls, value: Any) -> bool:
        return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(cls._is_number, value))

    def __getstate__(self) -> dict[str, Any]:
        # A function written on the spot (a lambda) has no name that a pickle could refer to
        if callable(self.value):
            import cloudpickle

            return {"name": self.name, "function": cloudpickle.dumps(self.value)}
        return {"name": self.name, "value": self.value}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name = state["name"]
        if "function" in state:
            import cloudpickle

            self.value = cloudpickle.loads(state["function"])
        else:
            self.value = state["value"]
