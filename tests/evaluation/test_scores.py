"""The summary of scores: means, deviations and bootstrap intervals."""

from collections import Counter

import numpy as np
import pytest

from sb3_breakout.evaluation import Scores, bootstrap_interval


def scores_of(scores: list[float]) -> Scores:
    return Scores(scores, [1] * len(scores), {}, distinct_openings=1, distinct_games=1)


def test_summary_on_hand_worked_numbers() -> None:
    summary = scores_of([10.0, 0.0, 4.0, 2.0, 100.0, 6.0, 8.0, 4.0]).summary()
    # Sorted: 0 2 | 4 4 6 8 | 10 100
    assert summary["mean"] == 134 / 8
    assert summary["median"] == 5.0
    assert summary["iqm"] == 22 / 4
    assert (summary["best"], summary["worst"], summary["episodes"], summary["steps"]) == (100.0, 0.0, 8, 8)
    squares = sum((score - 16.75) ** 2 for score in (10, 0, 4, 2, 100, 6, 8, 4))
    assert summary["standard_deviation"] == pytest.approx((squares / 7) ** 0.5)
    assert summary["standard_error"] == pytest.approx((squares / 7 / 8) ** 0.5)


def test_one_game_has_no_spread_and_no_interval() -> None:
    summary = scores_of([3.0]).summary()
    assert summary["standard_error"] == 0.0
    assert summary["interval"] is None


def test_interval_of_two_values_is_that_of_the_binomial_distribution() -> None:
    """Bootstrap means of 20 scores of 0 and 10 scores of 30 are numbers of successes in 30 trials of probability 1/3."""
    draws = np.random.default_rng(1).binomial(30, 1 / 3, size=1_000_000)
    counts, low, high = Counter(draws.tolist()), None, None
    below = 0
    for successes in sorted(counts):
        below += counts[successes]
        low = successes if low is None and below >= 25_000 else low
        high = successes if high is None and below >= 975_000 else high
    assert bootstrap_interval([0.0] * 20 + [30.0] * 10) == pytest.approx((low, high), abs=1.0)


def test_interval_is_the_same_every_time_and_holds_the_mean() -> None:
    scores = np.random.default_rng(0).exponential(80.0, size=100)
    low, high = bootstrap_interval(scores)
    assert (low, high) == bootstrap_interval(scores)
    assert low < scores.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * scores.std() / 10, rel=0.1)  # by the central limit theorem


def test_equal_scores_have_an_interval_of_no_width() -> None:
    assert bootstrap_interval([21.0] * 10) == (21.0, 21.0)
