"""Validation of DDQN's arguments before the first step. Floats with whole values become integers."""

import warnings
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from gymnasium import spaces
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize, unwrap_vec_wrapper

from sb3_breakout.common.arguments import check_at_least, check_choice, check_finite, check_positive, check_unit_interval
from sb3_breakout.ddqn.arguments import DDQNArguments
from sb3_breakout.ddqn.exploration import Boltzmann, ExplorationRule
from sb3_breakout.replay import PrioritizedReplayBuffer
from sb3_breakout.replay.schedule import ProgressSchedule

SMALLEST = {"batch_size": 1, "buffer_size": 1, "target_update_interval": 1, "learning_starts": 0, "gradient_steps": -1}
POSITIVE = ("temperature_initial", "temperature_min", "temperature_slowdown", "max_grad_norm", "ladder_exponent")
POSITIVE_SHARES = ("temperature_decay", "exploration_fraction", "tau")
SHARES = ("gamma", "exploration_initial_eps", "exploration_final_eps", "evaluation_epsilon", "ladder_epsilon")


def check_arguments(model: DDQNArguments) -> None:
    """
    Check the attributes that hold the arguments: ``load`` and RL Zoo's ``-i`` set them without calling the constructor.

    :param model: the model to check; floats with whole values (``buffer_size=1e5``) are converted to integers
    :raises ValueError: for an invalid value, naming the argument
    """
    _check_nested(model)
    for name, smallest in SMALLEST.items():
        setattr(model, name, check_at_least(name, getattr(model, name), smallest))
    for name in POSITIVE + POSITIVE_SHARES:
        check_positive(name, getattr(model, name))
    for name in SHARES + POSITIVE_SHARES:
        check_unit_interval(name, getattr(model, name))
    check_choice("autocast", model.autocast, ("auto", True, False))
    check_choice("compile", model.compile, (True, False))
    check_choice("overlap_updates", model.overlap_updates, (True, False))
    if model.gradient_steps == 0:
        raise ValueError("gradient_steps must be at least 1, or -1 for one per collected step, received 0.")
    ProgressSchedule("learning_rate", model.learning_rate, largest=np.inf)
    ProgressSchedule("n_steps", model.n_steps, whole=True)
    if isinstance(model.n_steps, float):
        model.n_steps = int(model.n_steps)
    model.train_freq = checked_train_freq(model.train_freq)
    _check_episodes(model)
    _check_exploration(model)
    _check_head(model)
    _check_initial_priorities(model)
    _check_overlap(model)
    _check_spaces(model)
    _check_mirror(model)


def _check_nested(model: DDQNArguments) -> None:
    for name in ("policy_kwargs", "replay_buffer_kwargs"):
        if not isinstance(getattr(model, name), dict):
            raise ValueError(f"{name} must be a dictionary of arguments, received {getattr(model, name)!r}.")
    buffer_class = model.replay_buffer_class
    if not (isinstance(buffer_class, type) and issubclass(buffer_class, ReplayBuffer)):
        raise ValueError(f"replay_buffer_class must be a subclass of SB3's ReplayBuffer, received {buffer_class!r}.")


def _check_episodes(model: DDQNArguments) -> None:
    train_freq = model.train_freq
    if isinstance(train_freq, tuple) and train_freq[1] in ("episode", TrainFrequencyUnit.EPISODE) and model.n_envs > 1:
        raise ValueError(
            f"train_freq={tuple(train_freq)} counts episodes, which SB3 does in one environment only: received {model.n_envs} "
            "environments. Give a number of steps."
        )


def checked_train_freq(train_freq: Any) -> Any:
    """
    :param train_freq: a number of steps, a pair of a number and ``"step"`` or ``"episode"``, or SB3's ``TrainFreq``
    :return: the same, with whole floats converted to integers
    :raises ValueError: for anything else
    """
    if isinstance(train_freq, TrainFreq):
        return train_freq
    if not isinstance(train_freq, (tuple, list)):
        return check_at_least("train_freq", train_freq, 1)
    if len(train_freq) != 2 or train_freq[1] not in ("step", "episode"):
        raise ValueError(
            f"train_freq must be a number of steps or a pair like (4, 'step') or (1, 'episode'), received {train_freq!r}."
        )
    return check_at_least("the number in train_freq", train_freq[0], 1), train_freq[1]


def _check_exploration(model: DDQNArguments) -> None:
    if not isinstance(model.exploration, ExplorationRule):
        check_choice("exploration", model.exploration, ("boltzmann", "epsilon_greedy"))
    check_choice("temperature_scale", model.temperature_scale, Boltzmann.SCALES)
    for first, last in (("temperature_initial", "temperature_min"), ("exploration_initial_eps", "exploration_final_eps")):
        if getattr(model, first) < getattr(model, last):
            raise ValueError(
                f"Exploration falls over the training: {first} must be at least {last}, "
                f"received {first}={getattr(model, first)} and {last}={getattr(model, last)}."
            )


