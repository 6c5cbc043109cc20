"""Resuming a training with ``-i``."""

import warnings
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from sb3_breakout.ddqn import DDQN

REPLAY_BUFFER = "replay_buffer.pkl"  # the file that -i looks for beside the model


class ReplayBufferCheckpoint(BaseCallback):
    """
    Saves the replay buffer beside the model's checkpoints: one file, replaced each time (RL Zoo's own checkpoints have none).

    If the buffer cannot be written, training continues with a warning, and the previous file remains.

    :param save_freq: steps of the vectorised environment between two checkpoints
    :param folder: folder of the model's checkpoints
    """

    model: DDQN

    def __init__(self, save_freq: int, folder: str) -> None:
        super().__init__()
        self.save_freq = save_freq
        self.path = Path(folder) / REPLAY_BUFFER

    def _on_step(self) -> bool:
        if self.n_calls % self.save_freq == 0:
            try:
                self.model.save_replay_buffer(self.path)
            except OSError as error:
                warnings.warn(f"The replay buffer was not saved to {self.path} ({error}); training continues.", stacklevel=2)
        return True


class ContinuedLearning:
    """
    Wraps a loaded model for RL Zoo: ``learn(n)`` ends at n steps in total, including earlier ones.

    :param model: a loaded model whose training continues
    """

    def __init__(self, model: DDQN) -> None:
        self.model = model

    @property
    def env(self) -> Any:
        return self.model.env

    def learn(self, total_timesteps: int, **kwargs: Any) -> DDQN:
        return self.model.learn(total_timesteps - self.model.num_timesteps, reset_num_timesteps=False, **kwargs)


def check_steps_left(model: DDQN, total_timesteps: int, path: str) -> None:
    """
    :param model: the loaded model
    :param total_timesteps: total number of agent steps
    :param path: file it was loaded from
    :raises ValueError: if the model has already been trained for that long
    """
    if model.num_timesteps >= total_timesteps:
        raise ValueError(
            f"{path} has been trained for {model.num_timesteps} steps, and with -i training ends at {total_timesteps} steps "
            f"in total: give a larger -n (or n_timesteps in the YAML file)."
        )


def check_buffer_beside(model: DDQN, path: str) -> None:
    """
    Warn if there is no replay buffer to resume with.

    :param model: the loaded model
    :param path: file it was loaded from
    """
    if not (Path(path).parent / REPLAY_BUFFER).exists():
        warnings.warn(
            f"There is no {REPLAY_BUFFER} beside {path}: the agent plays {model.learning_starts} steps "
            "before it learns again. --save-freq and --save-replay-buffer keep one.",
            stacklevel=2,
        )


def check_same_network(model: DDQN, policy_kwargs: Any, path: str) -> None:
    """
    Warn if the network of a loaded model is not the requested one.

    :param model: the loaded model
    :param policy_kwargs: from the YAML file or ``-params``
    :param path: file it was loaded from
    """
    other = [name for name, value in (policy_kwargs or {}).items() if model.policy_kwargs.get(name) != value]
    if other:
        warnings.warn(
            f"policy_kwargs ({', '.join(other)}) are not those that {path} was trained with, and are ignored: with -i a "
            "training keeps its network.",
            stacklevel=2,
        )
