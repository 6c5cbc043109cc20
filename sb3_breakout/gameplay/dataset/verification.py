"""Verification by replay: the recorded actions, replayed from the recorded state, must reproduce the recording."""

from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from ale_py import ALEState
from stable_baselines3.common.env_util import unwrap_wrapper
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

from sb3_breakout.envs import AtariPreprocessing
from sb3_breakout.gameplay.dataset.episode import Episode
from sb3_breakout.gameplay.dataset.indexes import build_indexes
from sb3_breakout.gameplay.dataset.layout import DamagedDataset, GameplayFolder
from sb3_breakout.gameplay.dataset.provenance import decode_state, label_of, preprocessing_arguments, rom_md5, shaped_reward
from sb3_breakout.gameplay.dataset.schema import ANY_OBJECT, SPLITS_FILE, read_json

# Games that all start with the same screen. The screen is not part of the emulator's state: in these games the first one is
# compared with the replayed one, in others it is only checked for readability.
REDRAWN = ("breakout",)
NOOP = ale_py.Action.NOOP.value  # the action that sticky actions repeat at first


class ResumedGame(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    A game whose resets restore a given state, and which can execute other actions than it receives.

    :param env: an Atari game
    """

    state: ALEState  # including random numbers

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.script: list[int] = []  # actions to execute in the next frames, before those that are received
        self.frames = 0  # emulator frames so far

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """:return: the screen of the state, (210, 160, 3) uint8, and info"""
        _, info = self.env.reset(**kwargs)
        self.unwrapped.restore_state(self.state)  # type: ignore[attr-defined]
        return self.unwrapped.ale.getScreenRGB(), info  # type: ignore[attr-defined]

    def step(self, action: int) -> AtariStepReturn:
        """:return: screen (210, 160, 3) uint8, reward, terminated, truncated, info"""
        self.frames += 1
        return self.env.step(self.script.pop(0) if self.script else action)


def verify_dataset(folder: GameplayFolder) -> Iterator[tuple[str, str | None]]:
    """
    Verify each episode, then that the indexes agree with the episodes.

    :param folder: the dataset
    :return: name and first fault of each episode, then of the indexes; the fault is None if there is none
    :raises FileNotFoundError: if there is no dataset
    :raises DamagedDataset: if one of its folders is a symbolic link
    """
    folder.check()
    names = folder.names()
    episodes = []
    with closing(Replays()) as replays:
        for name in names:
            try:
                episode = Episode.open(folder.episodes / name)
                episodes.append(episode)
                yield name, replays.find_fault(episode)
            except DamagedDataset as damage:
                yield name, str(damage)
    if len(episodes) == len(names):
        yield "indexes", _find_fault_in_indexes(folder, episodes)


class Replays:
    """
    Replays episodes, reusing one emulator as long as their games are the same: loading a ROM takes as long as replaying a
    random agent's game.
    """

    def __init__(self) -> None:
        self._env: gym.Env | None = None
        self._game: dict[str, Any] = {}

    def find_fault(self, episode: Episode) -> str | None:
        """
        Replay an episode.

        :param episode: the episode
        :return: the first difference between the game and its record, or None
        :raises DamagedDataset: if one of its files is broken
        """
        try:
            fault = self._find_fault(episode, episode.facts["game"])
        except DamagedDataset:
            self.close()
            raise
        except (ValueError, TypeError, RuntimeError, SystemError, MemoryError, gym.error.Error) as error:
            fault = f"cannot be replayed from start_state: {error}"  # ALE raises all of these on invalid states
        if fault is not None:
            self.close()  # the next episode must not be affected by what a damaged one left in the emulator
        return fault

    def close(self) -> None:
        """Close the emulator."""
        if self._env is not None:
            self._env.close()
        self._env = None

    def _find_fault(self, episode: Episode, game: dict[str, Any]) -> str | None:
        state = decode_state(episode.facts["start_state"])
        if self._env is None or self._game != game:
            self.close()
            self._env, self._game = _make(game), game
        if rom_md5(self._env.unwrapped._game) != game["rom_md5"]:  # type: ignore[attr-defined]
            return f"was recorded with another ROM (MD5 {game['rom_md5']}): it cannot be verified here"
        return _compare(episode, self._env, state)


def _make(game: dict[str, Any]) -> gym.Env:
    env = ResumedGame(gym.make(game["env_id"], **game["env_kwargs"]))
    return AtariPreprocessing(env, **preprocessing_arguments(game))


def _compare(episode: Episode, env: gym.Env, state: ALEState) -> str | None:
    facts, ale = episode.facts, env.unwrapped.ale  # type: ignore[attr-defined]
    game = unwrap_wrapper(env, ResumedGame)
    assert isinstance(game, ResumedGame)
    game.state = state
    indices = {action.value: index for index, action in enumerate(env.unwrapped._action_set)}  # type: ignore[attr-defined]
    obs, _ = env.reset()
    first = _compare_pictures if env.unwrapped._game in REDRAWN else _read_pictures  # type: ignore[attr-defined]
    executed = facts.get("executed_actions", [[]] * len(episode))
    fault = _find_unknown_action(facts["ale_actions"], executed, set(indices))
    if fault := fault or _compare_lives(episode, 0, ale) or first(episode, 0, obs, ale):
        return fault
    score, ended = 0.0, (False, False)
    for step, action in enumerate(facts["ale_actions"]):
        if any(ended):
            return f"step {step} comes after the end of the game"
        game.script, before = [indices[each] for each in executed[step]], game.frames
        obs, reward, *ended, _ = env.step(indices[action])  # type: ignore[assignment]
        if fault := _compare_executed(executed, step, game.frames - before, action):
            return fault
        score += float(reward)
        lives_lost = facts["lives"][step] - ale.lives()
        replayed = {
            "actions": label_of(ale_py.Action(action).name),
            "rewards": reward,
            "shaped_rewards": shaped_reward(facts["game"], float(reward), max(lives_lost, 0)),
            "life_lost": lives_lost > 0,
        }
        for name, value in replayed.items():
            if facts[name][step] != value:
                return f"{name}: step {step} is recorded as {facts[name][step]!r}, replayed as {value!r}"
        if fault := _compare_lives(episode, step + 1, ale) or _compare_pictures(episode, step + 1, obs, ale):
            return fault
    recorded = (facts["terminated"], facts["truncated"], facts["score"])
    if recorded != (*ended, score):
        return f"end (terminated, truncated, score) is recorded as {recorded}, replayed as {(*ended, score)}"
    return None


def _find_unknown_action(sent: list[int], executed: list[list[int]], known: set[int]) -> str | None:
    for step, actions in enumerate(zip(sent, executed, strict=True)):
        if unknown := {actions[0], *actions[1]} - known:
            return f"ALE action {min(unknown)} of step {step} is not an action of the game"
    return None


def _compare_executed(executed: list[list[int]], step: int, frames: int, sent: int) -> str | None:
    """
    :param executed: recorded actions of each step's emulator frames; empty if actions are not sticky
    :param step: the step
    :param frames: number of emulator frames replayed in it
    :param sent: the action of the step
    :return: the difference that sticky actions cannot explain, if any
    """
    if executed[step] and len(executed[step]) != frames:
        return f"executed_actions: step {step} is recorded with {len(executed[step])} frames, replayed with {frames}"
    last = executed[step - 1][-1:] if step else [NOOP]
    for before, action in pairwise([*last, *executed[step]]):
        if action not in (before, sent):
            return f"executed_actions: {action} in step {step} was neither sent ({sent}) nor executed before ({before})"
    return None


def _compare_lives(episode: Episode, step: int, ale: ale_py.ALEInterface) -> str | None:
    if episode.facts["lives"][step] != ale.lives():
        return f"lives: frame {step} is recorded with {episode.facts['lives'][step]}, replayed with {ale.lives()}"
    return None


def _read_pictures(episode: Episode, step: int, *_: Any) -> None:
    """:raises DamagedDataset: if one of the step's pictures cannot be read"""
    episode.frame(step)
    if episode.facts["native"]:
        episode.native(step)


def _compare_pictures(episode: Episode, step: int, obs: np.ndarray, ale: ale_py.ALEInterface) -> str | None:
    if not np.array_equal(episode.frame(step), obs):
        return f"frame {step} differs from the replayed one"
    if episode.facts["native"] and not np.array_equal(episode.native(step), ale.getScreenRGB()):
        return f"native frame {step} differs from the replayed one"
    return None


def _find_fault_in_indexes(folder: GameplayFolder, episodes: list[Episode]) -> str | None:
    try:
        seed = read_json(folder.splits, SPLITS_FILE)["seed"]
        for path, content in zip((folder.actions, folder.splits, folder.card), build_indexes(episodes, seed), strict=True):
            recorded = read_json(path, ANY_OBJECT)
            different = [key for key in {**content, **recorded} if content.get(key) != recorded.get(key)]
            if different:
                return f"{path} disagrees with the episodes on {different[0]}"
    except DamagedDataset as error:
        return str(error)
    return None
