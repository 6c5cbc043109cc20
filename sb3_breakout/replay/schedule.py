"""Schedules of alpha and beta."""

from collections.abc import Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
from stable_baselines3.common.type_aliases import Schedule


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
        else:
            start, end = self._ends()
            now = end + remaining * (start - end) if remaining < 1.0 else start
        if not 0.0 <= now <= 1.0:
            raise ValueError(f"{self.name} must lie in [0, 1], got {now} (from {self.name}={self.value!r}).")
        return now

    def _ends(self) -> tuple[float, float]:
        pair: Any = self.value if isinstance(self.value, (list, tuple)) else (self.value, self.value)
        if len(pair) != 2 or not all(isinstance(end, (int, float, np.number)) for end in pair):
            raise ValueError(
                f"{self.name} must be a number in [0, 1], a pair of them (at the start and at the end of training) or "
                f"a function of the remaining progress, not {self.value!r}."
            )
        return float(pair[0]), float(pair[1])

    def __getstate__(self) -> dict[str, Any]:
        # A function written on the spot (a lambda) has no name that pickle could refer to
        return {"name": self.name, "value": cloudpickle.dumps(self.value)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.name = state["name"]
        self.value = cloudpickle.loads(state["value"])
