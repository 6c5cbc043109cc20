"""Draws the transitions to replay, by priority."""

import math
from typing import Any

import numpy as np

from sb3_breakout.replay.formulas import importance_weights, priorities_from_errors
from sb3_breakout.replay.streamed_pickle import StreamedArray
from sb3_breakout.replay.sum_tree import SumTree

MOST_PENDING = 1024  # largest number of updates that wait for the tree
RECENT_QUANTILE = 0.9
RECENT_ERRORS = 10_000  # number of errors that the recent error averages over


class PrioritySampler:
    """
    The ``|TD error|`` of every place of a replay buffer, the sum tree built from them, and the source of randomness.

    Paper: Prioritized Experience Replay, https://arxiv.org/abs/1511.05952

    The raw errors are kept, so that all priorities can be recomputed for another ``alpha``. A place whose transition cannot be
    replayed (empty, or its return is not known yet) has priority 0: it is never drawn, and no draw has to be repeated. Changes
    reach the tree when it is next sampled from.

    A new transition has no error yet. It enters with the 0.9 quantile of the errors that were measured recently (an
    exponential running mean of the quantile of each update, over about the last 10,000 errors). The paper uses the largest
    error ever seen. That is the error of a single outlier for ever, mostly from early training, so that every new transition
    outranks all that was learned about the old ones. A quantile follows the errors up and down, and leaves truly surprising
    transitions ahead.

    :param n_places: number of places
    :param alpha: how much prioritization, in [0, 1]
    :param eps: added to every ``|TD error|``
    :param rng: source of randomness
    """

    def __init__(self, n_places: int, alpha: float, eps: float, rng: np.random.Generator):
        self.alpha = alpha
        self.eps = eps
        self.rng = rng
        self.errors = np.zeros(n_places, np.float32)
        self.eligible = np.zeros(n_places, bool)
        self.n_eligible = 0
        self.recent_error = 1.0  # the error that new transitions enter with; 1 until one was measured
        self._errors_seen = 0  # number of errors in the recent error
        self._tree = SumTree(n_places)
        self._pending: list[np.ndarray] = []  # places whose priorities changed
        self._sampled = np.zeros(n_places, bool)
        self._used = 0  # places from this one on never held a transition
        self._largest_weight = 0.0  # since the last diagnostics(), as the next one
        self._draws = 0
        self._visited_before = 0  # places sampled before the last diagnostics(), less those that got a new transition since

    def enter(self, places: np.ndarray) -> None:
        """
        Register new transitions, which cannot be replayed yet.

        :param places: (n,) int64, ascending
        """
        self.withdraw(places)
        self.errors[places] = self.recent_error
        self._visited_before -= int(np.count_nonzero(self._sampled[places]))
        self._sampled[places] = False
        self._used = max(self._used, int(places[-1]) + 1)

    def suggest(self, places: np.ndarray, errors: np.ndarray) -> None:
        """
        Replace the errors that new transitions entered with; transitions that were sampled in the meantime keep theirs.

        :param places: (n,) int64, no place twice
        :param errors: (n,) float32, finite and not negative
        """
        new = ~self._sampled[places]
        self.errors[places[new]] = errors[new]
        self._changed(places[new])

    def admit(self, places: np.ndarray) -> None:
        """
        Allow transitions to be replayed.

        :param places: (n,) int64, no place twice
        """
        self.n_eligible += len(places) - int(np.count_nonzero(self.eligible[places]))
        self.eligible[places] = True
        self._changed(places)

    def withdraw(self, places: np.ndarray) -> None:
        """
        Exclude transitions from replay until they are admitted (again); their errors stay.

        :param places: (n,) int64, no place twice
        """
        self.n_eligible -= int(np.count_nonzero(self.eligible[places]))
        self.eligible[places] = False
        self._changed(places)

    def update(self, places: np.ndarray, errors: np.ndarray) -> None:
        """
        Replace errors; places that cannot be replayed keep theirs. If a place occurs more than once, its last error counts.

        :param places: (n,) int64
        :param errors: (n,) float32, finite and not negative
        """
        eligible = self.eligible.take(places)
        if not eligible.all():
            places, errors = places[eligible], errors[eligible]
        if not len(errors):
            return
        self._remember(errors)
        self.errors[places] = errors
        self._changed(places)

    def _remember(self, errors: np.ndarray) -> None:
        """Update the recent error: a mean of all quantiles at first, an exponential running mean later."""
        rank = math.ceil(RECENT_QUANTILE * (len(errors) - 1))
        self._errors_seen = min(self._errors_seen + len(errors), RECENT_ERRORS)
        rate = min(len(errors) / self._errors_seen, 1.0)
        self.recent_error += rate * (float(np.partition(errors, rank)[rank]) - self.recent_error)

    def _changed(self, places: np.ndarray) -> None:
        self._pending.append(places)
        if len(self._pending) > MOST_PENDING:
            self._update_tree()

    def sample(self, batch_size: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """
        :param batch_size: number of draws
        :param beta: how much importance sampling correction, in [0, 1]
        :return: (batch_size,) int64 places, and (batch_size,) float64 importance weights in (0, 1]
        """
        self._update_tree()
        places = self._tree.sample(batch_size, self.rng)
        probabilities = self._tree.get(places) / self._tree.total
        weights, largest = importance_weights(probabilities, self.n_eligible, beta)
        self._largest_weight = max(self._largest_weight, largest)
        self._draws += batch_size
        self._sampled[places] = True
        return places, weights

    def set_alpha(self, alpha: float) -> None:
        """
        :param alpha: how much prioritization, in [0, 1], from now on and for all stored transitions
        """
        self.alpha = alpha
        self._tree.rebuild(self._priorities(self.errors, self.eligible))
        self._pending.clear()

    def _update_tree(self) -> None:
        if self._pending:
            places = np.concatenate(self._pending)
            self._tree.set(places, self._priorities(self.errors.take(places), self.eligible.take(places)))
            self._pending.clear()  # last, so that an interrupt loses nothing

    def _priorities(self, errors: np.ndarray, eligible: np.ndarray) -> np.ndarray:
        """:return: float64 priorities, 0 where the transition cannot be replayed"""
        return priorities_from_errors(errors, self.alpha, self.eps) * eligible.astype(np.float64)

    @property
    def _first_visits(self) -> int:
        """How many transitions were drawn for the first time since the diagnostics were last asked for."""
        return int(np.count_nonzero(self._sampled)) - self._visited_before

    def diagnostics(self) -> dict[str, float]:
        """
        :return: the error that new transitions enter with; over the transitions that can be replayed, quantiles of ``|TD
            error| + eps`` and the share that was sampled at least once; since the last call, the share of draws that were the
            first of their transition, and the largest importance weight before the division by the largest of its batch
        """
        facts = {"recent_error": self.recent_error, "largest_weight": self._largest_weight}
        if self._draws:
            facts["first_visits"] = self._first_visits / self._draws
        if self.n_eligible:
            quantiles = np.quantile(self.errors[self.eligible], [0.1, 0.5, 0.9, 1.0]) + self.eps
            names = ("priority_p10", "priority_p50", "priority_p90", "priority_max")
            facts |= {name: float(value) for name, value in zip(names, quantiles, strict=True)}
            facts["sampled_share"] = float(self._sampled[self.eligible].mean())
        self._visited_before += self._first_visits
        self._largest_weight, self._draws = 0.0, 0
        return facts

    def check_valid(self) -> None:
        """Assert that counts, errors and tree agree."""
        self._update_tree()
        self._tree.check_valid()
        assert np.isfinite(self.errors).all() and self.errors.min() >= 0.0
        assert np.count_nonzero(self.eligible) == self.n_eligible, "eligible transitions are miscounted"
        assert not self.eligible[self._used :].any()
        expected = self._priorities(self.errors, self.eligible)
        assert np.allclose(self._tree.leaves, expected, rtol=1e-6, atol=0.0), "a priority differs from its error"

    def get_state(self) -> dict[str, Any]:
        """:return: the state, for ``pickle``"""
        self._update_tree()
        return {
            "alpha": self.alpha,
            "eps": self.eps,
            "rng": self.rng.bit_generator.state,
            "errors": StreamedArray(self.errors, self._used),
            "eligible": StreamedArray(self.eligible, self._used),
            "sampled": StreamedArray(self._sampled, self._used),
            "priorities": StreamedArray(self._tree.leaves, self._used),
            "n_eligible": self.n_eligible,
            "used": self._used,
            "recent_error": self.recent_error,
            "errors_seen": self._errors_seen,
            "largest_weight": self._largest_weight,
            "draws": self._draws,
            "first_visits": self._first_visits,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """
        :param state: what ``get_state`` returned, unpickled
        """
        self.alpha, self.eps = state["alpha"], state["eps"]
        self.rng = np.random.Generator(getattr(np.random, state["rng"]["bit_generator"])())
        self.rng.bit_generator.state = state["rng"]
        self.errors, self.eligible, self._sampled = state["errors"], state["eligible"], state["sampled"]
        self._tree = SumTree(len(self.errors))
        self._tree.rebuild(state["priorities"])
        self._pending = []
        self.n_eligible, self._used = state["n_eligible"], state["used"]
        self.recent_error, self._errors_seen = state["recent_error"], state["errors_seen"]
        self._largest_weight = state["largest_weight"]
        self._draws = state["draws"]
        self._visited_before = int(np.count_nonzero(self._sampled)) - state["first_visits"]
