"""Records a game directly above frame skipping, where all actions pass through: those of the agent and those of wrappers."""

from typing import Any

import gymnasium as gym
import numpy as np
from ale_py import ALEInterface
from stable_baselines3.common.atari_wrappers import StickyActionEnv
from stable_baselines3.common.env_util import unwrap_wrapper
from stable_baselines3.common.type_aliases import AtariResetReturn, AtariStepReturn

from sb3_breakout.envs import AtariPreprocessing, RewardShapingWrapper
from sb3_breakout.gameplay.dataset.layout import FORMAT
from sb3_breakout.gameplay.dataset.png import ScreenEncoder
from sb3_breakout.gameplay.dataset.provenance import encode_state, game_facts, label_of, shaped_reward, versions
from sb3_breakout.gameplay.dataset.schema import PER_STEP
from sb3_breakout.gameplay.dataset.writer import EpisodeWriter


class ExecutedActions(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Records the action of each emulator frame, below the wrapper that makes actions sticky.

    :param env: an Atari game without frame skip
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._actions: list[int] = []

    def step(self, action: int) -> AtariStepReturn:
        """:return: screen (210, 160, 3) uint8, reward, terminated, truncated, info"""
        self._actions.append(action)
        return self.env.step(action)

    def take(self) -> list[int]:
        """:return: the actions since the last call"""
        actions, self._actions = self._actions, []
        return actions


class GameRecorder(gym.Wrapper[np.ndarray, int, np.ndarray, int]):
    """
    Records whole games without changing them.

    ``GameRecorder.put_into(env)`` inserts it into an environment; each call of ``record`` then records the next game. A
    recorded game begins with the first picture after the start no-ops, and has one more frame than steps.

    :param game: the game below the handling of lives; it skips frames and returns pictures (height, width, 1 or 3) uint8
    :param wrapper: the wrapper above, which handles lives and acts at the start of each life
    :param facts: how the game is played (see :func:`~sb3_breakout.gameplay.dataset.provenance.game_facts`)
    """

    def __init__(self, game: gym.Env, wrapper: AtariPreprocessing, facts: dict[str, Any]) -> None:
        super().__init__(game)
        self.facts = facts
        self._wrapper = wrapper
        emulated: Any = game.unwrapped
        self._actions = [(label_of(action.name), action.value) for action in emulated._action_set]
        self._ale: ALEInterface = emulated.ale
        self._writer: EpisodeWriter | None = None
        self._about: dict[str, Any] = {}
        self._steps: dict[str, list[Any]] | None = None  # None if no game is being recorded
        self._start = ""
        self._q_values: list[float] | None = None
        self._executed: ExecutedActions | None = None  # None without sticky actions
        sticky = unwrap_wrapper(game, StickyActionEnv)
        if sticky is not None:
            self._executed = sticky.env = ExecutedActions(sticky.env)

    @classmethod
    def put_into(cls, env: gym.Env) -> "GameRecorder":
        """
        Place a recorder inside an environment.

        :param env: a game with :class:`~sb3_breakout.envs.AtariPreprocessing` and any wrappers above it
        :return: the recorder
        :raises ValueError: if games of this environment could not be replayed
        """
        wrapper = AtariPreprocessing.of(env)
        shaping = unwrap_wrapper(env, RewardShapingWrapper)
        assert shaping is None or isinstance(shaping, RewardShapingWrapper)
        facts = game_facts(wrapper, shaping)
        return wrapper.insert(lambda game: cls(game, wrapper, facts))

    def record(self, writer: EpisodeWriter, **about: Any) -> None:
        """
        Record the game that the next reset starts.

        :param writer: writes the episode
        :param about: metadata of the episode, for instance ``agent`` and ``seed``; serializable as JSON
        """
        self.stop()
        self._writer, self._about = writer, about

    def stop(self) -> None:
        """Discard the recording in progress, or the request for one."""
        if self._writer is not None:
            self._writer.give_up()
        self._writer = self._steps = self._q_values = None

    @property
    def recording(self) -> bool:
        """Whether a game is being recorded or will be at the next reset."""
        return self._writer is not None

    def note(self, q_values: np.ndarray) -> None:
        """
        Record the agent's Q-values along with the next step.

        :param q_values: (n_actions,)
        """
        self._q_values = [round(float(value), 6) for value in q_values]

    def reset(self, **kwargs: Any) -> AtariResetReturn:
        """
        Start a game.

        :param kwargs: as in Gymnasium
        :return: observation (height, width, 1 or 3) uint8 and info
        """
        obs, info = self.env.reset(**kwargs)
        if self._steps is not None:  # the game was abandoned
            self.stop()
        if self._executed is not None:
            self._executed.take()  # the start no-ops
        if self._writer is not None:
            self._start = encode_state(self.unwrapped.clone_state(include_rng=True))  # type: ignore[attr-defined]
            self._steps = {name: [] for name in PER_STEP}
            self._steps["lives"] = [self._ale.lives()]
            self._screens = ScreenEncoder(self._ale)
            self._add(obs)
        return obs, info

    def step(self, action: int) -> AtariStepReturn:
        """
        One step of the game.

        :param action: the action
        :return: observation (height, width, 1 or 3) uint8, raw reward, terminated, truncated, info
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        if self._steps is not None:
            self._keep(self._steps, action, float(reward))
            self._add(obs)
            if terminated or truncated:
                self._finish(self._steps, terminated, truncated)
        return obs, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the game; an incomplete recording is discarded."""
        self.stop()
        super().close()

    def _keep(self, steps: dict[str, list[Any]], action: int, reward: float) -> None:
        (label, ale_action), lives = self._actions[action], self._ale.lives()
        lost = max(steps["lives"][-1] - lives, 0)
        steps["actions"].append(label)
        steps["ale_actions"].append(ale_action)
        steps["pressed"].append(self._wrapper.resetting)
        steps["rewards"].append(reward)
        steps["shaped_rewards"].append(shaped_reward(self.facts, reward, lost))
        steps["life_lost"].append(lost > 0)
        steps["lives"].append(lives)
        if self._executed is not None:
            steps["executed_actions"].append([self._actions[each][1] for each in self._executed.take()])
        steps["q_values"].append(self._q_values)
        self._q_values = None

    def _add(self, obs: np.ndarray) -> None:
        assert self._writer is not None
        try:
            self._writer.add(obs, self._screens.encode() if self._writer.native else None)
        except OSError:
            self._writer = self._steps = None
            raise

    def _finish(self, steps: dict[str, list[Any]], terminated: bool, truncated: bool) -> None:
        assert self._writer is not None
        writer, self._writer, self._steps = self._writer, None, None
        if not any(steps["q_values"]):
            del steps["q_values"]
        if self._executed is None:
            del steps["executed_actions"]
        writer.finish(
            {
                "format": FORMAT,
                "steps": len(steps["actions"]),
                "score": sum(steps["rewards"]),
                "terminated": terminated,
                "truncated": truncated,
                "native": writer.native,
                "game": self.facts,
                **self._about,
                "versions": versions(),
                "start_state": self._start,
                **steps,
            }
        )
