"""Schedules of alpha, beta, the number of steps of a return and the learning rate."""

import math
from collections.abc import Sequence
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy as np
from stable_baselines3.common.type_aliases import Schedule


class ProgressSchedule:
    """
    A value in [0, 1] or [0, ``largest``], or a whole number of at least 1, over the course of training.

    :param name: what it is called, for messages
    :param value: a number; a pair (at the start, at the end) for a straight line between them; a triple (at the start, at the
        end, fraction of training by which the end is reached); or SB3's ``Schedule``: a function of the remaining progress,
        which falls from 1 to 0
    :param whole: values are whole numbers of at least 1, to which a line or function is rounded
    :param largest: the largest value, where they need not be whole: 1, or infinity for any finite one
    :raises ValueError: if a value is out of its range at the start or the end; also later, when a function returns one
    """

    largest = 1.0  # of schedules that were saved without one

    def __init__(self, name: str, value: float | Sequence[float] | Schedule, whole: bool = False, largest: float = 1.0):
        self.name = name
        self.value = value
        self.whole = whole
        self.largest = largest
        self(1.0)
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
            start, end, fraction = self._line()
            now = float(np.interp(1.0 - remaining, (0.0, fraction), (start, end)))
        if self.whole:
            now = float(np.rint(now))
        largest = math.inf if self.whole else self.largest
        if not (float(self.whole) <= now <= largest and now < math.inf):
            raise ValueError(f"{self.name} must be {self._kind()}, got {now:g} (from {self.name}={self.value!r}).")
        return now

    def _kind(self) -> str:
        if self.whole:
            return "a whole number of at least 1"
        return "a number in [0, 1]" if self.largest == 1.0 else "a finite number of at least 0"

    def _line(self) -> tuple[float, float, float]:
        """:return: start, end, and the fraction of training by which the end is reached"""
        line: Any = self.value if isinstance(self.value, (list, tuple)) else (self.value, self.value)
        if len(line) == 2:
            line = (*line, 1.0)
        numbers = len(line) == 3 and all(isinstance(number, (int, float, np.number)) for number in line)
        if not numbers or not 0.0 < line[2] <= 1.0 or (self.whole and any(number % 1 for number in line[:2])):
            raise ValueError(
                f"{self.name} must be {self._kind()}, a pair of them (at the start and at the end of training), a triple "
                "(start, end, fraction of training in (0, 1] by which the end is reached) or a function of the remaining "
                f"progress, not {self.value!r}."
            )
        return float(line[0]), float(line[1]), float(line[2])

    def __getstate__(self) -> dict[str, Any]:
        # A function written on the spot (a lambda) has no name that pickle could refer to
        return self.__dict__ | {"value": cloudpickle.dumps(self.value)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.value = cloudpickle.loads(state["value"])
