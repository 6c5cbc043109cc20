"""Scores and statistics of an evaluation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

INTERVAL = {"level": 0.95, "method": "percentile bootstrap of the mean", "resamples": 10_000, "seed": 0}


def bootstrap_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """
    Confidence interval of the mean. The same scores always give the same interval.

    Its ends are percentiles of the means of scores resampled with replacement.

    :param scores: one per game
    :return: lower and upper end of the 95 % interval; None for a single game
    """
    from scipy.stats import bootstrap  # importing it takes most of a second, which playing does not need

    if len(scores) < 2:
        return None
    low, high = bootstrap(
        (scores,),
        np.mean,
        confidence_level=INTERVAL["level"],
        n_resamples=INTERVAL["resamples"],
        method="percentile",
        rng=INTERVAL["seed"],
    ).confidence_interval
    return float(low), float(high)


@dataclass(frozen=True)
class Scores:
    """
    Raw scores of whole games.

    :param scores: one per game
    :param lengths: number of agent steps of each game
    :param protocol: how the games were played
    :param distinct_openings: number of games that differ in the pictures of their first ten steps; a random action of the
        agent makes a difference too
    :param distinct_games: number of games that differ in an action or reward
    :param balls: for Breakout, for each group of balls (``evaluation.balls``), how many ``balls`` came down to the paddle and
        how many of them were ``missed``
    """

    scores: list[float]
    lengths: list[int]
    protocol: dict[str, Any]
    distinct_openings: int
    distinct_games: int
    balls: dict[str, dict[str, int]] | None = None

    def summary(self) -> dict[str, Any]:
        """
        :return: mean, its 95 % interval and standard error, standard deviation, median, interquartile mean (mean of the
            middle half, https://arxiv.org/abs/2108.13264), best and worst score, number of episodes, and agent steps played
        """
        scores = np.sort(self.scores)
        cut = len(scores) // 4
        spread = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
        return {
            "mean": float(scores.mean()),
            "interval": bootstrap_interval(self.scores),
            "standard_error": spread / len(scores) ** 0.5,
            "standard_deviation": spread,
            "median": float(np.median(scores)),
            "iqm": float(scores[cut : len(scores) - cut].mean()),
            "best": float(scores[-1]),
            "worst": float(scores[0]),
            "episodes": len(scores),
            "steps": int(np.sum(self.lengths)),
        }

    def as_dict(self) -> dict[str, Any]:
        """:return: summary and all fields, ready for JSON"""
        return {**self.summary(), **asdict(self)}

    def text(self) -> str:
        """:return: the summary as text"""
        summary, protocol = self.summary(), self.protocol
        interval = (
            "95 % interval {:.1f} to {:.1f}".format(*summary["interval"]) if summary["interval"] else "one game: no interval"
        )
        figures = [f"{key} {summary[key]:.1f}" for key in ("standard_error", "median", "iqm", "best", "worst")]
        lines = [
            f"{protocol['protocol']}: mean {summary['mean']:.1f} ({interval}), " + ", ".join(figures).replace("_", " "),
            f"{summary['episodes']} games, {self.distinct_games} of them distinct, from {self.distinct_openings} distinct "
            f"openings; {summary['steps']} steps",
        ]
        if self.balls is not None:
            if protocol["sticky_actions"] == 0:
                lines.append(
                    "without sticky actions Breakout itself has only four openings (a random action in the first steps makes "
                    "another), so games resemble each other: see sticky as well"
                )
            lines.append("balls missed: " + ", ".join(f"{name} {_share(**counts)}" for name, counts in self.balls.items()))
        epsilon = [] if protocol["epsilon"] is None else [f"epsilon {protocol['epsilon']}"]  # a random agent has none
        conditions = [
            f"seeds {' '.join(map(str, protocol['seeds']))}",
            f"sticky actions {protocol['sticky_actions']}",
            *epsilon,
            f"up to {protocol['noop_max']} start no-ops",
            f"at most {protocol['max_steps']} steps per game",
        ]
        lines.append(", ".join(conditions))
        return "\n  ".join(lines)


def _share(balls: int, missed: int) -> str:
    return f"{missed / balls:.0%} of {balls}" if balls else "none"
