"""Schedules of alpha, beta, the number of steps of a return and the learning rate."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import Schedule

from sb3_breakout.replay.eligibility import Eligibility

ALPHA_STEP = 0.01  # all priorities are recomputed when alpha has moved this far


class ProgressSchedule:
    """
    A value over the course of training: in [0, ``largest``], or a whole number of at least 1.

    :param name: name of the value, for messages
    :param value: a number; a pair (at the start, at the end) for a linear change; a triple (at the start, at the end, fraction
        of training by which the end is reached); or SB3's ``Schedule``: a function of the remaining progress, which falls from
        1 to 0
    :param whole: values are whole numbers of at least 1; those of a line or function are rounded
    :param largest: upper bound of values that need not be whole: 1, or infinity for any finite value
    :raises ValueError: if a value is out of range at the start or the end, or later when a function returns one
    """

    def __init__(self, name: str, value: float | Sequence[float] | Schedule, whole: bool = False, largest: float = 1.0):
        self.name = name
        self.value = value
        self.whole = whole
        self.largest = largest
        self(1.0)
        self(0.0)

    def __call__(self, progress_remaining: float) -> float:
        """
        :param progress_remaining: 1 at the start of training, 0 at its end; clipped to [0, 1]
        :return: the value at that progress
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
            raise ValueError(f"{self.name} must be {self._kind()}, received {now:g} (from {self.name}={self.value!r}).")
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
                f"progress, received {self.value!r}."
            )
        return float(line[0]), float(line[1]), float(line[2])


class ReplaySchedules:
    """
    The current n_steps, alpha and beta, shared by all views of a buffer.

    :param eligibility: where changes of n_steps and alpha take effect
    :param n_steps: schedule of the steps of a return
    :param alpha: schedule of how much prioritization
    :param beta: schedule of how much importance sampling correction
    :raises ValueError: if the buffer cannot hold the scheduled ``n_steps``
    """

    def __init__(self, eligibility: Eligibility, n_steps: ProgressSchedule, alpha: ProgressSchedule, beta: ProgressSchedule):
        for progress in (0.0, 1.0):
            eligibility.check_horizon(n_steps(progress))
        self._eligibility = eligibility
        self._schedules = n_steps, alpha, beta
        self.alpha = alpha(1.0)
        self.beta = beta(1.0)

    @property
    def n_steps(self) -> int:
        """Current number of steps of a return."""
        return self._eligibility.n_steps

    def values(self) -> dict[str, Any]:
        """:return: the values that the schedules were built from, by name"""
        return {schedule.name: schedule.value for schedule in self._schedules}

    def follow(self, other: "ReplaySchedules") -> None:
        """
        Use the schedules of another buffer from the next update on.

        :param other: schedules of the other buffer
        """
        self._schedules = other._schedules

    def update(self, progress_remaining: float) -> None:
        """
        Set n_steps, alpha and beta by their schedules.

        A new ``n_steps`` applies to every return sampled from now on. Transitions whose longer return is not known yet wait
        for it and keep their priority; those whose shorter return is already known can be sampled at once. A new alpha changes
        every priority, so it is applied in steps of at least ``ALPHA_STEP``, and at the end of training.

        :param progress_remaining: 1 at the start of training, 0 at its end
        :raises ValueError: if a schedule leaves its range
        """
        n_steps, alpha, beta = (schedule(progress_remaining) for schedule in self._schedules)
        self._eligibility.set_n_steps(int(n_steps))
        self.beta = beta
        moved = abs(alpha - self.alpha)
        if moved >= ALPHA_STEP or (moved > 0.0 and progress_remaining <= 0.0):
            self.alpha = alpha
            for sampler in self._eligibility.samplers:
                sampler.set_alpha(alpha)
