"""Which device "auto" is."""

import torch as th
from stable_baselines3.common.utils import get_device


def choose_device(device: th.device | str = "auto") -> th.device:
    """
    As SB3's ``get_device``, but "auto" also considers Apple's mps, after cuda and before cpu.

    :param device: "auto" or what PyTorch accepts
    """
    if device == "auto" and not th.cuda.is_available() and th.backends.mps.is_available():
        return th.device("mps")
    return get_device(device)
