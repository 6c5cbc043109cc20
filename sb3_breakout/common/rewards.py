"""Mixing of two rewards: the game's (extrinsic) and a bonus (intrinsic)."""

import numpy as np

INTRINSIC_REWARD = "intrinsic_reward"  # key of the bonus in the info of a step


def mixed_rewards(extrinsic: np.ndarray, intrinsic: np.ndarray, reward_mix: float) -> np.ndarray:
    """
    ``(1 - reward_mix) * extrinsic + reward_mix * intrinsic``

    :param extrinsic: float32, any shape
    :param intrinsic: float32, same shape
    :param reward_mix: the share of the bonus, in [0, 1]
    :return: float32, same shape
    """
    return np.float32(1.0 - reward_mix) * extrinsic + np.float32(reward_mix) * intrinsic