def _check_head(model: DDQNArguments) -> None:
    for name in ("n_atoms", "v_min", "v_max"):
        if name in model.policy_kwargs:
            raise ValueError(f"policy_kwargs has {name}={model.policy_kwargs[name]!r}: give it to the model itself.")
    if model.n_atoms is None:
        return
    model.n_atoms = check_at_least("n_atoms", model.n_atoms, 2)
    check_finite("v_min", model.v_min)
    check_finite("v_max", model.v_max)
    if model.v_min >= model.v_max:
        raise ValueError(f"v_min must be less than v_max, received v_min={model.v_min}, v_max={model.v_max}.")


def _check_initial_priorities(model: DDQNArguments) -> None:
    check_choice("initial_priorities", model.initial_priorities, ("recent", "td_error"))
    if model.initial_priorities == "recent":
        return
    if not issubclass(model.replay_buffer_class, PrioritizedReplayBuffer):
        raise ValueError(
            f"initial_priorities='td_error' with {model.replay_buffer_class.__name__}, which has no priorities: "
            "use PrioritizedReplayBuffer, or 'recent'."
        )
    if model.n_atoms is not None:
        raise ValueError(
            f"initial_priorities='td_error' with n_atoms={model.n_atoms}: priorities are KL divergences then, which "
            "one-step TD errors cannot be compared with. Use 'recent'."
        )


def _check_overlap(model: DDQNArguments) -> None:
    if model.overlap_updates and issubclass(model.replay_buffer_class, HerReplayBuffer):
        raise ValueError(
            "overlap_updates=True with HerReplayBuffer, whose samples ask the environment for rewards, which is taking a step "
            "then: use overlap_updates=False."
        )


def _check_spaces(model: DDQNArguments) -> None:
    if getattr(model, "observation_space", None) is None:
        raise ValueError("A model needs an environment to know its observations and actions: pass env, or use load().")
    if model.action_space.start != 0:
        raise ValueError(
            f"Actions must be counted from 0, as the network's outputs are, received {model.action_space}: "
            "wrap the environment in gymnasium.wrappers.TransformAction."
        )


def _check_mirror(model: DDQNArguments) -> None:
    mirrored = model.mirrored_actions
    if mirrored is None:
        return
    n_actions = int(model.action_space.n)
    numbers = isinstance(mirrored, Sequence) and all(type(action) is int for action in mirrored)
    if (
        not numbers
        or sorted(mirrored) != list(range(n_actions))
        or any(mirrored[mirrored[action]] != action for action in mirrored)
    ):
        raise ValueError(
            f"mirrored_actions must say for each of the {n_actions} actions which one it is in a mirror, and back, like "
            f"[0, 1, 3, 2] on Breakout, received {mirrored!r}."
        )
    space = model.observation_space
    if not is_image_space(space) or not is_image_space_channels_first(cast(spaces.Box, space)):
        raise ValueError(f"mirrored_actions needs images, (channels, height, width) uint8, received {space}.")


def check_run(model: DDQNArguments, total_timesteps: float, reset_num_timesteps: bool) -> int:
    """
    Checks that matter for training only; a model that is loaded for evaluation may have a tiny buffer.

    :param model: the model that is about to learn
    :param total_timesteps: as ``learn`` received it
    :param reset_num_timesteps: as ``learn`` received it
    :return: ``total_timesteps`` as an integer
    :raises ValueError: if it is not a number of steps, a batch is larger than the buffer, or frames are stacked above
        VecNormalize
    """
    total_timesteps = check_at_least("total_timesteps", total_timesteps, 0)
    stack = None if model.env is None else unwrap_vec_wrapper(model.env, VecFrameStack)
    if stack is not None and unwrap_vec_wrapper(stack.venv, VecNormalize) is not None:
        raise ValueError(
            "VecFrameStack around VecNormalize: SB3 stores the observations of VecNormalize, which are not stacked there. Put "
            "VecNormalize around VecFrameStack."
        )
    if model.batch_size > model.buffer_size:
        raise ValueError(
            f"batch_size={model.batch_size} is more than the replay buffer holds (buffer_size={model.buffer_size}): "
            "every batch would show transitions several times."
        )
    if reset_num_timesteps and 0 < total_timesteps <= model.learning_starts:
        warnings.warn(
            f"Nothing is learned in this training: it ends after {total_timesteps} steps, and learning begins after "
            f"learning_starts={model.learning_starts}.",
            stacklevel=4,
        )
    return total_timesteps
