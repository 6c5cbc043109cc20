"""Preprocessing of Atari games: observations, episodes and rewards."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from ale_py.env import AtariEnv
from gymnasium import spaces
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, ResizeObservation
from stable_baselines3.common.atari_wrappers import ClipRewardEnv, MaxAndSkipEnv, NoopResetEnv, StickyActionEnv, WarpFrame
from stable_baselines3.common.env_util import is_wrapped, unwrap_wrapper
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

from sb3_breakout.common.arguments import check_at_least, check_unit_interval
from sb3_breakout.envs.atari_wrappers import EpisodicLife, FireReset, GameRecords, MaxAndSkip

WATCHING = (Monitor, OrderEnforcing, PassiveEnvChecker)  # wrappers that do not change the game
Inserted = TypeVar("Inserted", bound=gym.Wrapper)
SMALLEST_SCREEN = 36  # pixels; a smaller picture leaves nothing for the third convolution of SB3's NatureCNN


class AtariPreprocessing(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Preprocessing of ``BreakoutNoFrameskip-v4``, or of any other Atari game without frame skip.

    With the defaults it is SB3's ``AtariWrapper``, except for what happens at the ends of lives and games
    (see ``sb3_breakout.envs.atari_wrappers``). From the emulator outwards:

    1. sticky actions: at each emulator *frame* the previous action is repeated with some probability
    2. start no-ops: 1 to ``noop_max`` frames, drawn at each game's start
    3. frame skip: each action lasts ``frame_skip`` frames; the picture is the maximum of the last two
    4. picture: grey or RGB, a square or the native size, channel last
    5. episodes: the loss of a life ends one; the game is only reset after the last life
    6. FIRE launches the ball at the start of each episode, followed by action 2 (RIGHT in Breakout) as in SB3
    7. the reward's sign instead of the reward

    Frames are not stacked here: ``frame_stack`` in the RL Zoo's YAML (``VecFrameStack``) does that. A ``Monitor`` below this
    wrapper, which is where ``make_vec_env`` and the RL Zoo put it, reports raw scores of whole games. A limit on the length of
    games belongs below this wrapper too: ``env_kwargs={"max_num_frames_per_episode": 40_000}``, in emulator frames. A
    ``TimeLimit`` above would truncate lives without ending games, and evaluations count ended games.

    The random numbers of sticky actions are the environment's, not the emulator's, so they are not in
    ``clone_state(include_rng=True)``; recordings therefore hold the action of every emulator frame. The random numbers of the
    emulator's own sticky actions, ``env_kwargs={"repeat_action_probability": 0.25}``, are in its state, but the executed
    actions cannot be read.

    :param env: the game, e.g. ``gym.make("BreakoutNoFrameskip-v4")``: RGB pictures (height, width, 3) uint8, one frame per
        step
    :param noop_max: largest number of no-op frames at a game's start, 0 for none
    :param frame_skip: number of emulator frames (1/60 s) that each action lasts
    :param screen_size: height and width of the picture in pixels, or None for the native size (210, 160)
    :param grayscale: one grey channel if True, three colour channels if False
    :param terminal_on_life_loss: whether a lost life ends the episode (``terminated``). If False,
        only the game's start has its FIRE pressed, and the agent has to launch the later balls.
    :param clip_reward: whether the reward is replaced by its sign
    :param action_repeat_probability: probability, per emulator frame, that the previous action is repeated
    :param fire_reset: whether FIRE is pressed at the start of an episode; no effect in games without a FIRE action
    :raises TypeError: if the environment is not an Atari game
    :raises ValueError: if this preprocessing does not support the game or an argument
    """

    def __init__(
        self,
        env: gym.Env,
        noop_max: int = 30,
        frame_skip: int = 4,
        screen_size: int | None = 84,
        grayscale: bool = True,
        terminal_on_life_loss: bool = True,
        clip_reward: bool = True,
        action_repeat_probability: float = 0.0,
        fire_reset: bool = True,
    ) -> None:
        _check_game(env)
        noop_max = check_at_least("noop_max", noop_max, 0)
        frame_skip = check_at_least("frame_skip", frame_skip, 1)
        if screen_size is not None:
            screen_size = check_at_least("screen_size", screen_size, SMALLEST_SCREEN)
        _check_stickiness(env, action_repeat_probability)
        fire = fire_reset and "FIRE" in env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
        _check_game_length(env, presses=noop_max + (2 * frame_skip if fire else 0))

        self.noop_max = noop_max
        self.frame_skip = frame_skip
        self.action_repeat_probability = action_repeat_probability
        self._life_is_episode = terminal_on_life_loss
        self._fire = fire
        self.clip_reward = clip_reward
        self.below = env  # the game as it was passed
        self.resetting = False  # during a reset, these wrappers act instead of the agent

        if action_repeat_probability > 0:
            env = StickyActionEnv(env, action_repeat_probability)
        if noop_max > 0:
            env = NoopResetEnv(env, noop_max)
        if frame_skip > 1:
            env = MaxAndSkip(env, frame_skip)
        super().__init__(_picture(env, screen_size, grayscale))
        self.stack_on(self.env)

    def stack_on(self, game: gym.Env) -> None:
        """
        Put the wrappers above frame skipping and picture on top of a game that does both itself.

        :param game: environment with observations of this wrapper's space
        """
        self._games = GameRecords(game)
        env: gym.Env = self._games
        if self._life_is_episode:
            env = EpisodicLife(env)
        if self._fire:
            env = FireReset(env)
        if self.clip_reward:
            env = ClipRewardEnv(env)
        self.env = env

    def interfering_wrapper(self) -> gym.Wrapper | None:
        """:return: the first wrapper below this one that changes the game, None if all of them only observe it"""
        env = self.below
        while isinstance(env, WATCHING):
            env = env.env
        return env if isinstance(env, gym.Wrapper) else None

    def insert(self, wrap: Callable[[gym.Env], Inserted]) -> Inserted:
        """
        Insert a wrapper directly above frame skipping, where all executed actions pass: the agent's and the FIRE
        presses of these wrappers. Rewards are raw there. For all games of a ``DummyVecEnv``:
        ``env.env_method("insert", wrap)``.

        :param wrap: creates the wrapper, which must not change observations
        :return: the wrapper
        """
        wrapper = wrap(self.game)
        self.stack_on(wrapper)
        return wrapper

    @classmethod
    def of(cls, env: gym.Env) -> "AtariPreprocessing":
        """
        :param env: a game with this wrapper and any wrappers above it
        :return: the wrapper
        :raises ValueError: if there is no such wrapper
        """
        wrapper = unwrap_wrapper(env, cls)
        if not isinstance(wrapper, cls):
            raise ValueError(f"{env} must be a game under {cls.__name__}: add it to the environment's wrappers.")
        return wrapper

    @property
    def game(self) -> gym.Env:
        """The game below the handling of lives: it skips frames and returns pictures, with raw rewards."""
        return self._games.env

    def step(self, action: int) -> AtariStepReturn:
        """
        One step of the agent.

        :param action: index into ``env.unwrapped.get_action_meanings()``, for Breakout NOOP, FIRE, RIGHT, LEFT
        :return: observation (height, width, channels) uint8, reward, terminated (a life or the game is lost), truncated (the
            emulator's frame limit was reached), info. At the end of an episode ``info["episode"]`` is ``Monitor``'s record of
            the game that ended since the previous episode's end, if any.
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        if (terminated or truncated) and (record := self._games.take()) is not None:
            info["episode"] = record
        return obs, reward, terminated, truncated, info

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """
        Start the next episode: the next life straight after a lost one, otherwise a new game.

        :param kwargs: ``seed`` (always starts a new game) and ``options``, as in Gymnasium
        :return: observation (height, width, channels) uint8 and info
        """
        self.resetting = True
        try:
            return self.env.reset(**kwargs)
        finally:
            self.resetting = False


def _picture(env: gym.Env, screen_size: int | None, grayscale: bool) -> gym.Env:
    """
    Resize native RGB pictures and convert them to grey, if requested.

    :param env: environment whose observations are (height, width, 3) uint8
    :param screen_size: height and width in pixels, or None to keep both
    :param grayscale: one grey channel if True, three colour channels if False
    :return: environment with observations (height, width, 1 or 3) uint8
    """
    assert env.observation_space.shape is not None
    height, width = env.observation_space.shape[:2] if screen_size is None else (screen_size, screen_size)
    if grayscale:
        return WarpFrame(env, width=width, height=height)
    return env if screen_size is None else ResizeObservation(env, (height, width))


def _check_game(env: gym.Env) -> None:
    """
    Check that this is an Atari game with one RGB picture per emulator frame.

    :param env: the environment to be wrapped
    :raises TypeError: if it is not an Atari game
    :raises ValueError: if it has other observations, other actions or frame skip
    """
    game = env.unwrapped
    if not isinstance(game, AtariEnv):
        raise TypeError(f"AtariPreprocessing needs an Atari game such as 'BreakoutNoFrameskip-v4', received {env}.")
    if is_wrapped(env, MaxAndSkipEnv):
        raise ValueError(f"{env} already skips frames: apply AtariPreprocessing directly to 'BreakoutNoFrameskip-v4', once.")
    if game._frameskip != 1:
        raise ValueError(
            f"{env} already skips frames (frameskip={game._frameskip}), AtariPreprocessing's frame_skip would come on top: "
            "use 'BreakoutNoFrameskip-v4', or frameskip=1 in env_kwargs."
        )
    space = env.observation_space
    if not isinstance(space, spaces.Box) or len(space.shape) != 3 or space.shape[2] != 3:
        raise ValueError(
            f"AtariPreprocessing needs native RGB pictures, (height, width, 3), received {space} of {env}: "
            "use obs_type='rgb' and no other wrapper that changes observations."
        )
    if not isinstance(env.action_space, spaces.Discrete) or game.get_action_meanings()[0] != "NOOP":
        raise ValueError(
            f"AtariPreprocessing needs discrete actions, the first a NOOP, received {game.get_action_meanings()} in "
            f"{env.action_space}: use continuous=False, or full_action_space=True for a game whose minimal set has no NOOP."
        )


def _check_stickiness(env: gym.Env, action_repeat_probability: float) -> None:
    """
    Check that the probability is valid, and 0 in a game that already has sticky actions.

    :param env: an Atari game
    :param action_repeat_probability: probability of repeating the previous action
    :raises ValueError: if the probability is outside [0, 1), or above 0 in a game with its own sticky actions
    """
    check_unit_interval("action_repeat_probability", action_repeat_probability)
    if action_repeat_probability == 1:
        raise ValueError("action_repeat_probability must be below 1, or no action is ever chosen; received 1.")
    emulator = env.unwrapped.ale.getFloat("repeat_action_probability")  # type: ignore[attr-defined]
    if action_repeat_probability > 0 and emulator > 0:
        raise ValueError(
            f"The actions of {env} are sticky already (repeat_action_probability={emulator}), received "
            f"action_repeat_probability={action_repeat_probability} on top: use 'BreakoutNoFrameskip-v4', or 0 here."
        )


def _check_game_length(env: gym.Env, presses: int) -> None:
    """
    Check that the frame limit cannot end a game before the agent's first step.

    :param env: an Atari game
    :param presses: largest number of emulator frames that the wrappers play at a game's start
    :raises ValueError: if the agent might get no frame to play
    """
    emulator_limit = env.unwrapped.ale.getInt("max_num_frames_per_episode")  # type: ignore[attr-defined]
    time_limit = env.spec.max_episode_steps if env.spec is not None else None
    limit = min((frames for frames in (emulator_limit, time_limit) if frames), default=math.inf)
    if limit <= presses:
        raise ValueError(
            f"A game of {limit} frames can be used up by the {presses} frames of no-ops and FIRE at its start: allow more "
            "(max_num_frames_per_episode or max_episode_steps of the environment; max_steps of an evaluation or video, in "
            "agent steps), or lower noop_max or frame_skip."
        )
