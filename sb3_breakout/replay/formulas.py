"""The maths of prioritized n-step replay, without state."""

import numpy as np


def priorities_from_errors(td_errors: np.ndarray, alpha: float, eps: float) -> np.ndarray:
    """
    ``p = (|delta| + eps)^alpha``: proportional prioritization with its exponent (equation 1 and section 3.3 of
    https://arxiv.org/abs/1511.05952).

    :param td_errors: (n,) float32 magnitudes
    :param alpha: how much prioritization, 0 (none) to 1
    :param eps: added to every error, so that transitions without error can still be drawn
    :return: (n,) float32
    """
    return np.power(td_errors + np.float32(eps), np.float32(alpha))


def importance_weights(probabilities: np.ndarray, n_transitions: int, beta: float) -> tuple[np.ndarray, float]:
    """
    ``w = (N P(i))^-beta``, divided by the largest of the batch so that updates are only ever scaled down
    (section 3.4 and algorithm 1, line 10, of https://arxiv.org/abs/1511.05952; the largest of the batch rather than of the
    whole buffer, as in the implementations of its authors).

    :param probabilities: (batch,) float64, the probability each transition was drawn with
    :param n_transitions: number of transitions that could have been drawn
    :param beta: how much correction, 0 (none) to 1 (full)
    :return: (batch,) float64 weights in (0, 1], and the largest before the division
    """
    weights = (n_transitions * probabilities) ** -beta
    largest = weights.max()
    return weights / largest, float(largest)


def n_step_returns(rewards: np.ndarray, ends: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """
    ``sum_k gamma^k r_k`` over the horizon, or up to the first end within it (that step included).

    Computed in the order and precision of SB3's ``NStepReplayBuffer``, so that results are the same to the last bit.

    :param rewards: (batch, n_steps) float32, finite even after an end
    :param ends: (batch, n_steps) bool, whether an episode ended with a step, for whatever reason
    :param gamma: discount factor
    :return: (batch,) float32 returns, and (batch,) int64 in [1, n_steps], the number of steps that each spans
    """
    steps = np.arange(rewards.shape[1])
    ends = ends.copy()
    ends[:, -1] = True  # end of the horizon
    spans = ends.argmax(axis=1) + 1  # (batch,)
    discounted = rewards * gamma ** steps.astype(np.float32) * (steps < spans[:, None])  # (batch, n_steps)
    return discounted.sum(axis=1), spans
