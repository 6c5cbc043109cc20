"""Saving and restoring the state of the random number generators that a training uses."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch as th


def get_random_state() -> dict[str, Any]:
    """
    :return: the state of the generators that SB3 seeds: Python's, NumPy's and PyTorch's, including one per GPU
    """
    on_gpus = th.cuda.get_rng_state_all() if th.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": th.get_rng_state().numpy(),
        "cuda": [state.numpy() for state in on_gpus],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """
    :param state: what :func:`get_random_state` returned; GPU states are skipped on a machine with another number of GPUs
    """
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    th.set_rng_state(th.from_numpy(state["torch"]))
    if th.cuda.is_available() and len(state["cuda"]) == th.cuda.device_count():
        th.cuda.set_rng_state_all([th.from_numpy(on_gpu) for on_gpu in state["cuda"]])


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the states of the generators after the block."""
    state = get_random_state()
    try:
        yield
    finally:
        set_random_state(state)
