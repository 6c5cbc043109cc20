"""Vectorised environment that runs each game in its own thread and preprocesses frames in C++."""

import time
from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
from ale_py import ALEVectorInterface, roms
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_breakout.envs.preprocessing import AtariPreprocessing

NO_LIMIT = 2**31 - 1  # emulator frames; in the emulator's Python interface, 0 means no limit


class AleVecEnv(DummyVecEnv):
    """
    ``DummyVecEnv`` for games under :class:`~sb3_breakout.envs.BreakoutWrapper`, with the emulators in threads.

    Rewards, lives, infos and episode statistics are those of ``DummyVecEnv``: the wrappers above frame skipping are the same.
    Emulation, frame skipping and the picture come from ale-py's C++ (``ALEVectorInterface``). Breakout's frames are the same
    too; in games with other colours, such as Pong, grey values can differ. Three more things differ: start no-ops are drawn by
    the emulator (0 to ``noop_max``) and do not count towards the frame limit of a game; the last picture of a game that ends
    within skipped frames can be up to one step old, as with SB3's ``MaxAndSkipEnv``; and nothing can be rendered.

    :param env_fns: functions that each build one game, as ``make_vec_env`` passes them: an Atari game, ``Monitor``,
        ``AtariPreprocessing`` and any wrappers above that do not need the emulator
    :raises ValueError: if an environment is built differently
    """

    def __init__(self, env_fns: list[Callable[[], gym.Env]]) -> None:
        super().__init__(env_fns)
        self.games = [_put_into_thread(env) for env in self.envs]

    def step_async(self, actions: np.ndarray) -> None:
        """
        Start a step of all games.

        :param actions: (n_envs,) integers
        :raises ValueError: if one of them is not an action of the game
        """
        for action in actions:
            if not self.action_space.contains(action):
                raise ValueError(f"Received action {action!r}: it must lie in {self.action_space}.")
        super().step_async(actions)
        for game, action in zip(self.games, actions, strict=True):
            game.send(action)


