"""A ladder of exploration over the environments, and the scores at both of its ends."""

from collections.abc import Iterable

import numpy as np


def ladder_epsilons(n_envs: int, epsilon: float, exponent: float) -> np.ndarray:
    """
    A ladder of exploration over the environments, the boldest first: ``epsilon ** (1 + i / (n_envs - 1) * exponent)``
    (Horgan et al. 2018, https://arxiv.org/abs/1803.00933, section 4.1). A single environment has ``epsilon`` itself.

    :param n_envs: number of environments
    :param epsilon: epsilon of the first environment, in [0, 1]; with 0, all are 0
    :param exponent: how far epsilon falls, at least 0: the last environment has ``epsilon ** (1 + exponent)``
    :return: (n_envs,) float64 in [0, 1]
    """
    return epsilon ** (1.0 + np.arange(n_envs) / max(n_envs - 1, 1) * exponent)


def scores_along_the_ladder(scores: Iterable[tuple[int, float]], n_envs: int) -> dict[str, float]:
    """
    :param scores: (environment, score) of the latest episodes
    :param n_envs: number of environments
    :return: mean score of the first and of the last quarter of the environments, at least one each, by log name; quarters
        without a finished episode are left out
    """
    quarter = max(n_envs // 4, 1)
    groups = {
        "ep_rew_mean_boldest": [score for env, score in scores if env < quarter],
        "ep_rew_mean_greediest": [score for env, score in scores if env >= n_envs - quarter],
    }
    return {name: float(np.mean(group)) for name, group in groups.items() if group}
