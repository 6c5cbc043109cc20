"""The data needed to replay a game."""

import base64
import hashlib
import platform
import zlib
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from ale_py import ALEState, roms
from gymnasium.envs.registration import EnvSpec, WrapperSpec
from pydantic import ValidationError

import sb3_breakout
from sb3_breakout.envs import AtariPreprocessing, RewardShapingWrapper
from sb3_breakout.gameplay.dataset.schema import GAME, first_fault

LARGEST_STATE = 2**20  # bytes; Breakout's have 14 kB
PACKAGES = ("ale-py", "gymnasium", "stable-baselines3", "numpy", "opencv-python", "torch")


def game_facts(wrapper: AtariPreprocessing, shaping: RewardShapingWrapper | None) -> dict[str, Any]:
    """
    :param wrapper: the game's preprocessing
    :param shaping: the wrapper that shapes the game's rewards, if any
    :return: everything that determines frames and rewards, serializable as JSON
    :raises ValueError: if the game could not be replayed from these facts
    """
    if (other := wrapper.interfering_wrapper()) is not None:
        raise ValueError(f"A game with {type(other).__name__} below AtariPreprocessing cannot be recorded: move it above.")
    env = wrapper.below.unwrapped
    assert env.spec is not None and wrapper.observation_space.shape is not None
    facts = {
        "env_id": env.spec.id,
        "env_kwargs": {name: value for name, value in env.spec.kwargs.items() if name != "render_mode"},
        "rom_md5": rom_md5(env._game),  # type: ignore[attr-defined]
        "frame_skip": wrapper.frame_skip,
        "frame_shape": list(wrapper.observation_space.shape),
        "clip_reward": wrapper.clip_reward,
        "living_penalty": shaping.living_penalty if shaping else 0.0,
        "life_loss_penalty": shaping.life_loss_penalty if shaping else 0.0,
    }
    if wrapper.action_repeat_probability > 0:
        facts["action_repeat_probability"] = wrapper.action_repeat_probability
    try:
        GAME.validate_python(facts)
    except ValidationError as error:
        raise ValueError(
            f"A game of {env} cannot be recorded, as the episode would not be valid: {first_fault(error)}."
        ) from None
    return facts


def preprocessing_arguments(game: dict[str, Any]) -> dict[str, Any]:
    """
    :param game: the result of :func:`game_facts`
    :return: arguments of ``AtariPreprocessing`` that reproduce the recorded game: every step as it was executed, raw rewards,
        no FIRE presses
    """
    height, width, channels = game["frame_shape"]
    return {
        "noop_max": 0,
        "frame_skip": game["frame_skip"],
        "screen_size": height if height == width else None,  # the emulator's own screen is never square
        "grayscale": channels == 1,
        "terminal_on_life_loss": False,
        "clip_reward": False,
        "fire_reset": False,
    }


def env_spec(game: dict[str, Any]) -> EnvSpec:
    """
    :param game: the result of :func:`game_facts`
    :return: environment specification; ``gym.make(env_spec(game))`` plays the recorded game
    """
    spec = gym.spec(game["env_id"])
    arguments = preprocessing_arguments(game) | {"action_repeat_probability": game.get("action_repeat_probability", 0.0)}
    wrapper = WrapperSpec("AtariPreprocessing", "sb3_breakout.envs:AtariPreprocessing", arguments)
    return replace(spec, kwargs={**spec.kwargs, **game["env_kwargs"]}, additional_wrappers=(wrapper,))


def stickiness(game: dict[str, Any]) -> float:
    """
    :param game: the result of :func:`game_facts`
    :return: probability, per emulator frame, that the last action is repeated: by the wrapper or by the emulator
    """
    return game.get("action_repeat_probability") or game["env_kwargs"].get("repeat_action_probability", 0.0)


def shaped_reward(game: dict[str, Any], reward: float, lives_lost: int) -> float:
    """
    :param game: the result of :func:`game_facts`
    :param reward: raw reward of a step
    :param lives_lost: number of lives lost during the step
    :return: the reward that a learner would receive in this environment
    """
    clipped = float(np.sign(reward)) if game["clip_reward"] else reward
    return clipped - game["living_penalty"] - game["life_loss_penalty"] * lives_lost


def label_of(action: str) -> str:
    """
    :param action: name of an ALE action
    :return: where it moves the paddle: ``"LEFT"``, ``"RIGHT"`` or ``"NOTHING"`` (FIRE and NOOP)
    """
    return "LEFT" if "LEFT" in action else "RIGHT" if "RIGHT" in action else "NOTHING"


def encode_state(state: ALEState) -> str:
    """:return: the emulator's state as text, about 10 kB"""
    return base64.b64encode(zlib.compress(state.serialize(), 9)).decode()


def decode_state(text: str) -> ALEState:
    """
    :raises ValueError: if the text is not a state
    :raises SystemError: raised by ALE for some invalid states
    """
    try:
        unpacking = zlib.decompressobj()
        state = unpacking.decompress(base64.b64decode(text, validate=True), LARGEST_STATE)
        if not unpacking.eof:
            raise ValueError(f"it is cut off, or larger than {LARGEST_STATE} bytes")
        return ALEState(state)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"start_state is not a state of the emulator ({error})") from None


@cache
def rom_md5(game: str) -> str:
    """
    :param game: name of a ROM, e.g. ``"breakout"``
    :return: MD5 sum of the ROM that is installed
    """
    path = roms.get_rom_path(game)
    assert path is not None
    return hashlib.md5(Path(path).read_bytes()).hexdigest()


@cache
def versions() -> dict[str, str]:
    """:return: versions of all software that affects a recording"""
    packages = {name: version(name) for name in PACKAGES}
    return {"sb3-breakout": sb3_breakout.__version__, **packages, "python": platform.python_version()}
