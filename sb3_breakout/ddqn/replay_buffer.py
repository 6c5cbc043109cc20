"""The replay buffer of a DDQN, built or loaded to fit its environment and its arguments."""

import io
import pathlib
import warnings
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.buffers import NStepReplayBuffer, ReplayBuffer
from stable_baselines3.common.vec_env import VecFrameStack, unwrap_vec_wrapper
from stable_baselines3.her.her_replay_buffer import HerReplayBuffer

from sb3_breakout.ddqn.arguments import DDQNArguments
from sb3_breakout.replay import PrioritizedReplayBuffer


def make_replay_buffer(model: DDQNArguments) -> ReplayBuffer:
    """
    :param model: the model whose arguments determine the buffer's class and size
    :return: the buffer; ``n_steps``, ``gamma`` and ``n_stack`` are filled in where it takes them
    :raises ValueError: if the buffer does not support the model's arguments, or ``replay_buffer_kwargs`` contradict them
    """
    _check_contradictions(model)
    return model.replay_buffer_class(
        model.buffer_size,
        model.observation_space,
        model.action_space,
        device=model.device,
        n_envs=model.n_envs,
        optimize_memory_usage=model.optimize_memory_usage,
        **_filled_in(model),
        **model.replay_buffer_kwargs,
    )


def _filled_in(model: DDQNArguments) -> dict[str, Any]:
    """:return: arguments of the buffer that are derived from the model"""
    buffer_class, n_steps = model.replay_buffer_class, model.n_steps
    kwargs: dict[str, Any] = {}
    if issubclass(buffer_class, HerReplayBuffer):
        if model.env is None:
            raise ValueError("HerReplayBuffer asks the environment for the rewards of other goals: pass env.")
        kwargs["env"] = model.env
    if issubclass(buffer_class, PrioritizedReplayBuffer):
        kwargs = {"n_stack": _frames_in_stack(model), "n_steps": n_steps, "gamma": model.gamma}
    elif callable(n_steps) or isinstance(n_steps, (list, tuple)):
        raise ValueError(
            f"n_steps={n_steps!r} changes over training, which {buffer_class.__name__} cannot: "
            "use PrioritizedReplayBuffer, or a number."
        )
    elif issubclass(buffer_class, NStepReplayBuffer):
        kwargs = {"n_steps": n_steps, "gamma": model.gamma}
    elif n_steps > 1:
        raise ValueError(
            f"n_steps={n_steps} with {buffer_class.__name__}, which stores single steps: "
            "use PrioritizedReplayBuffer or NStepReplayBuffer, or n_steps=1."
        )
    return {name: value for name, value in kwargs.items() if name not in model.replay_buffer_kwargs}


def _check_contradictions(model: DDQNArguments) -> None:
    given = model.replay_buffer_kwargs
    for name in ("n_steps", "gamma"):
        if name in given and _as_list(given[name]) != _as_list(getattr(model, name)):
            raise ValueError(
                f"replay_buffer_kwargs has {name}={given[name]!r} and the model {name}={getattr(model, name)!r}: "
                "give it to the model alone."
            )
    frames = _frames_in_stack(model)
    if frames > 1 and given.get("n_stack", frames) not in (1, frames):
        raise ValueError(f"replay_buffer_kwargs has n_stack={given['n_stack']!r}, but the environment stacks {frames}.")


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # YAML has lists only


def _frames_in_stack(model: DDQNArguments) -> int:
    """
    :return: number of frames that the environment stacks on the first axis of all observations of the model; 1 if it does not
    """
    frame_stack = None if model.env is None else unwrap_vec_wrapper(model.env, VecFrameStack)
    if frame_stack is None:
        return 1
    n_stack = frame_stack.stacked_obs.n_stack
    seen, stacked, frames = (
        _by_name(space)
        for space in (model.observation_space, frame_stack.observation_space, frame_stack.venv.observation_space)
    )
    on_first_axis = seen.keys() == stacked.keys() and all(
        # Images are stacked on the last axis, which VecTransposeImage makes the first
        shape != stacked[name] or shape == (n_stack * frames[name][0], *frames[name][1:])
        for name, shape in seen.items()
    )
    return n_stack if on_first_axis else 1


def _by_name(space: spaces.Space) -> dict[str, Any]:
    """:return: observation shapes by key; the key is ``""`` if the space is not a ``Dict``"""
    return {name: part.shape for name, part in space.items()} if isinstance(space, spaces.Dict) else {"": space.shape}


def load_prioritized(
    model: DDQNArguments, mine: PrioritizedReplayBuffer, file: str | pathlib.Path | io.BufferedIOBase
) -> PrioritizedReplayBuffer:
    """
    Load a prioritized replay buffer for a model.

    :param model: the model that will learn from it
    :param mine: the model's buffer, whose schedules the loaded one follows
    :param file: the pickled replay buffer, or the path to it
    :return: the buffer, on the model's device; with a warning if its size or ``eps`` is not what the model asks for, or it was
        saved at another step than the model
    :raises ValueError: if the file is truncated, or holds a replay buffer that this model cannot learn from
    """
    loaded = type(mine).load(file)
    loaded.device = model.device
    if loaded.gamma is None:
        loaded.gamma = model.gamma
    for name in ("observation_space", "action_space", "n_envs", "n_stack", "gamma"):
        here, there = getattr(mine, name), getattr(loaded, name)
        if here != there and not (name == "n_stack" and model.env is None):  # not known without an environment
            raise ValueError(f"{file} holds a replay buffer with {name}={there}, this model has {name}={here}.")
    for name, here, there in (("buffer_size", mine.store.n_places, loaded.store.n_places), ("eps", mine.eps, loaded.eps)):
        if here != there:
            warnings.warn(f"{file} holds a replay buffer with {name}={there}, which stays, not {here}.", stacklevel=3)
    loaded.schedules.follow(mine.schedules)
    loaded.update_schedules(model._current_progress_remaining)
    if loaded.num_timesteps not in (None, model.num_timesteps):
        warnings.warn(
            f"{file} was saved at step {loaded.num_timesteps} and the model at step {model.num_timesteps}: training resumes "
            f"at step {model.num_timesteps}, with the buffer unchanged.",
            stacklevel=3,
        )
    return loaded