class GameInThread(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    A game that runs in its own thread, with preprocessed pictures and one step per action of the agent.

    The wrapped environment itself is never stepped; only its ``Monitor`` gets the records of games that end.

    :param monitor: the game under ``Monitor``
    :param wrapper: the preprocessing to apply
    """

    def __init__(self, monitor: Monitor, wrapper: AtariPreprocessing) -> None:
        super().__init__(monitor)
        game: Any = monitor.unwrapped
        self.observation_space = wrapper.observation_space
        height, width, channels = wrapper.observation_space.shape  # type: ignore[misc]
        # The type stub of the class requires every argument, and arrays
        self._threads: Any = cast(Any, ALEVectorInterface)(
            rom_path=roms.get_rom_path(game._game),
            num_envs=1,
            frame_skip=wrapper.frame_skip,
            stack_num=1,  # VecFrameStack stacks, with zeros at the start of a life
            img_height=height,
            img_width=width,
            grayscale=channels == 1,
            maxpool=wrapper.frame_skip > 1,
            noop_max=wrapper.noop_max + 1 if wrapper.noop_max else 0,  # the emulator draws from 0 to noop_max - 1
            use_fire_reset=False,
            reward_clipping=False,
            max_episode_steps=game.ale.getInt("max_num_frames_per_episode") or NO_LIMIT,
            repeat_action_probability=wrapper.action_repeat_probability or game.ale.getFloat("repeat_action_probability"),
            full_action_space=bool(self.action_space.n != len(game.ale.getMinimalActionSet())),  # type: ignore[attr-defined]
            num_threads=1,
        )
        self._rewards: list[float] = []
        self._lives = 0
        self._sent = False

    def send(self, action: int) -> None:
        """
        Start a step; the next call of ``step`` waits for its end.

        :param action: a valid action (with an invalid one, the emulator would wait for ever)
        """
        self._interface.send([int(action)], [1.0])
        self._sent = True

    def step(self, action: int) -> AtariStepReturn:
        """
        Finish the step that ``send`` started, or do a complete one.

        :param action: the action; ignored if one was sent already
        :return: observation (height, width, channels) uint8, reward, terminated, truncated, info
        """
        if not self._sent:
            self.send(action)
        frames, rewards, terminated, truncated, facts = self._interface.recv()
        self._sent = False
        reward, over, cut = float(rewards[0]), bool(terminated[0]), bool(truncated[0])
        info = self._info(facts)
        self._rewards.append(reward)
        if over or cut:
            info["episode"] = self._record(info)
        return self._picture(frames), reward, over, cut, info

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> AtariResetReturn:
        """
        Start a new game.

        :param seed: seed of the emulator, for no-ops and sticky actions
        :param options: not used
        :return: observation (height, width, channels) uint8 and info
        """
        if self._sent:
            self.step(0)
        own_seed = -1 if seed is None else int(seed) % 2**31  # an int32, -1 for no seed
        frames, facts = self._interface.reset([0], [own_seed])
        self._rewards.clear()
        return self._picture(frames), self._info(facts)

    def lives(self) -> int:
        """:return: number of lives left, as ``unwrapped.ale.lives()`` of the game itself"""
        return self._lives

    @property
    def unwrapped(self) -> Any:
        """This game, whose ``ale`` counts the lives."""
        return self

    @property
    def ale(self) -> "GameInThread":
        """The part of the emulator's interface that wrappers use."""
        return self

    def get_action_meanings(self) -> list[str]:
        """:return: the names of the actions"""
        return self.env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]

    def render(self) -> Any:
        """:raises NotImplementedError: always; the emulator's colour screen is not available outside its thread"""
        raise NotImplementedError("AleVecEnv is for training and cannot be rendered: use DummyVecEnv to watch or record.")

    def close(self) -> None:
        """Stop the thread and close the files of ``Monitor``."""
        self._threads = None
        super().close()

    @property
    def _interface(self) -> Any:
        """:raises ClosedEnvironmentError: after ``close``"""
        if self._threads is None:
            raise gym.error.ClosedEnvironmentError("This AleVecEnv is closed: create a new one to continue playing.")
        return self._threads

    def _picture(self, frames: np.ndarray) -> np.ndarray:
        # (1, 1, height, width) or (1, 1, height, width, 3)
        return frames.reshape(self.observation_space.shape)

    def _info(self, facts: dict[str, np.ndarray]) -> dict[str, Any]:
        self._lives = int(facts["lives"][0])
        return {name: int(facts[name][0]) for name in ("lives", "episode_frame_number", "frame_number")}

    def _record(self, info: dict[str, Any]) -> dict[str, Any]:
        """Record a game that ended, as ``Monitor`` does, with its length in emulator frames."""
        monitor: Monitor = self.env  # type: ignore[assignment]
        score, length, now = sum(self._rewards), info["episode_frame_number"], time.time() - monitor.t_start
        record = {"r": round(score, 6), "l": length, "t": round(now, 6)}
        record |= {key: info[key] for key in monitor.info_keywords}
        monitor.episode_returns.append(score)
        monitor.episode_lengths.append(length)
        monitor.episode_times.append(now)
        if monitor.results_writer is not None:
            monitor.results_writer.write_row(record)
        return record


def _put_into_thread(env: gym.Env) -> GameInThread:
    """
    Replace the game below an environment's wrappers by a game in a thread.

    :param env: the environment
    :return: the new game
    :raises ValueError: if the environment is not built as ``AleVecEnv`` needs it
    """
    wrapper = AtariPreprocessing.of(env)
    monitor = wrapper.below
    if not isinstance(monitor, Monitor):
        raise ValueError(
            f"AleVecEnv needs a Monitor directly below AtariPreprocessing (make_vec_env puts it there), received {monitor}."
        )
    if (other := wrapper.interfering_wrapper()) is not None:
        raise ValueError(
            f"AleVecEnv cannot keep {type(other).__name__} below AtariPreprocessing: move it above, or use DummyVecEnv."
        )
    game: Any = monitor.unwrapped
    if game._game_mode is not None or game._game_difficulty is not None:
        raise ValueError(
            f"AleVecEnv plays games in their default mode and difficulty only, received mode={game._game_mode} and "
            f"difficulty={game._game_difficulty}: use DummyVecEnv."
        )
    if monitor.reset_keywords:
        raise ValueError(f"AleVecEnv cannot pass on Monitor's reset_keywords={monitor.reset_keywords}: use DummyVecEnv.")
    threaded = GameInThread(monitor, wrapper)
    wrapper.stack_on(threaded)
    return threaded
