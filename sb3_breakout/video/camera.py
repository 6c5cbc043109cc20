"""
Films whole games.

Every action that reaches the emulator's frame skipping gives a picture, including presses by the wrappers (FIRE, the NOOP
after a lost life). A game of T such actions has T + 1 pictures: picture t is the screen before action t, and its text shows
this action and the score before it; the last one shows the end of the game::

    text of picture     0: FIRE      1: RIGHT     2: NOTHING            T: END
                        screen ----> screen ----> screen ----> ... ---> screen
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from stable_baselines3.common.type_aliases import AtariStepReturn

from sb3_breakout.ddqn import DDQNPolicy
from sb3_breakout.evaluation import env_for
from sb3_breakout.video.td_error import td_error

ACTION_NAMES = {"NOOP": "NOTHING"}  # other actions keep the emulator's names
END = "END"
REMEMBERED = 80  # number of TD errors shown


class Moment(NamedTuple):
    """
    One picture of a game.

    :param number: 0 for the first picture
    :param screen: (210, 160, 3) uint8 RGB, the emulator's screen
    :param action: the next action that was executed: LEFT, RIGHT, NOTHING or FIRE; END on the last picture
    :param score: raw points before that action
    :param lives: lives left before that action
    :param q_values: Q-value of each action by its name; None if there are none
    :param td_errors: absolute TD errors of the latest actions, that action's last; nan for actions that the agent did not
        choose; None without TD errors
    """

    number: int
    screen: np.ndarray
    action: str
    score: float
    lives: int
    q_values: dict[str, float] | None = None
    td_errors: tuple[float, ...] | None = None


class Camera(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Films the first game that is played. The wrapper belongs directly above frame skipping.

    :param env: a game that skips frames and does not clip rewards
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.game_over = False
        self._q_values: dict[str, float] | None = None  # for the next action
        self._names = [ACTION_NAMES.get(name, name) for name in env.unwrapped.get_action_meanings()]  # type: ignore[attr-defined]
        self._moments: list[Moment] = []
        self._number = 0
        self._score = 0.0

    def step(self, action: int) -> AtariStepReturn:
        """
        Film the screen and the action, then execute it.

        :param action: the action
        :return: the result of the game's step
        """
        if self.game_over:  # the vectorised environment has begun another game
            return self.env.step(action)
        self._film(self._names[action])
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._score += float(reward)
        if terminated or truncated:
            self._film(END)
            self.game_over = True
        return obs, reward, terminated, truncated, info

    def note(self, q_values: np.ndarray) -> None:
        """
        Show the agent's Q-values with the next picture.

        :param q_values: (n_actions,)
        """
        self._q_values = dict(zip(self._names, map(float, q_values), strict=True))

    def take(self) -> list[Moment]:
        """:return: the moments filmed since the last call"""
        taken, self._moments = self._moments, []
        return taken

    def _film(self, action: str) -> None:
        ale = self.unwrapped.ale  # type: ignore[attr-defined]
        self._moments.append(Moment(self._number, ale.getScreenRGB(), action, self._score, ale.lives(), self._q_values))
        self._number += 1
        self._q_values = None


def play_game(
    agent: Any, deterministic: bool = False, with_q_values: bool = False, with_td_error: bool = False, **env_arguments: Any
) -> Iterator[Moment]:
    """
    Play one whole game (all lives) under the protocol of an evaluation, and yield its pictures.

    :param agent: anything with SB3's ``predict`` and spaces: a model, a ``RandomAgent``
    :param deterministic: passed to ``predict``
    :param with_q_values: whether to add the Q-values of a trained agent (a DDQN) for each state in which it chooses an action
    :param with_td_error: whether to add a trained agent's TD error of each action, see
        :func:`~sb3_breakout.video.td_error.td_error`
    :param env_arguments: arguments of :func:`sb3_breakout.evaluation.evaluation_env`: seed, max_steps, protocol, ...
    :return: the game's moments; only those of one agent step are held in memory
    :raises ValueError: if the agent does not fit the game
    """
    env = env_for(agent, n_envs=1, **env_arguments)
    trained = isinstance(getattr(agent, "policy", None), DDQNPolicy)
    recent = deque[float](maxlen=REMEMBERED) if with_td_error and trained else None
    try:
        (camera,) = env.env_method("insert", Camera)
        obs: Any = env.reset()
        state, starts = None, np.ones(1, dtype=bool)
        yield from _with_error(camera.take(), float("nan"), recent)
        while not camera.game_over:
            actions, state = agent.predict(obs, state=state, episode_start=starts, deterministic=deterministic)
            if with_q_values and trained:
                camera.note(agent.policy.q_values(obs)[0])
            before = obs
            obs, rewards, starts, (info,) = env.step(actions)
            error = float("nan")
            if recent is not None:
                after = info["terminal_observation"][None] if starts[0] else obs
                terminated = bool(starts[0]) and not info["TimeLimit.truncated"]
                error = td_error(agent, before, actions, rewards, after, terminated)
            yield from _with_error(camera.take(), error, recent)
    finally:
        env.close()


def _with_error(moments: list[Moment], error: float, recent: deque[float] | None) -> Iterator[Moment]:
    """
    :param moments: moments of one agent step: the agent's own action, then those of wrappers
    :param error: TD error of the agent's action
    :param recent: errors of the moments before, to be extended; None without TD errors
    """
    for moment in moments:
        if recent is not None:
            recent.append(error)
            moment = moment._replace(td_errors=tuple(recent))
            error = float("nan")
        yield moment
